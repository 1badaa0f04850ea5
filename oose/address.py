"""Hash types, names, extensions and paths: how content is called and where it lies."""

import json
import re
from collections.abc import Callable, Mapping

from oose.errors import BadInput, NotFound
from oose.media_types import extension_for

HASH_TYPES: Mapping[str, int] = {
    "sha512": 128,
    "sha384": 96,
    "sha256": 64,
    "sha224": 56,
    "sha1": 40,
    "md5": 32,
}
"""The length in hex digits of each; the length tells the type."""
_TYPE_OF = {length: name for name, length in HASH_TYPES.items()}
_HEX = re.compile(r"[0-9a-f]+")
_EXT = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")
_TOKEN = re.compile(r"[A-Za-z0-9]{64}")
NO_EXTENSION = "bin"


def as_json(value: object) -> str:
    """Text in quotes, anything else as JSON has it: what clients sent, in their words."""
    return repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shown(value: object, written: Callable[[object], str] = as_json) -> str:
    """`value` for a message, cut where it is long."""
    try:
        text = written(value)
    except Exception:  # an endless number, a nest too deep: it may fail in any way
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


def parse_hash(value: object) -> str:
    """A whole hash of any type, in small letters; `BadInput`. A part of one names nothing."""
    if isinstance(value, str) and value.isascii():
        lower = value.lower()
        if len(lower) in _TYPE_OF and _HEX.fullmatch(lower):
            return lower
    raise BadInput(f"{shown(value)} is not a hash: expected 32, 40, 56, 64, 96 or 128 hex digits")


def hash_type_of(content_hash: str) -> str:
    """The type of a parsed hash."""
    return _TYPE_OF[len(content_hash)]


def parse_hash_type(value: object) -> str:
    """The name of a hash type; `BadInput`."""
    if isinstance(value, str) and value in HASH_TYPES:
        return value
    raise BadInput(f"{shown(value)} is not a hash type: use one of {', '.join(HASH_TYPES)}")


def parse_extension(value: object) -> str:
    """A file extension in small letters, given with or without its dot; `BadInput`."""
    if isinstance(value, str) and value.isascii():
        ext = value.lower().removeprefix(".")
        if _EXT.fullmatch(ext):
            return ext
    raise BadInput(
        f"{shown(value)} is not a file extension: expected 1 to 16 letters, digits, - or _"
    )


def extension_of(filename: str, media_type: str) -> str:
    """The extension of a file by its name, else by its type, else `bin`."""
    _, dot, ext = filename.rpartition(".")
    if dot and ext.isascii() and _EXT.fullmatch(ext.lower()):
        return ext.lower()
    return extension_for(media_type) or NO_EXTENSION


def relative_path(content_hash: str, ext: str) -> str:
    """Where content lies below a store's `content`: `a0/3f/a03f....txt`."""
    return f"{content_hash[:2]}/{content_hash[2:4]}/{content_hash}.{ext}"


def old_relative_path(content_hash: str, ext: str) -> str:
    """Where version 2.x put it: one folder for every two digits, `a0/3f/.../b0/4f.txt`."""
    return "/".join(content_hash[i : i + 2] for i in range(0, len(content_hash), 2)) + "." + ext


def parse_relative_path(text: str) -> tuple[str, str]:
    """Hash and extension of a path in either form, exactly as it would be made; `NotFound`."""
    base, _, ext = text.rpartition(".")
    if _EXT.fullmatch(ext):
        for form, digits in (
            (relative_path, base.rpartition("/")[2]),
            (old_relative_path, base.replace("/", "")),
        ):
            if len(digits) in _TYPE_OF and _HEX.fullmatch(digits) and form(digits, ext) == text:
                return digits, ext
    raise NotFound("There is nothing at this path")


def parse_content_name(text: str) -> tuple[str, str]:
    """Hash and extension of `<hash>.<ext>`; `BadInput`."""
    name, _, ext = text.partition(".")
    return parse_hash(name), parse_extension(ext)


def parse_token(value: object) -> str:
    """The token of a purchase; `BadInput`."""
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return value
    raise BadInput("This is not a token: expected 64 letters and digits")
