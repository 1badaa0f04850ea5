"""The documents for operators name commands and options that there are."""

from pathlib import Path

import click
import pytest

from oose.cli import command
from tests.operations import AS_ROOT, DOCUMENTS, RUN, blocks, check, commands_in, filled, spans

MEANT = {"NAME": "store1", "PRISM": "prism1", "HASH": "2d9853a8" * 5}
# Come with `oose install`; from then on they are looked at like all others.
OF_THE_INSTALLER = {"install", "upgrade", "uninstall"} - set(command.commands)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_each_block_says_who_may_run_it(document: Path) -> None:
    assert {each.info for each in blocks(document)} <= {RUN, AS_ROOT}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_commands_are_known_with_their_options(document: Path) -> None:
    for block in blocks(document):
        for words in block.commands:
            if words[0] == "oose" and words[1] not in OF_THE_INSTALLER:
                check([filled(each, MEANT) for each in words[1:]])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)
def test_commands_within_the_text_are_known(document: Path) -> None:
    for words in spans(document):
        if words[1] not in OF_THE_INSTALLER:
            check([filled(each, MEANT) for each in words[1:]], whole=False)


def test_every_document_is_in_the_list_of_them() -> None:
    text = DOCUMENTS[0].with_name("README.md").read_text("utf-8")
    others = [each.name for each in DOCUMENTS if each.name != "README.md"]
    assert [each for each in others if f"({each})" not in text] == []


@pytest.mark.parametrize(
    "words", [["peer", "lst"], ["peer"], ["peer", "list", "--nonsense"], ["peer", "show"]]
)
def test_what_is_no_command_is_found(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        check(words)


def test_what_is_not_begun_like_a_command_is_found() -> None:
    check(["peer"], whole=False)
    check(["remove", "--from"], whole=False)
    with pytest.raises(click.UsageError):
        check(["remove", "--form"], whole=False)


def test_lines_of_shell_are_told_apart() -> None:
    line = "printf %s \"$A\" | oose user add 'b c' --password-stdin >out 2>/dev/null && d # e"
    assert list(commands_in(line)) == [
        ["printf", "%s", "$A"],
        ["oose", "user", "add", "b c", "--password-stdin", "2"],
        ["d"],
    ]
