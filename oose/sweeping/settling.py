"""Clones of which something is wrong beside where they are: settled one by one, as there are few.

Those whose size is another than their record says are verified; those of content that was removed
go to quarantine.
"""

from collections.abc import Sequence

from oose.errors import Conflict, OoseError
from oose.metadata.documents import Write
from oose.sweeping.site import BATCH, Site


async def verify(site: Site, hashes: Sequence[str]) -> None:
    """Have clones read; the record of one that is whole learns how large it is."""
    for each in dict.fromkeys(hashes):
        try:
            status = await site.store.verify(each)
        except OoseError as error:
            await note_unreadable(site, each, error)
            continue
        if status == "ok":
            await learn_size(site, each)
        elif status == "corrupt":
            site.counts.corrupt += 1
        else:
            site.counts.removed += 1


async def learn_size(site: Site, content_hash: str) -> None:
    """Write down how large a file is, where its record says otherwise."""
    document = (await site.read([content_hash])).get(content_hash)
    found = await site.store.volume.find(content_hash)
    if document is None or found is None or document.body.get("size") == found.size:
        return
    body = {**document.body, "size": found.size}
    site.counts.corrected += len(await site.write([Write(document.id, body, document.rev)]))


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
            except OoseError as error:
                await note_unreadable(site, each, error)


async def note_unreadable(site: Site, content_hash: str, error: OoseError) -> None:
    """What is wrong with one file is noted; with the whole disk it ends the sweep."""
    await site.run(site.check)
    site.counts.note("unreadable", f"{content_hash}: {error.message}")
