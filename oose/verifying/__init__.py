"""Verification: each file is read and hashed again, in time to be repaired from a good clone.

reading       a file's bytes from the disk, hashed: blocking calls, no Twisted
looking       one clone being looked at: what its record says, and what its bytes hash to
verifier      judges a store's clones, and acts on what is corrupt or missing
condemning    takes a clone out of the inventory and its file out of the way
manner        how files are read: the pace, the pieces, until when
faults        what goes wrong with a file alone, and what with its disk
tally         what it has come to
due           which of a store's clones have not been looked at for longest
asked         what was asked of a store, kept on its disk over a restart
review        a look at everything on a store, on demand
verification  the service: all of it, again and again, at a limited rate
"""
