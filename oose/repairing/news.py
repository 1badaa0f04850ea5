"""What repair writes to the log: each thing once, however many contents it is about."""

from attrs import define, field

from oose.counting import some
from oose.log import part
from oose.repairing.repair import Mended
from oose.repairing.tally import Tally

MOST = 1000  # contents whose loss was said
MOST_REASONS = 20  # from one look at all content to the next
_log = part("repair")


@define(eq=False)
class News:
    """Remembers what was said."""

    _lost: dict[str, None] = field(factory=dict, init=False)
    _told: set[str] = field(factory=set, init=False)
    _state: tuple[int, int, int] = field(default=(0, 0, 0), init=False)

    def lost(self, content_hash: str) -> None:
        """No clone is left of a content."""
        if content_hash in self._lost:
            return
        _log.error(
            "{hash} is lost: none of its clones is on a store that is there or waited for",
            hash=content_hash,
        )
        self._lost[content_hash] = None
        if len(self._lost) > MOST:
            del self._lost[next(iter(self._lost))]

    def failed(self, content_hash: str, why: str) -> None:
        """A content could not be mended."""
        reason = why.replace(content_hash, "it")
        if reason in self._told or len(self._told) == MOST_REASONS:
            _log.debug("{hash} could not be mended: {why}", hash=content_hash, why=why)
            return
        self._told.add(reason)
        _log.warn(
            "{hash} could not be mended: {why}. It is tried again later, and others for which it"
            " is the same are not told of",
            hash=content_hash,
            why=why,
        )

    def mended(self, content_hash: str, mended: Mended) -> None:
        """All that a content needed is done."""
        _log.debug(
            "{hash} is mended: {added} made, {removed} removed",
            hash=content_hash,
            added=mended.added,
            removed=mended.removed,
        )

    def looked(self, tally: Tally) -> None:
        """All content was looked at."""
        self._told.clear()
        state = sum(tally.endangered.values()), tally.lost, tally.stuck
        what = some(tally.contents, "content")
        _log.debug("Looked at {what}", what=what)
        if state == self._state:
            return
        self._state = state
        endangered, lost, stuck = state
        if not endangered:
            _log.info("Each of {what} has all its clones", what=what)
            return
        _log.warn(
            "Of {what} {n} have fewer clones than wanted: {lost} have none left, for {stuck} no"
            " other store can take one",
            what=what,
            n=endangered,
            lost=lost,
            stuck=stuck,
        )
