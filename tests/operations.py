"""The commands in the documents for operators: what is in their blocks, and whether it is known."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
from attrs import frozen

from oose.cli import command

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted((ROOT / "docs" / "operations").glob("*.md"))
RUN = "sh"  # the info string of blocks that are run as they are
AS_ROOT = "sh root"  # of those that change a real machine
NO_SHELL = {"python", "json", "ini"}  # of what is a file, or a part of one
BLOCK = re.compile(r"^( *)```([^`\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`(oose [^`\n]+)`")
BETWEEN = re.compile(r"[|&;()]+")
ELSEWHERE = re.compile(r"[<>]+")


@frozen
class Block:
    """A fenced block of a document; `line` is where it begins."""

    document: Path
    line: int
    info: str
    text: str

    @property
    def commands(self) -> Sequence[Sequence[str]]:
        """The words of each command in it, without where they read from and write to."""
        return [each for line in self.text.splitlines() for each in commands_in(line)]


def blocks(document: Path) -> Sequence[Block]:
    """All of a document that are commands, in order."""
    text = document.read_text("utf-8")
    return [
        Block(document, text.count("\n", 0, found.start()) + 1, found[2].strip(), found[3])
        for found in BLOCK.finditer(text)
        if found[2].strip() not in NO_SHELL
    ]


def spans(document: Path) -> Iterator[Sequence[str]]:
    """Commands of ours within lines of text."""
    for found in SPAN.finditer(BLOCK.sub("", document.read_text("utf-8"))):
        yield from commands_in(found[1])


def commands_in(line: str) -> Iterator[Sequence[str]]:
    """The words of each command of a line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    is_elsewhere = False
    for word in [*lexer, ";"]:
        if BETWEEN.fullmatch(word):
            if words:
                yield words
            words = []
        elif ELSEWHERE.fullmatch(word):
            is_elsewhere = True
        elif is_elsewhere:
            is_elsewhere = False
        else:
            words.append(word)


def filled(text: str, meant: Mapping[str, str]) -> str:
    """The same with what is meant for each name that stands for something."""
    for name, value in meant.items():
        text = re.sub(rf"\b{name}\b", value, text) if name.isalpha() else text.replace(name, value)
    return text


def check(words: Sequence[str], *, whole: bool = True) -> None:
    """`click.UsageError` where `oose WORDS` is no command, or takes no such option.

    With `whole` False it may be the beginning of one.
    """
    group: click.Command = command
    context = click.Context(group, info_name="oose")
    rest = list(words)
    while isinstance(group, click.Group):
        _, rest, _ = group.make_parser(context).parse_args(rest)
        if not rest:
            if whole:
                raise click.UsageError("it stops before it says what to do")
            return
        inner = group.get_command(context, rest[0])
        if inner is None:
            raise click.UsageError(f"there is no command {rest[0]!r}")
        group, context = inner, click.Context(inner, context, rest.pop(0))
    if whole:
        group.make_context(group.name, rest, context.parent)
    else:
        options = [each for each in rest if each.startswith("-")]
        known = {name for each in group.params for name in (*each.opts, *each.secondary_opts)}
        if unknown := [each for each in options if each not in known]:
            raise click.UsageError(f"there is no option {unknown[0]}")
