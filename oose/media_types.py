"""Media types and file extensions: which goes with which, the same on every machine."""

import mimetypes
import re
from collections.abc import Mapping

# What players and browsers expect, where Python's own table is silent or says it otherwise.
_MEDIA = {
    "3g2": "video/3gpp2",
    "3gp": "video/3gpp",
    "aac": "audio/aac",
    "ass": "text/x-ssa",
    "avi": "video/x-msvideo",
    "avif": "image/avif",
    "f4v": "video/mp4",
    "flac": "audio/flac",
    "flv": "video/x-flv",
    "heic": "image/heic",
    "m2ts": "video/mp2t",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4a": "audio/mp4",
    "m4s": "video/iso.segment",
    "m4v": "video/x-m4v",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "srt": "application/x-subrip",
    "ts": "video/mp2t",
    "vtt": "text/vtt",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    "webp": "image/webp",
    "wmv": "video/x-ms-wmv",
}
_EXTENSIONS = {
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    "image/jpeg": "jpg",
    "text/html": "html",
    "text/plain": "txt",
    "video/mp2t": "ts",
    "video/mp4": "mp4",
    "video/mpeg": "mpg",
}
for _extension, _media_type in _MEDIA.items():
    _EXTENSIONS.setdefault(_media_type, _extension)
_OTHERS = mimetypes.MimeTypes()  # Python's built-in table; the machine's files are not read
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")  # RFC 6838 section 4.2
_EXT = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")
UNKNOWN = "application/octet-stream"
FILMS_AND_SOUND = frozenset(
    extension
    for extension, kind in {
        **{each[1:]: kind for each, kind in mimetypes.MimeTypes().types_map[True].items()},
        **_MEDIA,
    }.items()
    if kind.startswith(("video/", "audio/"))
)
"""Extensions of what has to be purchased unless the configuration says otherwise."""


def media_type_of(extension: str) -> str:
    """The media type of files with this extension, in small letters and without its dot."""
    return _MEDIA.get(extension) or _OTHERS.guess_type("x." + extension)[0] or UNKNOWN


def known_types() -> Mapping[str, str]:
    """The media types of all extensions that there is one for."""
    suffixes = {*_OTHERS.types_map[True], *_OTHERS.suffix_map, *(f".{each}" for each in _MEDIA)}
    found = {each[1:]: media_type_of(each[1:]) for each in suffixes if _EXT.fullmatch(each[1:])}
    return {ext: kind for ext, kind in found.items() if kind != UNKNOWN}


def extension_for(media_type: str) -> str | None:
    """The extension that files of this type usually have; None for one that nobody knows."""
    kind = essence(media_type)
    known = _EXTENSIONS.get(kind)
    if known is not None:
        return known
    guessed = (_OTHERS.guess_extension(kind) or "").removeprefix(".")
    return guessed if _EXT.fullmatch(guessed) and kind != UNKNOWN else None


def essence(media_type: str) -> str:
    """Type and subtype in small letters, without parameters."""
    return media_type.partition(";")[0].strip().lower()


def parse_media_type(value: str, extension: str) -> str:
    """The type a client gave, or the extension's where that is missing, unknown or no type."""
    kind = essence(value)
    return kind if _TYPE.fullmatch(kind) and kind != UNKNOWN else media_type_of(extension)


def is_video(extension: str) -> bool:
    """Whether files with this extension are films."""
    return media_type_of(extension).startswith("video/")
