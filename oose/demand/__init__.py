"""How often content is asked for, and the clones that this makes worth their room.

Each prism counts (`counter`), says in content documents what is hot (`agreement`), and takes from
what all prisms say how many clones that calls for (`note`), which `oose.wishes` tells. `hearing`
learns what others have said; `service` is the life of all this.
"""
