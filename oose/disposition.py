"""`Content-Disposition` (RFC 6266): shown in place, or saved under a safely quoted name."""

from urllib.parse import quote

LONGEST = 255  # bytes of a file's name on the usual file systems
DEFAULT = "download"


def content_disposition(attach: str | None, filename: str) -> str:
    """`inline`, or `attachment` with the name `attach`, or `filename` where that is empty."""
    if attach is None:
        return "inline"
    name = safe_name(attach) or safe_name(filename) or DEFAULT
    plain = name.encode("ascii", "replace").decode("ascii").replace("?", "_")
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def safe_name(name: str) -> str:
    """A name that breaks no header and leads into no folder, of at most `LONGEST` bytes."""
    kept = "".join(
        "_" if letter in '"\\/%' or not letter.isprintable() else letter for letter in name
    )
    kept = kept.encode("utf-8", "ignore").decode("utf-8").strip(" .")
    stem, dot, ext = kept.rpartition(".")
    if not dot or len(ext) > 20:
        stem, dot, ext = kept, "", ""
    tail = (dot + ext).encode("utf-8")
    return stem.encode("utf-8")[: LONGEST - len(tail)].decode("utf-8", "ignore") + dot + ext
