"""Whether a database can be reached, as one of its users knows."""

from attrs import define


@define
class Contact:
    """`is_there` is how the last request went, `losses` how often it went wrong up to now."""

    is_there: bool = False
    losses: int = 0

    def made(self) -> None:
        """A request was answered."""
        self.is_there = True

    def lost(self) -> None:
        """A request failed."""
        self.is_there = False
        self.losses += 1
