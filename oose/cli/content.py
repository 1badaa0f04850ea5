"""Commands on content: download, detail, purchase."""

import sys
from pathlib import Path
from typing import Any

import click

from oose.cli.arguments import DURATION, EXTENSION, HASH
from oose.cli.desk import Desk
from oose.cli.exits import NOT_FOUND, USAGE, CommandFailed
from oose.cli.receiving import download, download_to

AT_ONCE = 1000  # hashes in one question
STDOUT = "-"


@click.command("download")
@click.argument("content_hash", metavar="HASH", type=HASH)
@click.option("-o", "--output", metavar="FILE", help="Where to; - is stdout. Default: the hash.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.pass_obj
def download_command(desk: Desk, content_hash: str, output: str | None, *, force: bool) -> None:
    """Download content; it is verified before it gets its name."""
    prism = desk.prism()
    path = Path(output or content_hash)
    if output != STDOUT and path.is_dir():
        raise CommandFailed(f"{path} is a folder: name a file in it", USAGE)
    if output != STDOUT and path.is_file() and not force:
        raise CommandFailed(f"{path} is there already; --force replaces it", USAGE)
    with desk.progress() as progress:
        bar = progress.add_task(content_hash, total=None)

        def seen(count: int, total: int | None) -> None:
            progress.update(bar, advance=count, total=total)

        if output == STDOUT:
            download(prism, content_hash, sys.stdout.buffer, seen)
            sys.stdout.buffer.flush()
            return
        size = download_to(prism, content_hash, path, seen)
    desk.result({"hash": content_hash, "path": str(path), "size": size}, f"{path}  {size} bytes")


@click.command("detail")
@click.argument("hashes", metavar="HASH...", type=HASH, nargs=-1, required=True)
@click.pass_obj
def detail_command(desk: Desk, hashes: tuple[str, ...]) -> None:
    """Tell whether content exists, what it is, and on which stores."""
    found: dict[str, Any] = {}
    for start in range(0, len(hashes), AT_ONCE):
        some = list(hashes[start : start + AT_ONCE])
        found.update(desk.prism().call("/content/detail", {"hash": some}))
    rows = [
        (
            each["hash"],
            str(each["size"]),
            each["mimeType"],
            str(each["count"]),
            " ".join(each["map"]),
        )
        for each in found.values()
        if each["exists"]
    ]
    if rows or desk.as_json:
        desk.table(found, ("hash", "bytes", "type", "clones", "stores"), rows)
    missing = [each["hash"] for each in found.values() if not each["exists"]]
    if missing:
        raise CommandFailed(f"not there: {', '.join(missing)}", NOT_FOUND)


@click.command("purchase")
@click.argument("content_hash", metavar="[HASH]", type=HASH, required=False)
@click.option("--ext", type=EXTENSION, help="The delivered extension.  [required with HASH]")
@click.option(
    "--referrer", "referrers", multiple=True, metavar="HOST", help="A site that may show it."
)
@click.option("--any-referrer", is_flag=True, help="Any site may show it.")
@click.option("--life", type=DURATION, help="How long, such as 2h.  [default: the prism's]")
@click.option("--remove", "token", metavar="TOKEN", help="End a purchase instead.")
@click.pass_obj
def purchase_command(
    desk: Desk,
    content_hash: str | None,
    ext: str | None,
    referrers: tuple[str, ...],
    life: int | None,
    token: str | None,
    *,
    any_referrer: bool,
) -> None:
    """Open content to viewers for a time; prints the URL to hand out."""
    if token is not None:
        gone = desk.prism().call("/content/purchase/remove", {"token": token})
        desk.result(gone, "removed" if gone["count"] else "there was none")
        return
    sites = ["*"] if any_referrer else list(referrers)
    if content_hash is None or ext is None or not sites:
        raise click.UsageError("HASH, --ext and --referrer (or --any-referrer) are needed")
    asked: dict[str, Any] = {"hash": content_hash, "ext": ext, "referrer": sites}
    if life is not None:
        asked["life"] = life
    sold = desk.prism().call("/content/purchase", asked)
    url = f"{desk.prism().profile.url.rstrip('/')}/{sold['token']}/{content_hash}.{ext}"
    desk.result({**sold, "url": url}, url)
