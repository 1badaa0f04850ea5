"""What a stranger needs after the first start: a user, and the command for a first upload."""

import json
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from oose.accounts import ManagedAccounts
from oose.credentials import Credentials
from oose.durable import FOLDER_MODE
from oose.secrets_file import write_private

FIRST_USER = "admin"
LOGIN_FILE = "login.toml"


def make_root(root: Path) -> None:
    """Make the folder of everything: nginx passes through it, what is secret has its own mode."""
    if not root.exists():
        root.mkdir(parents=True)
        root.chmod(FOLDER_MODE)


def own_command() -> str:
    """How this installation's `oose` command is called from a shell."""
    beside = Path(sys.executable).with_name("oose")
    return "oose" if shutil.which("oose") == str(beside) else str(beside)


def toml(text: str) -> str:
    """A string as TOML writes it: like JSON, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


async def make_first_user(
    accounts: ManagedAccounts,
    root: Path,
    url: str,
    certificate: Path | None,
    tools: Credentials,
    now: int,
) -> Sequence[str]:
    """Make a user where there is none, and a profile for the `oose` command; what to print.

    The password goes to a file that only its owner can read, not to a terminal or a log. Without
    the file the user is not made, so a start that is cut short is made good by the next.
    """
    if await accounts.list():
        return ()
    password = secrets.token_urlsafe(18)
    profile = root / LOGIN_FILE
    says = {
        "url": url,
        "username": FIRST_USER,
        "password": password,
        "prism_username": tools.username,
        "prism_password": tools.password,
    }
    if certificate is not None:
        says["ca"] = str(certificate)
    lines = [
        "# Made at the first start, for the `oose` command: oose --profile FILE ...",
        *(f"{name} = {toml(text)}" for name, text in says.items()),
    ]
    write_private(profile, "\n".join(lines) + "\n")
    await accounts.add(FIRST_USER, password, now)
    return (
        f"A first user, {FIRST_USER!r}, was made; the password is in {profile}",
        f"Upload something:  {own_command()} --profile {profile} upload FILE",
    )
