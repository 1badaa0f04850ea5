"""Verification: each file is read and hashed again, in time to be repaired from a good clone.

reading       a file's bytes from the disk, hashed: blocking calls, no Twisted
looking       one clone being looked at: what its record says, and what its bytes hash to
verifier      judges a store's clones, and acts on what is corrupt or missing
quarantine    takes a clone out of the inventory and its file out of the way
due           which of a store's clones have not been looked at for longest
verification  the service: all of it, again and again, at a limited rate
"""
