"""Tombstones: content that was removed stays away, also from a store that was not there."""

from oose.contents import Content


def is_buried(content: Content, created_ms: int) -> bool:
    """Whether a clone made at `created_ms` (ms since 1970) is one of those that were removed."""
    return content.removed is not None and created_ms < content.removed
