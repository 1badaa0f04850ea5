"""Records for files that have none.

A file that is being received is visible before its record is written; as long as that is so its
name is in `incoming` too. One that is being removed is there when its record is gone already.
"""

from collections.abc import Sequence

from oose.incoming import explained
from oose.metadata.documents import Document, Write
from oose.sweeping.layout import Seen
from oose.sweeping.site import LOOKS, Site


async def record(site: Site, strays: Sequence[Seen]) -> Sequence[str]:
    """Give records to at most `BATCH` files that seemed to have none.

    The hashes whose records say that they are where there is no file.
    """
    coming = await site.run(being_received, site)
    left = [each for each in strays if each.hash not in coming and not going(site, each.hash)]
    known = await site.read(list(dict.fromkeys(each.hash for each in left)))
    new: dict[str, Seen] = {}
    elsewhere: list[Seen] = []
    for each in left:
        if each.hash in known:
            if path_of(known[each.hash]) != each.path:
                elsewhere.append(each)
        elif new.setdefault(each.hash, each) is not each:
            site.counts.note("duplicates", each.path)
    await make(site, list(new.values()))
    paths = {each.hash: path_of(known[each.hash]) for each in elsewhere}
    gone = set(await missing(site, paths))
    for each in elsewhere:
        if each.hash not in gone:
            site.counts.note("duplicates", each.path)
    return sorted(gone)


async def make(site: Site, new: Sequence[Seen]) -> None:
    """Record files, and take back the records of those that have gone meanwhile."""
    made = await site.write(await site.run(writes_of, site, new))
    site.counts.made += len(made)
    gone = set(await missing(site, {each.hash: each.path for each in new if each.hash in made}))
    gone |= {each for each in made if going(site, each)}
    writes = [Write(site.id_of(each), None, made[each]) for each in sorted(gone)]
    site.counts.made -= len(await site.write(writes))


async def missing(site: Site, paths: dict[str, str]) -> list[str]:
    """The hashes of those `paths` where there is no file."""
    hashes = list(paths)
    found: list[str] = []
    for start in range(0, len(hashes), LOOKS):
        some = {each: paths[each] for each in hashes[start : start + LOOKS]}
        found += await site.run(not_there, site, some)
    return found


def going(site: Site, content_hash: str) -> bool:
    """Whether it is being removed."""
    return site.store.volume.passage.is_going(content_hash)


def path_of(document: Document) -> str:
    """Where a record says that the file is."""
    return str(document.body.get("relativePath"))


# In the disk's pool.


def being_received(site: Site) -> set[str]:
    """The hashes of what is visible or about to be, and has no record yet."""
    site.check()
    with explained(site.disk.name):
        return {each.hash for each in site.disk.left_behind() if each.hash is not None}


def writes_of(site: Site, new: Sequence[Seen]) -> Sequence[Write]:
    """The writes that record files."""
    return [site.record_of(each) for each in new]


def not_there(site: Site, paths: dict[str, str]) -> list[str]:
    """Those that are missing, at a disk that is there."""
    found = [each for each, path in paths.items() if site.look_at(each, path) is None]
    if found:
        site.check()
    return found
