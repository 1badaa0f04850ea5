"""What was written just now and is to be looked at soon, in bounded memory."""

from collections.abc import Collection, Mapping, Sequence

from attrs import define, field

MOST = 10_000  # contents


@define(eq=False)
class Hints:
    """Contents, with the ids of records that were named with them.

    With `most` of them further ones are dropped, and `is_cut` until it is taken back.
    """

    most: int = MOST
    is_cut: bool = False
    _ids: dict[str, set[str]] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Sequence[str], slices: Collection[str]) -> None:
        """Note those of some slices; an id is that of a record, or a hash."""
        for each in ids:
            content_hash, colon, _ = each.partition(":")
            if content_hash[:2] not in slices:
                continue
            if content_hash not in self._ids and len(self._ids) >= self.most:
                self.is_cut = True
                continue
            known = self._ids.setdefault(content_hash, set())
            if colon:
                known.add(each)

    def take(self, count: int, busy: Collection[str]) -> Mapping[str, Collection[str]]:
        """The oldest `count`, but for those that are `busy`: they stay for later."""
        found = [each for each in self._ids if each not in busy][:count]
        return {each: self._ids.pop(each) for each in found}
