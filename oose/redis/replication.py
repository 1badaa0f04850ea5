"""Waiting until a replica has what was written: who asks for it may then lose the master."""

from typing import Final

from twisted.internet.interfaces import IReactorTime

from oose.log import part
from oose.redis.line import Command, Reply

PATIENCE: Final = 200  # ms for a replica to confirm
GLANCE: Final = 1  # ms, while none is known to be there
LOOK_AGAIN = 1.0  # seconds until the patience is tried again
_log = part("redis")


class Replication:
    """Says how to wait after a write, and in the log when nobody is there to wait for."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._is_alone = False
        self._look_at = 0.0

    def wait(self) -> Command:
        """The command to send after a write."""
        now = self._clock.seconds()
        patience = PATIENCE
        if self._is_alone and now < self._look_at:
            patience = GLANCE
        elif self._is_alone:
            self._look_at = now + LOOK_AGAIN
        return (b"WAIT", b"1", b"%d" % patience)

    def confirmed(self, replicas: Reply) -> None:
        """What `wait` was answered."""
        was_alone, self._is_alone = self._is_alone, replicas == 0
        if self._is_alone and not was_alone:
            self._look_at = self._clock.seconds() + LOOK_AGAIN
            _log.warn(
                "No replica of Redis confirms: purchases and sessions are kept unreplicated,"
                " and are lost if the master is"
            )
        if was_alone and not self._is_alone:
            _log.info("A replica of Redis confirms again")
