"""Clones of which something is wrong beside where they are: settled one by one, as there are few.

Those whose size is another than their record says are verified; those of content that was removed
go to quarantine, unless they came since.
"""

from collections.abc import Sequence

from oose.errors import Conflict, OoseError
from oose.metadata.documents import Write
from oose.sweeping.layout import Seen
from oose.sweeping.site import BATCH, Site

ODD = (OoseError, LookupError, TypeError, ValueError)  # the last three: a record that is none


async def verify(site: Site, hashes: Sequence[str]) -> None:
    """Have clones read; the record of one that is whole learns how large it is."""
    for each in dict.fromkeys(hashes):
        try:
            status = await site.store.verify(each)
        except ODD as error:
            await note_unreadable(site, each, error)
            continue
        if status == "ok":
            site.counts.corrected += 1
        elif status == "corrupt":
            site.counts.corrupt += 1
        else:
            site.counts.removed += 1


async def renew(site: Site, files: Sequence[Seen]) -> None:
    """Write down when files came, where their records tell of others before them."""
    for start in range(0, len(files), BATCH):
        came = {each.hash: each.created for each in files[start : start + BATCH]}
        known = await site.read(list(came))
        writes = [
            Write(document.id, {**document.body, "createdAt": came[each]}, document.rev)
            for each, document in known.items()
        ]
        site.counts.corrected += len(await site.write(writes))


async def bury(site: Site, hashes: Sequence[str]) -> None:
    """Put clones of content that is still removed into quarantine, if they are from before."""
    unique = list(dict.fromkeys(hashes))
    for start in range(0, len(unique), BATCH):
        notes = await site.notes(unique[start : start + BATCH])
        for each, content in notes.items():
            if content.removed is None:
                continue
            try:
                site.counts.buried += await site.store.burial.set_aside(each, content.removed)
            except Conflict:  # it has come again since
                continue
            except ODD as error:
                await note_unreadable(site, each, error)


async def note_unreadable(site: Site, content_hash: str, error: Exception) -> None:
    """What is wrong with one file is noted; with the whole disk it ends the sweep."""
    await site.run(site.check)
    words = error.message if isinstance(error, OoseError) else "its record is none"
    site.counts.note("unreadable", f"{content_hash}: {words}")
