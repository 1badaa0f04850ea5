"""Twisted takes LISTEN_PID and LISTEN_FDS out of the environment as soon as it is imported.

It keeps them for its endpoint `systemd:`, under a private name that a test pins.
"""

from twisted.internet.endpoints import _SystemdParser

from oose.systemd.variables import Environment


def reclaim(environment: Environment, pid: int) -> None:
    """Put them back into `environment`, for the process `pid`, if they are still to be had.

    LISTEN_FDNAMES, which Twisted leaves where it is, tells that nobody else has.
    """
    descriptors = _SystemdParser._sddaemon.inheritedDescriptors()  # noqa: SLF001 # see the module
    if descriptors and "LISTEN_FDNAMES" in environment:
        environment["LISTEN_PID"] = str(pid)
        environment["LISTEN_FDS"] = str(len(descriptors))
