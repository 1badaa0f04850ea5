"""What users may be called, and what their passwords may be."""

import re

from oose.errors import BadInput

_NAME = re.compile(r"[A-Za-z0-9_.@+][A-Za-z0-9_.@+-]{0,63}")
SHORTEST, LONGEST = 8, 1024


def is_username(name: str) -> bool:
    """Whether a user may have this name; no other is looked for, the database may not take it."""
    return _NAME.fullmatch(name) is not None


def check_username(name: str) -> None:
    """`BadInput` for a name that no user may have."""
    if not is_username(name):
        raise BadInput(
            "A user's name has 1 to 64 letters, digits and . _ - @ +, and does not begin with -"
        )


def check_password(password: str) -> None:
    """`BadInput` for a password that is too short or too long."""
    if len(password) < SHORTEST or len(password.encode("utf-8", "replace")) > LONGEST:
        raise BadInput(f"A password has at least {SHORTEST} characters and at most {LONGEST} bytes")
