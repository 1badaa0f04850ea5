"""Commands that remove content, and that protect it from that."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from oose.cli.arguments import HASH
from oose.cli.counted import counted
from oose.cli.desk import Desk
from oose.cli.exits import NOT_ALLOWED, NOT_FOUND, CommandFailed
from oose.cli.hashes import FROM, asked_for
from oose.counting import some

AT_ONCE = 100  # hashes in one request
PAGE = 1000  # the same, where little is done for each
Answers = Iterator[tuple[str, Mapping[str, Any] | CommandFailed]]


@click.command("remove")
@click.argument("hashes", metavar="[HASH]...", type=HASH, nargs=-1)
@FROM
@click.option("--pretend", is_flag=True, help="Only say what would be removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove_command(
    desk: Desk, hashes: tuple[str, ...], source: str | None, *, pretend: bool, yes: bool
) -> None:
    """Remove content for good: all of its clones, and whatever was sold of it.

    A store that cannot be reached now puts its clone into quarantine when it is back. What is cut
    short is finished by the same command again.
    """
    wanted = asked_for(hashes, source)
    if not (pretend or yes):
        if not is_watched():
            raise click.UsageError(
                "There is no terminal to ask at: --yes removes, --pretend only says what would go"
            )
        what = wanted[0] if len(wanted) == 1 else f"{len(wanted)} contents"
        click.confirm(f"Remove {what}, all clones?", abort=True, err=True)
    done: list[Mapping[str, Any]] = []
    failed: list[tuple[str, CommandFailed]] = []
    try:
        with counted(desk, "Removing", len(wanted)) as tell:
            for content_hash, answer in removed(desk, wanted, pretend=pretend):
                if isinstance(answer, CommandFailed):
                    failed.append((content_hash, answer))
                else:
                    done.append(answer)
                tell(len(done) + len(failed), len(done) + len(failed))
    finally:  # also where it was cut short
        errors = [{"hash": each, "error": error.message} for each, error in failed]
        show(desk, {"removed": done, "failed": errors}, [in_words(each, pretend) for each in done])
        for _, error in failed:
            desk.warn(error.message)
    if failed:
        raise CommandFailed(f"Not removed: {len(failed)} of {len(wanted)}", failed[0][1].code)


@click.command("protect")
@click.argument("hashes", metavar="[HASH]...", type=HASH, nargs=-1)
@FROM
@click.option("--no", "release", is_flag=True, help="Protect them no more.")
@click.option("--list", "listing", is_flag=True, help="List all that is protected instead.")
@click.pass_obj
def protect_command(
    desk: Desk, hashes: tuple[str, ...], source: str | None, *, release: bool, listing: bool
) -> None:
    """Let no tool remove content, or any clone of it."""
    if listing:
        if hashes or source is not None or release:
            raise click.UsageError("--list goes with nothing else")
        found = list(protected(desk))
        show(desk, found, found)
        return
    wanted = asked_for(hashes, source)
    value = {"protected": not release}
    answers: list[Mapping[str, Any]] = []
    says = "not protected any more" if release else "protected"
    for start in range(0, len(wanted), PAGE):
        asked = {"hash": wanted[start : start + PAGE], **value}
        answers += desk.prism().call_as_peer("/content/protect", asked).values()
    show(desk, answers, [f"{each['hash']}  {says}" for each in answers])


# Behind the commands.


def is_watched() -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin.isatty()


def removed(desk: Desk, wanted: Sequence[str], *, pretend: bool) -> Answers:
    """What becomes of each. Where some of many are refused they are asked for one by one."""

    def ask(hashes: Sequence[str]) -> Mapping[str, Any]:
        asked = {"hash": hashes[0] if len(hashes) == 1 else hashes, "pretend": pretend}
        answer: Mapping[str, Any] = desk.prism().call_as_peer("/content/remove", asked)
        return {hashes[0]: answer} if len(hashes) == 1 else answer

    for start in range(0, len(wanted), AT_ONCE):
        some_of_them = wanted[start : start + AT_ONCE]
        try:
            yield from ask(some_of_them).items()
        except CommandFailed as error:
            if error.code not in {NOT_FOUND, NOT_ALLOWED}:
                raise
            yield from one_by_one(ask, some_of_them)


def one_by_one(ask: Callable[[Sequence[str]], Mapping[str, Any]], hashes: Sequence[str]) -> Answers:
    """The same, with those that are not there or are protected among them."""
    for each in hashes:
        try:
            yield from ask([each]).items()
        except CommandFailed as error:
            if each not in error.message:  # it is not about this content
                raise
            yield each, error


def in_words(answer: Mapping[str, Any], pretend: bool) -> str:
    """A line about one."""
    verb = "would remove" if pretend else "removed"
    words = [f"{verb} {some(answer['removed'], 'clone')}"]
    if answer["waiting"]:
        words.append(f"still to go from {' '.join(answer['waiting'])}")
    if answer.get("purchases"):
        words.append(f"ended {some(answer['purchases'], 'purchase')}")
    return f"{answer['hash']}  {', '.join(words)}"


def protected(desk: Desk) -> Iterator[str]:
    """All that is protected."""
    after: str | None = None
    while True:
        asked = {} if after is None else {"after": after}
        page = desk.prism().call_as_peer("/content/protected", asked)
        yield from page["hashes"]
        after = page["after"]
        if after is None:
            return


def show(desk: Desk, value: object, lines: Sequence[str]) -> None:
    """A line each, or all as JSON."""
    if lines or desk.as_json:
        desk.result(value, "\n".join(lines))
