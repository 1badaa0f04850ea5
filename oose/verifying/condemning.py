"""Taking a clone that is not whole out of the way: its record first, so that nobody is sent to it.

Only what was read is moved: content that came to its place meanwhile stays.
"""

import json

from attrs import frozen

from oose.address import hash_type_of
from oose.existence import Existence
from oose.log import part
from oose.metadata.documents import Documents, Stale
from oose.metadata.records import record_id
from oose.verifying.faults import of_one_file
from oose.verifying.looking import STRONG, Looking
from oose.verifying.reading import is_still
from oose.volume import Volume

_log = part("verify")


@frozen
class Condemning:
    """Takes what is not whole on the store at `place` to its quarantine."""

    place: str
    volume: Volume
    inventory: Documents
    existence: Existence

    async def take(self, looking: Looking, at: int) -> bool:
        """Take a clone out, seen at `at` (ms); whether it was still what was looked at."""
        content_hash, volume = looking.hash, self.volume
        async with volume.passage.going(content_hash):
            still = volume.pool.run(is_still, volume.disk, looking.reading)
            if not await of_one_file(volume, still):
                return False
            if not await self.forget(looking.hash, looking.rev):
                return False
            note = json.dumps(why(looking, at))
            await of_one_file(volume, volume.set_aside(looking.reading.path, content_hash, note))
        _log.error(
            "{hash} on {place} is {what}: in quarantine",
            hash=content_hash,
            place=self.place,
            what=in_words(looking),
        )
        return True

    async def forget(self, content_hash: str, rev: str | None) -> bool:
        """Delete a record as it was read, where there was one; whether it was still so."""
        if rev is not None:
            key = record_id(content_hash, *self.place.split(":"))
            if isinstance(await self.inventory.delete(key, rev), Stale):
                return False
        self.existence.forget(content_hash)
        return True


def in_words(looking: Looking) -> str:
    """What is wrong."""
    reading = looking.reading
    if reading.error is not None:
        return f"unreadable ({reading.unreadable})"
    if looking.found[hash_type_of(looking.hash)] == looking.hash:
        return f"forged (its {STRONG} is another)"
    return "corrupt"


def why(looking: Looking, at: int) -> dict[str, object]:
    """The note beside a file: what was expected, what was found, and when (ms)."""
    recorded, reading = looking.recorded, looking.reading
    note: dict[str, object] = {"hash": looking.hash, "path": reading.path, "at": at}
    if reading.error is not None:
        note["error"] = reading.unreadable
    else:
        note["found"] = looking.found[hash_type_of(looking.hash)]
        note["sha256"] = looking.found[STRONG]
    if reading.which is not None:
        note["size"] = reading.which.size
    if recorded:
        note["expected"] = {STRONG: recorded.get("sha256"), "size": recorded.get("size")}
    return note
