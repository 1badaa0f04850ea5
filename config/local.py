"""One machine, everything in one process, on loopback, with embedded databases below ./data.

docs/configuration.md names everything that can stand here.
"""

prism = {"enabled": True}
store = {"enabled": True}
