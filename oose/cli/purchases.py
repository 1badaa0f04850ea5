"""Commands on all that was sold, in the databases themselves: list, show, remove, prune."""

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from attrs import asdict

from oose.address import parse_token
from oose.cli.arguments import HASH, Parsed
from oose.cli.configuration import CONFIG
from oose.cli.desk import Desk, fields
from oose.cli.exits import NOT_FOUND, CommandFailed
from oose.cli.opened import Opened, on_databases
from oose.counting import some
from oose.errors import NotFound
from oose.purchases import TOKEN_LENGTH, Purchase, Tidied
from oose.purchasing import PurchaseDesk, as_answer
from oose.settings import Settings

SHOWN = 8  # letters of a token, which opens content to whoever has all of it
ETC = "..."
TOKEN = Parsed("token", parse_token)


@click.group("purchases")
def purchases_group() -> None:
    """Look at all purchases, end some, or tidy up.

    In the databases of the configuration, whether a prism runs or not. A cluster's prisms hear of
    an end at once; that of a single machine within a second.
    """


@purchases_group.command("list")
@click.option("--hash", "content_hash", type=HASH, help="Only those of this content.")
@click.option("--expired", is_flag=True, help="Only those that are over, and not yet forgotten.")
@click.option("--tokens", is_flag=True, help="Tokens in full: each opens its content to anybody.")
@CONFIG
@click.pass_obj
def list_command(
    desk: Desk, content_hash: str | None, config: str | None, *, expired: bool, tokens: bool
) -> None:
    """List the purchases; with --json as they are, tokens in full."""
    now = milliseconds()

    def is_meant(purchase: Purchase) -> bool:
        is_of_it = content_hash is None or purchase.hash == content_hash
        return is_of_it and (not expired or purchase.expires <= now)

    async def work(opened: Opened) -> None:
        listing = Listing(desk.as_json, None if tokens else SHOWN, now)
        async for page in opened.databases.purchases.each():
            listing.write([each for each in page if is_meant(each)])
        listing.end()

    on_databases(config, work)


@purchases_group.command("show")
@click.argument("token", type=TOKEN)
@CONFIG
@click.pass_obj
def show_command(desk: Desk, token: str, config: str | None) -> None:
    """Show one purchase."""

    async def work(opened: Opened) -> Purchase:
        found = await opened.databases.purchases.find(token)
        if found is None:
            raise NotFound("There is no such purchase (any more)")
        return found

    purchase = on_databases(config, work)
    value = as_json(purchase, milliseconds())
    rows = [*fields(value), ("until", moment(purchase.expires))]
    desk.table(value, ("what", "is"), rows)


@purchases_group.command("remove")
@click.argument("tokens", metavar="[TOKEN]...", type=TOKEN, nargs=-1)
@click.option("--hash", "hashes", type=HASH, multiple=True, help="All purchases of this content.")
@CONFIG
@click.pass_obj
def remove_command(
    desk: Desk, tokens: tuple[str, ...], hashes: tuple[str, ...], config: str | None
) -> None:
    """End purchases."""
    if not tokens and not hashes:
        raise click.UsageError("Name a TOKEN, or content with --hash")

    async def work(opened: Opened) -> tuple[int, int, str]:
        purchases = opened.databases.purchases
        named = await purchases.remove_many(list(dict.fromkeys(tokens)))
        of_content = await PurchaseDesk(purchases, 0).end_of(*hashes)
        return named, of_content, follows(opened.settings)

    named, of_content, then = on_databases(config, work)
    count = named + of_content
    desk.result({"count": count}, f"{some(count, 'purchase')} removed{then if count else ''}")
    missing = len(set(tokens)) - named
    if missing:
        raise CommandFailed(f"{some(missing, 'token')} had no purchase (any more)", NOT_FOUND)


@purchases_group.command("prune")
@click.option("--pretend", is_flag=True, help="Only say what there is to do.")
@CONFIG
@click.pass_obj
def prune_command(desk: Desk, config: str | None, *, pretend: bool) -> None:
    """Forget what expired longer than its afterlife ago, and what is no purchase.

    A prism, or Redis, does the first by itself. In Redis there may also be what others left: keys
    that are no purchases are removed, purchases without an end get theirs.
    """

    async def work(opened: Opened) -> Tidied:
        before = milliseconds() - int(opened.settings.purchase.afterlife * 1000)
        return await opened.databases.purchases.tidy(before, pretend=pretend)

    done = on_databases(config, work)
    found = [
        (done.expired, "expired longer ago than their afterlife"),
        (done.broken, "no purchases"),
        (done.unending, "without an end"),
    ]
    words = ", ".join(f"{count:,} {what}" for count, what in found if count)
    if not words:
        words = "Nothing to do"
    elif not pretend:
        words = f"Done: {words}"
    desk.result({**asdict(done), "pretend": pretend}, words)


# Behind the commands.


def follows(settings: Settings) -> str:
    """When a prism that runs does what was done in its database."""
    if settings.is_cluster:
        return ""
    return "; a prism that runs here follows within a second"


class Listing:
    """Writes purchases as they come, however many: a line each, or one array of JSON.

    Of tokens only so many letters are `shown` to people; None for all. `now` is ms since 1970.
    """

    def __init__(self, as_json: bool, shown: int | None, now: int) -> None:
        self._as_json = as_json
        self._shown = shown
        self._now = now
        self._has_begun = False

    def write(self, purchases: Sequence[Purchase]) -> None:
        """Some more."""
        if purchases:
            between = ",\n" if self._as_json else "\n"
            self._put(between.join(self._text(each) for each in purchases))

    def end(self) -> None:
        """There are no more."""
        if self._as_json:
            click.echo("]" if self._has_begun else "[]")

    def _put(self, text: str) -> None:
        if self._as_json:
            click.echo(("," if self._has_begun else "[") + text)
        elif self._has_begun:
            click.echo(text)
        else:
            click.echo(self._line("token", "expires", "ext", "hash", "referrers") + "\n" + text)
        self._has_begun = True

    def _text(self, purchase: Purchase) -> str:
        if self._as_json:
            return json.dumps(as_json(purchase, self._now))
        token = purchase.token
        if self._shown is not None:
            token = token[: self._shown] + ETC
        sites = ",".join(purchase.referrers)
        return self._line(token, moment(purchase.expires), purchase.ext, purchase.hash, sites)

    def _line(self, token: str, when: str, ext: str, content_hash: str, sites: str) -> str:
        width = TOKEN_LENGTH if self._shown is None else self._shown + len(ETC)
        return f"{token:{width}}  {when:20}  {ext:6}  {content_hash:40}  {sites}"


def as_json(purchase: Purchase, now: int) -> Mapping[str, Any]:
    """A purchase as a prism tells it when it is sold, and whether it is over at `now` (ms)."""
    return {**as_answer(purchase), "expired": purchase.expires <= now}


def moment(when: int) -> str:
    """A time (ms) in words; what no calendar has is as good as never."""
    try:
        moment = datetime.fromtimestamp(when // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return "never"
    return moment.isoformat().replace("+00:00", "Z")


def milliseconds() -> int:
    """Now, in ms since 1970."""
    return int(time.time() * 1000)
