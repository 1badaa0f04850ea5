"""What a sweep has counted, and the first of what somebody should look at, by name."""

from collections.abc import Mapping
from typing import Any

from attrs import asdict, define, evolve, field, fields

NAMED = 20  # of each kind


@define
class Counts:
    """Of one sweep so far: `files` of ours that were seen, and their `bytes`.

    Records that were `made`, `corrected` (where the file is, its size) and `removed` (the file is
    gone); files that were `corrupt`, or `buried` (both are in quarantine); what was left alone:
    `foreign` files, `duplicates` of one hash, what is `unreadable`, and `links` of version 2.x,
    which nobody uses. `named` has the first of all these but links.
    """

    files: int = 0
    bytes: int = 0
    made: int = 0
    corrected: int = 0
    removed: int = 0
    corrupt: int = 0
    buried: int = 0
    foreign: int = 0
    duplicates: int = 0
    unreadable: int = 0
    links: int = 0
    named: dict[str, list[str]] = field(factory=dict)

    def note(self, kind: str, name: str) -> None:
        """One more of a kind that is named."""
        setattr(self, kind, getattr(self, kind) + 1)
        names = self.named.setdefault(kind, [])
        if len(names) < NAMED:
            names.append(name)

    def copy(self) -> "Counts":
        """As they are now."""
        return evolve(self, named={kind: list(names) for kind, names in self.named.items()})

    def to_json(self) -> Mapping[str, Any]:
        """All of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Counts":
        """Read back; `LookupError`, `TypeError` or `ValueError` where it is nothing of the kind."""
        named = {str(kind): [str(each) for each in some] for kind, some in value["named"].items()}
        return cls(**{each: int(value[each]) for each in NUMBERS}, named=named)


NUMBERS = tuple(each.name for each in fields(Counts) if each.name != "named")
