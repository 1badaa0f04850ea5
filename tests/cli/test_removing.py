"""remove, protect and quarantine against a real prism."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.cli.asking import Asking
from tests.cli.canned import answer, canned
from tests.process.twistd import Place

NOBODY = hashlib.sha1(b"nobody has this").hexdigest()


@pytest.fixture
def hashes(oose: Asking, tmp_path: Path) -> list[str]:
    """Some content."""
    for number in range(3):
        (tmp_path / f"{number}.txt").write_bytes(b"content %d" % number)
    said = oose("upload", *(f"{number}.txt" for number in range(3)))
    assert said.code == 0, said.err
    return [line.split()[0] for line in said.out.splitlines()]


def is_there(oose: Asking, content_hash: str) -> bool:
    return oose("detail", content_hash).code == 0


def test_content_is_removed(oose: Asking, hashes: list[str]) -> None:
    oose("purchase", hashes[0], "--ext", "txt", "--any-referrer")
    said = oose("remove", hashes[0], "--yes")
    assert (said.code, said.err) == (0, "")
    assert said.out == f"{hashes[0]}  removed 1 clone, ended 1 purchase\n"
    assert [is_there(oose, each) for each in hashes] == [False, True, True]
    again = oose("--json", "remove", hashes[0], "--yes").json()
    assert again["failed"] == []
    assert again["removed"][0]["removed"] == 0


def test_many_are_named_in_a_file_or_on_stdin(
    oose: Asking, hashes: list[str], tmp_path: Path
) -> None:
    (tmp_path / "list").write_text(f"{hashes[0]}  film.mp4\n\n{hashes[1].upper()}\n")
    said = oose("remove", "--from", "list", hashes[1], "--yes")
    assert said.code == 0, said.err
    assert sorted(said.out.split()[::4]) == sorted(hashes[:2])
    said = oose("remove", "--from", "-", "--yes", stdin=f"{hashes[2]}\n")
    assert said.code == 0, said.err
    assert [is_there(oose, each) for each in hashes] == [False, False, False]


@pytest.mark.parametrize("command", ["remove", "protect"])
def test_what_is_no_hash_changes_nothing(
    oose: Asking, hashes: list[str], tmp_path: Path, command: str
) -> None:
    (tmp_path / "list").write_text(f"{hashes[0]}\nnonsense\n")
    said = oose(command, hashes[1], "--from", "list")
    assert said.code == 2
    assert "list, line 2: 'nonsense' is not a hash" in said.err
    assert oose(command).code == 2
    assert oose(command, "--from", "-", stdin="\n").code == 2
    missing = oose(command, "--from", "nowhere")
    assert (missing.code, missing.err) == (1, "oose: nowhere: No such file or directory\n")
    assert [is_there(oose, each) for each in hashes] == [True, True, True]


@pytest.mark.parametrize(("says", "stays"), [("n\n", True), ("y\n", False)])
def test_at_a_terminal_it_is_asked_before(
    oose: Asking, hashes: list[str], monkeypatch: pytest.MonkeyPatch, says: str, stays: bool
) -> None:
    monkeypatch.setattr("oose.cli.removing.is_watched", lambda: True)
    said = oose("remove", *hashes[:2], stdin=says)
    assert "Remove 2 contents, all clones?" in said.err
    assert said.code == (130 if stays else 0)
    assert is_there(oose, hashes[0]) is stays
    said = oose("remove", hashes[2], stdin="n\n")
    assert f"Remove {hashes[2]}, all clones?" in said.err
    assert oose("remove", hashes[2], "--pretend").code == 0
    assert oose("remove", hashes[2], "--yes").code == 0
    assert not is_there(oose, hashes[2])


def test_without_a_terminal_nothing_is_removed_unless_it_is_said(
    oose: Asking, hashes: list[str]
) -> None:
    said = oose("remove", hashes[0], stdin="n\n")
    assert (said.code, said.out) == (2, "")
    assert "There is no terminal to ask at: --yes removes" in said.err
    assert is_there(oose, hashes[0])


def test_what_would_go_is_only_said(oose: Asking, hashes: list[str]) -> None:
    said = oose("remove", "--pretend", *hashes)
    assert said.out.splitlines() == [f"{each}  would remove 1 clone" for each in hashes]
    assert is_there(oose, hashes[0])


def test_those_that_are_refused_do_not_keep_the_others(oose: Asking, hashes: list[str]) -> None:
    assert oose("protect", hashes[1]).out == f"{hashes[1]}  protected\n"
    said = oose("--json", "remove", hashes[0], NOBODY, hashes[1], "--yes")
    assert said.code == 4
    assert [each["hash"] for each in said.json()["removed"]] == [hashes[0]]
    failed = {each["hash"]: each["error"] for each in said.json()["failed"]}
    assert list(failed) == [NOBODY, hashes[1]]
    assert f"oose protect --no {hashes[1]}" in failed[hashes[1]]
    assert json.loads(said.err.splitlines()[-1]) == {"error": "Not removed: 2 of 3"}
    said = oose("remove", hashes[1], "--yes")
    assert (said.code, said.out) == (3, "")
    assert "is protected" in said.err
    assert oose("protect", "--no", hashes[1]).out == f"{hashes[1]}  not protected any more\n"
    assert oose("remove", hashes[1], "--yes").code == 0


def test_protected_content_is_listed(
    oose: Asking, hashes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert oose("protect", "--list").out == ""
    assert oose("--json", "protect", *hashes[:2]).json()[0]["protected"] is True
    assert oose("protect", "--list").out.split() == sorted(hashes[:2])
    assert oose("--json", "protect", "--list").json() == sorted(hashes[:2])
    for more in (("--no",), (hashes[0],), ("--from", "-")):
        assert oose("protect", "--list", *more).code == 2
    assert oose("protect", NOBODY).code == 4
    oose("protect", "--no", *hashes)
    monkeypatch.setattr("oose.cli.removing.PAGE", 1)
    assert len(oose("--json", "protect", *hashes).json()) == 3
    assert len(oose("--json", "protect", "--no", *hashes).json()) == 3


def test_pages_of_protected_content_are_put_together(oose: Asking) -> None:
    pages = [
        answer(json.dumps({"hashes": ["a"], "after": "a"}).encode()),
        answer(json.dumps({"hashes": ["b"], "after": None}).encode()),
    ]
    with canned(pages) as url:
        assert oose("--url", url, "protect", "--list").out == "a\nb\n"


REFUSED = answer(b'{"error": "Not for you"}', "401 Unauthorized")
ONE = {"hash": NOBODY, "removed": 1, "waiting": ["p1:s2", "p2:s1"]}


def test_who_is_not_allowed_at_all_is_not_asked_for_each(oose: Asking) -> None:
    with canned([REFUSED, REFUSED]) as url:
        said = oose("--url", url, "remove", NOBODY, "0" * 40, "--yes")
    assert (said.code, said.out) == (3, "")
    assert said.err == "oose: Not for you\n"


def test_what_was_removed_before_it_was_cut_short_is_said(
    oose: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oose.cli.removing.AT_ONCE", 1)
    away = answer(b'{"error": "The database is away"}', "503 Service Unavailable")
    with canned([answer(json.dumps(ONE).encode()), away]) as url:
        said = oose("--url", url, "remove", NOBODY, "0" * 40, "--yes")
    assert said.code == 5
    assert said.out == f"{NOBODY}  removed 1 clone, still to go from p1:s2 p2:s1\n"
    assert said.err == "oose: The database is away\n"


# Quarantine


def put_aside(place: Place, content_hash: str, note: str | None) -> Path:
    """Let the file of content be in quarantine."""
    [path] = [each for each in place.files("content") if each.stem == content_hash]
    target = place.disk / "quarantine" / path.name
    path.rename(target)
    if note is not None:
        target.with_name(target.name + ".why.json").write_text(note)
    return target


NOTES = {
    '{"removed": 1}': "the content was removed",
    '{"found": "abc", "at": 1}': "corrupt: its hash is abc",
    '{"hash": "abc", "found": "abc", "sha256": "def", "at": 1}': "forged: its sha256 is def",
    '{"error": "Input/output error"}': "cannot be read: Input/output error",
    "{}": "there is no note",
}


@pytest.mark.parametrize(("note", "words"), NOTES.items())
def test_what_was_put_aside_is_listed_and_comes_back(
    oose: Asking, place: Place, hashes: list[str], note: str, words: str
) -> None:
    assert oose("quarantine", "list").out == ""
    put_aside(place, hashes[0], note)
    oose("remove", hashes[0], "--yes")
    said = oose("quarantine", "list")
    assert said.code == 0, said.err
    assert f"{hashes[0]}.txt" in said.out
    assert words in said.out
    [file] = oose("--json", "quarantine", "list", "store1").json()
    assert (file["store"], file["hash"], file["why"]) == ("store1", hashes[0], json.loads(note))
    said = oose("quarantine", "restore", hashes[0], "--store", "store1")
    assert said.code == 0, said.err
    assert said.out.startswith(f"{hashes[0]} is on ")
    assert is_there(oose, hashes[0])
    assert oose("quarantine", "restore", hashes[0], "--store", "store1").code == 4
    assert oose("--json", "quarantine", "list").json() == []


def test_stores_that_are_away_are_named(oose: Asking) -> None:
    with canned([answer(b'{"stores": [], "away": ["p1:s2"]}')]) as url:
        said = oose("--url", url, "quarantine", "list")
    assert (said.code, said.out) == (5, "")
    assert said.err == (
        "oose: The store p1:s2 is not available\noose: Not all stores could be asked\n"
    )


def test_a_store_that_cannot_be_asked_does_not_keep_the_others(oose: Asking) -> None:
    file = {"name": "a.txt", "hash": "a", "size": 1, "since": 1, "why": {}}
    answers = [
        {"stores": ["p1:s1", "p1:s2"]},
        {"files": [file], "after": "a.txt"},
        {"files": [{**file, "name": "b.txt"}], "after": None},
    ]
    away = answer(b'{"error": "p1:s2 is away"}', "503 Service Unavailable")
    with canned([*(answer(json.dumps(each).encode()) for each in answers), away]) as url:
        said = oose("--url", url, "quarantine", "list")
    assert said.code == 5
    assert [line.split()[1] for line in said.out.splitlines()] == ["file", "a.txt", "b.txt"]
    assert said.err == "oose: p1:s2 is away\noose: Not all stores could be asked\n"
