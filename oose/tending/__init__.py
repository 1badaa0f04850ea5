"""Work on the clones of much content, one content after the other, for an operator.

picking    which content is meant, read in pages
round      does something to each of it, a few at once, and may be stopped
deed       what can be done to one content
wishing    how many clones it is to have
placing    onto a store, off a store
reading    reading clones again
draining   everything off a store
levelling  stores made equally full
"""
