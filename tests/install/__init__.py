"""The installer on a Debian of its own, in a folder: `make test-install`."""
