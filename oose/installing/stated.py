"""What was stated to the installer, value by value: `ValueError` names the one that is wrong."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, TypeVar

from attrs import Attribute, AttrsInstance, fields_dict

from oose.installing.runner import Refused

T = TypeVar("T", bound=AttrsInstance)

Check = Callable[[Any, "Attribute[Any]", Any], None]


def each(kind: Callable[[Any], Any], *, some: bool = True) -> Check:
    """Of a sequence each, and with `some` at least one."""

    def check(stated: object, attribute: "Attribute[Any]", values: Sequence[Any]) -> None:
        if some and values == ():
            raise ValueError(f"{attribute.name}: at least one is needed")
        one(listed)(stated, attribute, values)
        for value in values:
            one(kind)(stated, attribute, value)

    return check


def one(kind: Callable[[Any], Any]) -> Check:
    """That a value is of a kind (`oose.settings.kinds`)."""

    def check(stated: object, attribute: "Attribute[Any]", value: Any) -> None:
        try:
            kind(value)
        except ValueError as error:
            raise ValueError(f"{attribute.name}: {value!r} is not {error}") from None

    return check


def several(values: Any) -> Any:
    """A list as a tuple; what is none stays what it is, for `each` to refuse."""
    return tuple(values) if isinstance(values, list | tuple | set | frozenset) else values


def listed(values: object) -> object:
    """What `several` has taken for a list."""
    if isinstance(values, tuple):
        return values
    raise ValueError("a list")


def of_file(kind: type[T], names: Mapping[str, Any], file: PurePosixPath) -> T:
    """What a file of ours states, as a class of `attrs`; `Refused` for what that does not know."""
    fields: Any = fields_dict(kind)
    if unknown := sorted(set(names) - set(fields)):
        raise Refused(f"{file}: there is no {', '.join(unknown)}; names are {', '.join(fields)}")
    try:
        return kind(**names)
    except ValueError as error:
        raise Refused(f"{file}: {error}") from None
