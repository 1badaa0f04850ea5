"""When all content is to be looked at: every so often, and soon after something has changed."""

from attrs import define, field

SETTLE = 5.0  # seconds that pass after a change: seldom does one come alone


@define(eq=False)
class Occasions:
    """Says when it is time. `frequency` and all times are seconds."""

    frequency: float
    _due: float = field(default=0.0, init=False)
    _state: object = field(default=None, init=False)

    def look(self, state: object, now: float) -> bool:
        """How everything is on which it depends what content needs; whether that has changed."""
        if state == self._state:
            return False
        self._state = state
        self.soon(now)
        return True

    def soon(self, now: float) -> None:
        """Something has changed."""
        self._due = min(self._due, now + SETTLE) if self._due else now + SETTLE

    def begun(self, now: float) -> None:
        """It is being done."""
        self._due = now + self.frequency

    def is_due(self, now: float) -> bool:
        """Whether it is to be done now."""
        return self._due <= now
