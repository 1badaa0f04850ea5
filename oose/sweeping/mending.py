"""Records whose file is not where they say: corrected, or removed where there is none."""

from collections.abc import Mapping, Sequence

from attrs import define, field

from oose.disk import Found
from oose.errors import Unavailable
from oose.media_types import media_type_of
from oose.metadata.documents import Document, Write
from oose.sweeping.site import BATCH, LOOKS, Site


@define
class Looked:
    """What was found on the disk: by hash a file or None; `problems` where it could not be told."""

    files: dict[str, Found | None] = field(factory=dict)
    problems: dict[str, str] = field(factory=dict)


async def mend(site: Site, hashes: Sequence[str]) -> Sequence[str]:
    """Look for the file of each record, in either layout; the hashes whose size is another.

    Records are read again before the disk is looked at, and only what is as it was then is written.
    """
    resized: list[str] = []
    for start in range(0, len(hashes), BATCH):
        documents = await site.read(hashes[start : start + BATCH])
        looked = await look(site, documents)
        for each, why in looked.problems.items():
            site.counts.note("unreadable", f"{each}: {why}")
        removals = [
            Write(documents[each].id, None, documents[each].rev)
            for each, found in looked.files.items()
            if found is None
        ]
        corrections = []
        for each, found in looked.files.items():
            if found is not None:
                document = documents[each]
                if document.body.get("relativePath") != found.relative_path:
                    corrections.append(corrected(document, found))
                if document.body.get("size") != found.size:
                    resized.append(each)
        site.counts.corrected += len(await site.write(corrections))
        site.counts.removed += len(await site.write(removals))
    return resized


async def look(site: Site, documents: Mapping[str, Document]) -> Looked:
    """Look for the files of records."""
    looked = Looked()
    hashes = list(documents)
    for start in range(0, len(hashes), LOOKS):
        some = {each: documents[each] for each in hashes[start : start + LOOKS]}
        await site.run(look_for, site, some, looked)
    return looked


def look_for(site: Site, documents: Mapping[str, Document], looked: Looked) -> None:
    """The same of a few, in the disk's pool. The disk is there before and after."""
    site.check()
    files: dict[str, Found | None] = {}
    for each, document in documents.items():
        try:
            path = str(document.body.get("relativePath"))
            files[each] = site.look_at(each, path) or site.disk.find(each)
        except Unavailable as error:
            looked.problems[each] = error.message
    site.check()
    looked.files |= files


def corrected(document: Document, found: Found) -> Write:
    """The write that has a record say where the file is."""
    body = {**document.body, "relativePath": found.relative_path}
    if body.get("mimeExtension") != found.ext:
        body |= {"mimeExtension": found.ext, "mimeType": media_type_of(found.ext)}
    return Write(document.id, body, document.rev)
