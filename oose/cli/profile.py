"""Where a prism is and who we are there: from a profile, the environment, or both."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from attrs import evolve, fields_dict, frozen

from oose.cli.exits import USAGE, CommandFailed

DEFAULT_URL = "http://127.0.0.1:5971"
FIRST_START = Path("data") / "login.toml"  # what a first start with the defaults makes
_VARIABLES = {
    "OOSE_PRISM": "url",
    "OOSE_USERNAME": "username",
    "OOSE_PASSWORD": "password",
    "OOSE_TOKEN": "token",
    "OOSE_CA": "ca",
}


@frozen
class Profile:
    """A prism's base URL and a login; `prism_*` are the prism's own credentials, for `cache`."""

    url: str = DEFAULT_URL
    username: str | None = None
    password: str | None = None
    token: str | None = None
    prism_username: str | None = None
    prism_password: str | None = None
    ca: str | None = None
    insecure: bool = False


def load_profile(
    given: str | None, environment: Mapping[str, str], home: Path
) -> tuple[Profile, str | None]:
    """The profile and what to warn of; variables of the environment win over the file.

    The file is `given`, else `OOSE_PROFILE`, else the first there is of ~/.config/oose/login.toml
    and data/login.toml.
    """
    named = given or environment.get("OOSE_PROFILE")
    usual = (home / ".config" / "oose" / "login.toml", FIRST_START)
    path = Path(named) if named else next((each for each in usual if each.is_file()), None)
    profile, warning = Profile(), None
    if path is not None:
        profile = read_profile(path)
        if path.stat().st_mode & 0o077:
            warning = f"others can read {path}, which holds a password: chmod 600 {path}"
    own = {name: environment[key] for key, name in _VARIABLES.items() if environment.get(key)}
    if "username" in own or "token" in own:  # another login: no part of the file's is left
        profile = evolve(profile, username=None, password=None, token=None)
    return with_values(profile, own, "the environment"), warning


def read_profile(path: Path) -> Profile:
    """A profile from a TOML file; `CommandFailed` when it is none."""
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CommandFailed(f"{path}: cannot be read: {error.strerror}", USAGE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path}: not a TOML file: {error}", USAGE) from None
    return with_values(Profile(), values, str(path))


def with_values(profile: Profile, values: Mapping[str, object], where: str) -> Profile:
    """`profile` with `values` in it; `CommandFailed` for those that cannot be."""
    known = fields_dict(Profile)
    for name, value in values.items():
        if name not in known:
            raise CommandFailed(f"{where}: there is no name {name!r}", USAGE)
        kind = bool if name == "insecure" else str
        if not isinstance(value, kind):
            raise CommandFailed(f"{where}: {name} must be {kind.__name__}", USAGE)
    changed: dict[str, object] = dict(values)
    made: Profile = evolve(profile, **changed)  # type: ignore[arg-type] # checked above
    check_url(made.url, where)
    if made.token is not None and not (made.token.isascii() and made.token.isprintable()):
        raise CommandFailed(f"{where}: token holds characters that no token has", USAGE)
    return made


def check_url(url: str, where: str) -> None:
    """`CommandFailed` when `url` is no prism's base URL."""
    if "@" in url:  # not shown: a password may be in it
        raise CommandFailed(f"{where}: a URL holds no login here, a profile does", USAGE)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        usable = usable and not (parts.query or parts.fragment) and url.isprintable()
    except ValueError:
        usable = False
    if not usable:
        raise CommandFailed(f"{where}: {url!r} is no URL of a prism, such as {DEFAULT_URL}", USAGE)


def home() -> Path:
    """The user's home folder, wherever there is none too."""
    return Path(os.environ.get("HOME") or "/")
