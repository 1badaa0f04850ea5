"""Hearing of wishes for more clones, whoever wrote them, to pass them on to who makes clones."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

from oose.contents import Content
from oose.demand.agreement import content_of
from oose.metadata.documents import Documents
from oose.settings.model import CloneSettings
from oose.wishes import desired

REMEMBERED = 10_000  # content documents
AT_ONCE = 250  # read in one request


class Hearing:
    """Calls `tell` with hashes of which there should be more clones than last heard.

    It says so to all prisms: each takes what is its own. `now` is ms since 1970.
    """

    def __init__(
        self,
        documents: Documents,
        settings: CloneSettings,
        tell: Callable[[Sequence[str]], None],
        now: Callable[[], int],
    ) -> None:
        self._documents = documents
        self._settings = settings
        self._tell = tell
        self._now = now
        self._known: OrderedDict[str, Content] = OrderedDict()

    def saw(self, contents: Iterable[Content]) -> None:
        """These content documents are so now."""
        more = []
        for content in contents:
            before = self.desired(content.hash)
            self._remember(content)
            if self.desired(content.hash) > before:
                more.append(content.hash)
        if more:
            self._tell(more)

    async def changed(self, hashes: Sequence[str]) -> None:
        """These content documents were written or deleted."""
        for start in range(0, len(hashes), AT_ONCE):
            some = hashes[start : start + AT_ONCE]
            found = await self._documents.get_many(some)
            self.saw([content_of(each, found.get(each)) for each in some])

    async def missed(self) -> None:
        """Any may have changed: who looks at all content now and then will see."""
        self._known.clear()

    def desired(self, content_hash: str) -> int:
        """How many clones there should be now, by what was heard last."""
        content = self._known.get(content_hash, Content(content_hash))
        return desired(content, self._settings, self._now())

    def _remember(self, content: Content) -> None:
        self._known.pop(content.hash, None)
        if content.demand or content.wanted is not None:
            self._known[content.hash] = content
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
