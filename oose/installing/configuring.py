"""Configuration files as the installer writes them: names with plain values, read back as such."""

from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from oose.installing import layout
from oose.installing.files import File
from oose.installing.machine import Machine
from oose.installing.runner import Refused
from oose.settings import BadSettings, Settings
from oose.settings.reader import check, run

HEAD = "# Written by `oose install`; docs/configuration.md names everything that can stand here.\n"
MASK = "********"
Names = dict[str, Any]


def names_in(machine: Machine, path: PurePosixPath) -> Names:
    """What a configuration says now; nothing where there is none. `Refused` where it is broken."""
    file = machine.at(path)
    if not file.exists():
        return {}
    try:
        return dict(run(file))
    except BadSettings as error:
        raise unusable(error) from None


def checked(names: Names, path: PurePosixPath) -> Settings:
    """The settings that `names` make; `Refused` with every problem."""
    try:
        return check(names, Path(path))
    except BadSettings as error:
        raise unusable(error) from None


def unusable(error: BadSettings) -> Refused:
    """Every problem, a line each."""
    problems = "".join(f"\n  {each}" for each in error.problems)
    return Refused(f"The configuration would not be usable:{problems}")


def configuration(machine: Machine, path: PurePosixPath, names: Names, head: str = HEAD) -> File:
    """The step that makes `path` say `names`, after the remark `head`.

    A file that says so already stays as somebody wrote it, with all that `names` do not hold.
    """
    before = names_in(machine, path)
    text = machine.at(path).read_text("utf-8") if before else ""
    if before != names:
        text = render(names, head)
        if not all(map(is_written, names.values())):
            raise Refused(f"{path} holds values that cannot be written down: change it by hand")
    return File(
        path,
        text,
        group=layout.USER,
        mode=layout.CONFIGURATION_MODE,
        keeps_old=True,
        masks=dict.fromkeys((*secrets_in(before), *secrets_in(names)), MASK),
    )


def is_written(value: object) -> bool:
    """Whether a value reads back as it is."""
    with suppress(ValueError, SyntaxError):
        return bool(literal_eval(written(value, "")) == value)
    return False


def render(names: Mapping[str, Any], head: str = HEAD) -> str:
    """A file that reads back as `names`."""
    lines = [f"{name} = {written(value, '')}" for name, value in names.items()]
    return head + "\n" + "\n".join(lines) + "\n"


def written(value: object, indent: str) -> str:
    """A value as Python has it, with a line for each entry of what holds others."""
    inner = indent + "    "
    if isinstance(value, Mapping) and value:
        rows = [f"{key!r}: {written(each, inner)}" for key, each in value.items()]
        return "{\n" + "".join(f"{inner}{row},\n" for row in rows) + indent + "}"
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        return "[\n" + "".join(f"{inner}{written(each, inner)},\n" for each in value) + indent + "]"
    return repr(value)


def secrets_in(value: object, name: str = "") -> Iterator[str]:
    """Every secret of a configuration, as it is written: passwords, also those within URLs."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from secrets_in(each, str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from secrets_in(each, name)
    elif isinstance(value, str) and value:
        if "password" in name:
            yield repr(value)[1:-1]
        elif "@" in value and "://" in value:
            yield urlsplit(value).netloc.rpartition("@")[0]
