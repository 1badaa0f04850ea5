"""The command to upload files, folders and stdin."""

from collections.abc import Iterator, Sequence
from typing import Any

import click

from oose.address import HASH_TYPES
from oose.cli.desk import Desk
from oose.cli.exits import NOT_ALLOWED, UNAVAILABLE, CommandFailed
from oose.cli.sending import upload
from oose.cli.sources import STDIN, Source, size_of, sources
from oose.counting import some

HOPELESS = {NOT_ALLOWED, UNAVAILABLE}  # no other file would fare better


@click.command("upload")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--name", help="The name of what comes from stdin (PATH is -).")
@click.option(
    "--hash-type", type=click.Choice(list(HASH_TYPES)), help="What the prism is to call it by."
)
@click.pass_obj
def upload_command(
    desk: Desk, paths: tuple[str, ...], name: str | None, hash_type: str | None
) -> None:
    """Upload files, folders or stdin (-). Prints hash and path of each."""
    if name is not None and STDIN not in paths:
        raise click.UsageError("--name is for what comes from stdin: PATH has to be -")
    if paths.count(STDIN) > 1:
        raise click.UsageError("stdin (-) can be read only once")
    desk.prism().be_logged_in()
    done = Done(desk)
    try:
        files = list(wanted(desk, paths))
        for number, source in enumerate(files, start=1):
            title = source.shown if len(files) == 1 else f"{number}/{len(files)} {source.shown}"
            try:
                done.succeeded(source, upload_one(desk, source, name, hash_type, title))
            except CommandFailed as error:
                done.failed(source, error)
                if error.code in HOPELESS:
                    break
    finally:
        done.show()
    done.end(len(files))


def wanted(desk: Desk, paths: Sequence[str]) -> Iterator[Source]:
    """What `paths` mean; what is left out of it is said. `CommandFailed` where nothing is left."""
    found = 0
    for source in sources(paths):
        if source.left_out is None:
            found += 1
            yield source
        else:
            desk.warn(f"{source.shown}: {source.left_out}")
    if not found:
        raise CommandFailed("There is nothing to upload")


class Done:
    """What has become of each file; told at once to people, in one piece to programs."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._results: list[dict[str, Any]] = []
        self._first_error: CommandFailed | None = None
        self._good = 0

    def succeeded(self, source: Source, result: dict[str, Any]) -> None:
        """`source` is safe: what the prism says of it."""
        self._good += 1
        self._results.append({"path": source.shown, **result})
        if not self._desk.as_json:
            name = source.shown if source.path is not None else result["name"]
            self._desk.result(result, f"{result['hash']}  {name}")

    def failed(self, source: Source, error: CommandFailed) -> None:
        """`source` was not uploaded."""
        self._first_error = self._first_error or error
        self._results.append({"path": source.shown, "error": error.message})
        if not self._desk.as_json:
            self._desk.warn(f"{source.shown}: {error.message}")

    def show(self) -> None:
        """The whole, also of a command that was interrupted."""
        if self._desk.as_json:
            self._desk.result(self._results, "")
        fewer = [each for each in self._results if each.get("count", 0) < each.get("wanted", 0)]
        if fewer:
            copies = f"{fewer[0]['count']} of {fewer[0]['wanted']}"
            files = some(self._good, "file")
            self._desk.warn(f"{len(fewer)} of {files} with fewer copies than wanted: {copies}")

    def end(self, asked: int) -> None:
        """`CommandFailed` where not all of the `asked` files were uploaded."""
        if self._first_error is not None:
            raise CommandFailed(
                f"Not uploaded: {asked - self._good} of {some(asked, 'file')}",
                self._first_error.code,
            )


def upload_one(
    desk: Desk, source: Source, name: str | None, hash_type: str | None, title: str
) -> dict[str, Any]:
    """Upload one file; what the prism says of it."""
    try:
        file = source.open()
    except OSError as error:
        raise CommandFailed(error.strerror or str(error)) from None
    size = size_of(file)
    sent_as = (name or source.shown) if source.path is None else source.path.name
    with file, desk.progress() as progress:
        bar = progress.add_task(title, total=size)

        def seen(count: int) -> None:
            progress.advance(bar, count)

        return upload(desk.prism(), file, sent_as, size, hash_type, seen)
