"""Hash types, names, extensions and paths: how content is called and where it lies."""

import re
from collections.abc import Mapping
from mimetypes import MimeTypes

from oose.errors import BadInput, NotFound

HASH_TYPES: Mapping[str, int] = {
    "sha512": 128,
    "sha384": 96,
    "sha256": 64,
    "sha224": 56,
    "sha1": 40,
    "md5": 32,
}
_TYPE_OF = {length: name for name, length in HASH_TYPES.items()}
_HEX = re.compile(r"[0-9a-f]+")
_EXT = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")
_TOKEN = re.compile(r"[A-Za-z0-9]{64}")
VIDEO_EXTENSIONS = frozenset(
    "mp4 m4v mov avi wmv flv f4v mkv webm mpg mpeg ts m2ts 3gp ogv".split()
)
_TYPES = MimeTypes()


def shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def parse_hash(value: object) -> str:
    if isinstance(value, str):
        lower = value.lower()
        if len(lower) in _TYPE_OF and _HEX.fullmatch(lower):
            return lower
    raise BadInput(f"{shown(value)} is not a hash: expected 32, 40, 56, 64, 96 or 128 hex digits")


def hash_type_of(content_hash: str) -> str:
    return _TYPE_OF[len(content_hash)]


def parse_hash_type(value: object) -> str:
    if isinstance(value, str) and value in HASH_TYPES:
        return value
    raise BadInput(f"{shown(value)} is not a hash type: use one of {', '.join(HASH_TYPES)}")


def parse_extension(value: object) -> str:
    if isinstance(value, str):
        ext = value.lower().removeprefix(".")
        if _EXT.fullmatch(ext):
            return ext
    raise BadInput(f"{shown(value)} is not a file extension")


def extension_of(filename: str, mime_type: str) -> str:
    _, dot, ext = filename.rpartition(".")
    if dot and _EXT.fullmatch(ext.lower()):
        return ext.lower()
    guessed = _TYPES.guess_extension(mime_type) if mime_type else None
    return guessed[1:] if guessed else "bin"


def mime_type_of(extension: str) -> str:
    return _TYPES.guess_type("x." + extension)[0] or "application/octet-stream"


def parse_mime_type(value: str, extension: str) -> str:
    if (
        re.fullmatch(r"[a-zA-Z0-9.+-]+/[a-zA-Z0-9.+-]+", value)
        and value != "application/octet-stream"
    ):
        return value.lower()
    return mime_type_of(extension)


def relative_path(content_hash: str, ext: str) -> str:
    return f"{content_hash[:2]}/{content_hash[2:4]}/{content_hash}.{ext}"


def old_relative_path(content_hash: str, ext: str) -> str:
    return "/".join(content_hash[i : i + 2] for i in range(0, len(content_hash), 2)) + "." + ext


def parse_relative_path(text: str) -> tuple[str, str]:
    base, _, ext = text.rpartition(".")
    name = base.rpartition("/")[2]
    for candidate in (name, base.replace("/", "")):
        try:
            content_hash = parse_hash(candidate)
            if text in {
                relative_path(content_hash, ext),
                old_relative_path(content_hash, ext),
            } and _EXT.fullmatch(ext):
                return content_hash, ext
        except BadInput:
            continue
    raise NotFound("There is nothing at this path")


def parse_content_name(text: str) -> tuple[str, str]:
    name, _, ext = text.partition(".")
    return parse_hash(name), parse_extension(ext)


def parse_token(value: object) -> str:
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return value
    raise BadInput("not a token")
