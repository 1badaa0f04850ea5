"""One machine, everything in one process, on loopback, with embedded databases below ./data.

docs/configuration.md names everything that can stand here.
"""

prism = {"enabled": True}
store = {"enabled": True}
clones = {"minimum": 1}  # there is one store; with two disks make store a list, and this 2
