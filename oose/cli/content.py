"""Commands on content: upload, download, detail, purchase."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.progress import TaskID

from oose.address import HASH_TYPES
from oose.cli.arguments import DURATION, EXTENSION, HASH
from oose.cli.desk import Desk
from oose.cli.exits import NOT_FOUND, UNAVAILABLE, USAGE, CommandFailed
from oose.cli.receiving import download, download_to
from oose.cli.sending import upload

AT_ONCE = 1000  # hashes in one question
STDIN = "-"


@click.command("upload")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--name", help="The name of what comes from stdin (PATH is -).")
@click.option("--hash-type", type=click.Choice(list(HASH_TYPES)), default="sha1", show_default=True)
@click.pass_obj
def upload_command(desk: Desk, paths: tuple[str, ...], name: str | None, hash_type: str) -> None:
    """Upload files, all files of folders, or stdin (-); prints hash and name of each."""
    results: list[dict[str, Any]] = []
    first: CommandFailed | None = None
    failed = 0
    with desk.progress() as progress:
        for path in sources(paths):
            bar = progress.add_task(str(path), total=size_of(path))
            try:
                result = upload_one(desk, path, name, hash_type, progress, bar)
            except CommandFailed as error:
                results.append({"path": str(path), "error": error.message})
                desk.say(f"oose: {path}: {error.message}")
                failed += 1
                first = first or error
                if error.code == UNAVAILABLE:
                    break  # no other file would fare better
            else:
                results.append({"path": str(path), **result})
                if not desk.as_json:
                    click.echo(f"{result['hash']}  {result['name']}")
            progress.remove_task(bar)
    if desk.as_json:
        desk.result(results, "")
    fewer = [each for each in results if each.get("count", 0) < each.get("wanted", 0)]
    if fewer:
        copies = f"{fewer[0]['count']} of {fewer[0]['wanted']} copies"
        desk.say(
            f"oose: {len(fewer)} of {len(results)} files have fewer copies than wanted: {copies}"
        )
    if first is not None:
        raise CommandFailed(f"{failed} of {len(results)} files were not uploaded", first.code)


def upload_one(
    desk: Desk, path: Path, name: str | None, hash_type: str, progress: Any, bar: TaskID
) -> dict[str, Any]:
    """Upload one file; what the prism says of it."""

    def seen(count: int) -> None:
        progress.advance(bar, count)

    file, title = opened(path, name)
    with file:
        result: dict[str, Any] = upload(desk.prism(), file, title, size_of(path), hash_type, seen)
    return result


def sources(paths: tuple[str, ...]) -> Iterator[Path]:
    """Every file that is meant, folders walked in the order of names."""
    for each in paths:
        path = Path(each)
        if path.is_dir():
            yield from (file for file in sorted(path.rglob("*")) if file.is_file())
        else:
            yield path


def opened(path: Path, name: str | None) -> tuple[BinaryIO, str]:
    """A file to read, and its name for the prism."""
    if str(path) == STDIN:
        return sys.stdin.buffer, name or "stdin"
    try:
        return path.open("rb"), path.name
    except OSError as error:
        raise CommandFailed(error.strerror or str(error)) from None


def size_of(path: Path) -> int | None:
    """The bytes of a plain file; None for what has no size before its end."""
    return path.stat().st_size if path.is_file() else None


@click.command("download")
@click.argument("content_hash", metavar="HASH", type=HASH)
@click.option("-o", "--output", metavar="FILE", help="Where to; - is stdout. Default: the hash.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.pass_obj
def download_command(desk: Desk, content_hash: str, output: str | None, *, force: bool) -> None:
    """Download content; it is verified before it gets its name."""
    with desk.progress() as progress:
        bar = progress.add_task(content_hash, total=None)

        def seen(count: int, total: int) -> None:
            progress.update(bar, advance=count, total=total)

        if output == STDIN:
            download(desk.prism(), content_hash, sys.stdout.buffer, seen)
            sys.stdout.buffer.flush()
            return
        path = Path(output or content_hash)
        if path.exists() and not force:
            raise CommandFailed(f"{path} is there already; --force replaces it", USAGE)
        size = download_to(desk.prism(), content_hash, path, seen)
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
    ]
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
