"""What nginx is told when it is to send a file: where that is, and from where on it is wanted.

nginx's modules mp4 and flv cut films: at a second, for what is an mp4 by its extension, and at a
byte of an flv (nginx.org: ngx_http_mp4_module, ngx_http_flv_module). Their `start=0`, which prisms
add for all films, is the whole file; mp4's would move the index of some to their front, and what
comes then is not what the hash is of.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

from attrs import frozen

ACCEL = b"X-OOSE-Accel"  # what nginx says of X-Accel-Redirect, one of:
NOT_AGAIN = "no"  # it could not send the file
NAMED = "named"  # it passes on nothing by itself, but these
JUDGED_BY_NGINX = (b"if-match", b"if-unmodified-since")  # once more, and without the hash
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_BYTES = re.compile(r"[0-9]{1,18}")
_STARTS: Mapping[str, "re.Pattern[str]"] = {
    "f4v": _SECONDS,
    "flv": _BYTES,
    "m4a": _SECONDS,
    "m4v": _SECONDS,
    "mp4": _SECONDS,
}


@frozen
class Internal:
    """A URI of nginx's internal location; `is_cut` says that it is not the whole file.

    `is_named`: nginx takes `Cache-Control` and `Content-Disposition` from names of ours, so that
    neither is left over where it cannot send the file. Else it passes them on as they are.
    """

    uri: str
    is_cut: bool = False
    is_named: bool = False


def internal_place(prefix: str, path: str, start: str, *, is_named: bool = False) -> Internal:
    """The file at `path` below the disk's content, from `start` on where it can be cut there.

    Whatever `start` is else, it is ignored: the whole file is sent, as without nginx.
    """
    uri = f"{prefix}/{quote(path)}"
    form = _STARTS.get(path.rpartition(".")[2])
    if form is None or not form.fullmatch(start) or not float(start):
        return Internal(uri, is_named=is_named)
    return Internal(f"{uri}?start={start}", is_cut=True, is_named=is_named)
