"""Commands on what stores have put aside: quarantine list, quarantine restore."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from oose.cli.arguments import HASH
from oose.cli.desk import Desk
from oose.cli.exits import UNAVAILABLE, CommandFailed

NOT_ALL = "Not all stores could be asked"


@click.group("quarantine")
def quarantine_group() -> None:
    """Look at files that stores have put aside, or bring one back.

    That is where corrupt files go, and those of content that was removed while their store was
    away. STORE is a store's name, or prism1:store1.
    """


@quarantine_group.command("list")
@click.argument("store", required=False)
@click.pass_obj
def list_command(desk: Desk, store: str | None) -> None:
    """List what is there, since when, and why; of all stores unless one is named."""
    prism = desk.prism()
    known = {"stores": [store]} if store else prism.call_as_peer("/quarantine/list", {})
    found: list[Mapping[str, Any]] = []
    failed: CommandFailed | None = None
    for place in known.get("away", []):
        desk.warn(f"The store {place} is not available")
        failed = CommandFailed(NOT_ALL, UNAVAILABLE)
    for place in known["stores"]:
        try:
            found += ({"store": place, **each} for each in files_of(desk, place))
        except CommandFailed as error:
            desk.warn(error.message)
            failed = CommandFailed(NOT_ALL, error.code)
    if found or desk.as_json:
        rows = [row(each) for each in found]
        desk.table(found, ("store", "file", "bytes", "since", "why"), rows)
    if failed is not None:
        raise failed


@quarantine_group.command("restore")
@click.argument("content_hash", metavar="HASH", type=HASH)
@click.option("--store", required=True, help="Which store has it.")
@click.pass_obj
def restore_command(desk: Desk, content_hash: str, store: str) -> None:
    """Bring content back, if its bytes are good; also what had been removed."""
    asked = {"store": store, "hash": content_hash}
    done = desk.prism().call_as_peer("/quarantine/restore", asked)
    desk.result(done, f"{content_hash} is on {done['prism']}:{done['store']} again")


# Behind the commands.


def files_of(desk: Desk, place: str) -> Iterator[Mapping[str, Any]]:
    """What one store has put aside."""
    after: str | None = None
    while True:
        asked = {"store": place} if after is None else {"store": place, "after": after}
        page = desk.prism().call_as_peer("/quarantine/list", asked)
        yield from page["files"]
        after = page["after"]
        if after is None:
            return


def row(file: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """A file in a table."""
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(file["since"] / 1000))
    return file["store"], file["name"], str(file["size"]), since, reason(file["why"])


def reason(why: Mapping[str, Any]) -> str:
    """What a note comes to."""
    if why.get("removed") is not None:
        return "the content was removed"
    if why.get("error") is not None:
        return f"cannot be read: {why['error']}"
    if why.get("found") is not None and why["found"] == why.get("hash"):
        return f"forged: its sha256 is {why.get('sha256')}"
    if why.get("found") is not None:
        return f"corrupt: its hash is {why['found']}"
    return "there is no note"
