"""How many clones content should have."""

from oose.contents import Content
from oose.demand.note import Note
from oose.settings.model import CloneSettings


def usual(content: Content, settings: CloneSettings) -> int:
    """How many clones content should have whether or not anybody asks for it."""
    return settings.minimum if content.wanted is None else content.wanted


def desired(content: Content, settings: CloneSettings, now: int) -> int:
    """How many clones content should have at `now` (ms since 1970).

    As many as an administrator wishes, or as usual; more where viewers ask for it often, up to
    `settings.maximum`. There may be fewer stores. A tombstone changes nothing here: who makes
    clones looks at it first.
    """
    called_for = Note.parse(content.demand).clones(settings, now)
    return max(usual(content, settings), called_for)
