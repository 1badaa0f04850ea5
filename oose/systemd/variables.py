"""Reading the environment variables by which systemd hands something over."""

from collections.abc import MutableMapping

Environment = MutableMapping[str, str]


class BadHandover(Exception):
    """What systemd handed over cannot be used; the message is for whoever started the process."""


def number(name: str, text: str) -> int:
    """The value `text` of the variable `name`; `BadHandover` where it is no whole number."""
    if not (text.isascii() and text.isdigit()):
        raise BadHandover(
            f"{name} is {text!r} in the environment, not a number as systemd sets it:"
            " start oose by its unit, or without this variable"
        )
    return int(text)


def is_meant(name: str, text: str | None, pid: int) -> bool:
    """Whether the variable `name`, which holds a process's number, names the process `pid`.

    What is not meant for us was left over by a parent; False where there is none.
    """
    return text is not None and number(name, text) == pid
