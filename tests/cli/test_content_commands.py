"""upload, download, detail and purchase against a real prism."""

import hashlib
import json
import os
import urllib.request
from pathlib import Path

import pytest

from tests.cli.asking import Asking
from tests.cli.canned import answer, canned
from tests.process.twistd import Place

NOBODY = hashlib.sha1(b"nobody has this").hexdigest()


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def test_files_and_folders_are_uploaded(oose: Asking, tmp_path: Path) -> None:
    folder = tmp_path / "films" / "new"
    folder.mkdir(parents=True)
    (folder / "b.mp4").write_bytes(b"b")
    (folder.parent / "a.mp4").write_bytes(b"a" * 1_000_000)
    (tmp_path / "c.txt").write_bytes(b"c")
    said = oose("upload", "films", "c.txt")
    assert said.code == 0, said.err
    assert said.out.splitlines() == [
        f"{sha1(b'a' * 1_000_000)}  films/a.mp4",
        f"{sha1(b'b')}  films/new/b.mp4",
        f"{sha1(b'c')}  c.txt",
    ]


def test_stdin_is_uploaded_under_a_name(oose: Asking) -> None:
    said = oose("--json", "upload", "-", "--name", 'x"y.txt', "--hash-type", "md5", stdin=b"hello")
    assert said.code == 0, said.err
    [result] = said.json()
    assert result["name"] == 'x"y.txt'
    assert result["hash"] == hashlib.md5(b"hello").hexdigest()
    assert oose("upload", "-", stdin=b"hello").out.endswith("stdin\n")


def test_fewer_copies_than_wanted_are_said(oose: Asking, tmp_path: Path) -> None:
    result = {"hash": sha1(b"x"), "size": 1, "name": "a", "count": 1, "wanted": 2}
    body = json.dumps({"files": {"file": result}}).encode()
    (tmp_path / "a").write_bytes(b"x")
    with canned([answer(LOGIN), answer(body), answer(b"{}")]) as url:
        said = oose("--url", url, "upload", "a")
    assert said.code == 0
    assert "1 of 1 file with fewer copies than wanted: 1 of 2" in said.err


LOGIN = b'{"session": {"token": "t"}}'


def test_bytes_that_changed_on_their_way_are_noticed(oose: Asking, tmp_path: Path) -> None:
    result = {"hash": NOBODY, "size": 1, "name": "a"}
    body = json.dumps({"files": {"file": result}}).encode()
    (tmp_path / "a").write_bytes(b"x")
    with canned([answer(LOGIN), answer(body), answer(b"{}")]) as url:
        said = oose("--json", "--url", url, "upload", "a")
    assert said.code == 1
    assert "changed on their way" in said.json()[0]["error"]
    assert json.loads(said.err.splitlines()[-1])["error"] == "Not uploaded: 1 of 1 file"


def test_a_file_that_is_not_there_does_not_keep_the_others(oose: Asking, tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_bytes(b"there")
    said = oose("upload", "missing.txt", "there.txt")
    assert said.code == 1
    assert "missing.txt: No such file or directory" in said.err
    assert said.out == f"{sha1(b'there')}  there.txt\n"


def test_a_file_that_changes_while_it_is_sent_is_not_uploaded(
    oose: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello")
    for wrong in (3, 9):
        monkeypatch.setattr("oose.cli.uploading.size_of", lambda file, wrong=wrong: wrong)
        said = oose("upload", "a.txt")
        assert said.code == 1
        assert "changed while it was sent" in said.err


def test_a_prism_that_is_away_ends_the_command(oose: Asking, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")
    said = oose("--url", "http://127.0.0.1:1", "upload", "a", "b")
    assert said.code == 5
    assert "cannot be reached: Connection refused" in said.err
    assert "b:" not in said.err


def test_an_early_refusal_is_told_as_what_it_is(
    oose: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        file.truncate(300_000_000)
    monkeypatch.setenv("OOSE_TOKEN", "no-such-session")
    said = oose("upload", "big.bin")
    assert said.code == 3
    assert "session is unknown or has ended" in said.err


def test_a_wrong_password_is_told(oose: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OOSE_USERNAME", "nobody")
    monkeypatch.setenv("OOSE_PASSWORD", "wrong password")
    said = oose("detail", NOBODY)
    assert said.code == 3
    assert said.err == "oose: Invalid username or password\n"


def test_a_session_that_ended_is_opened_again(
    oose: Asking, place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / "login.toml"
    profile.write_text((place.root / "login.toml").read_text() + 'token = "old"\n')
    profile.chmod(0o600)
    said = oose("--profile", str(profile), "detail", NOBODY)
    assert said.code == 4
    assert f"not there: {NOBODY}" in said.err


def test_nobody_is_asked_to_log_in(oose: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OOSE_PROFILE")
    said = oose("detail", NOBODY)
    assert said.code == 3
    assert "OOSE_USERNAME" in said.err


def test_content_comes_back_as_it_went(oose: Asking, tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "a.bin").write_bytes(data)
    content_hash = oose("upload", "a.bin").out.split()[0]
    assert oose("download", content_hash, "-o", "-").raw == data
    said = oose("--json", "download", content_hash, "-o", "b.bin")
    assert said.json() == {"hash": content_hash, "path": "b.bin", "size": len(data)}
    assert (tmp_path / "b.bin").read_bytes() == data
    again = oose("download", content_hash, "-o", "b.bin")
    assert again.code == 2
    assert "--force" in again.err
    assert oose("download", content_hash, "-o", "b.bin", "--force").code == 0
    assert oose("download", content_hash).code == 0
    assert (tmp_path / content_hash).read_bytes() == data


def test_what_is_not_there_leaves_no_file(oose: Asking, tmp_path: Path) -> None:
    said = oose("download", NOBODY, "-o", "x")
    assert said.code == 4
    assert NOBODY in said.err
    assert oose("download", NOBODY, "-o", "no/such/folder").code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (answer(b"hel", length=5), "broke off after 3 of 5 bytes"),
        (answer(b"jello"), "of no use"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "broke off after"),
    ],
)
def test_a_broken_download_leaves_no_file(
    oose: Asking, tmp_path: Path, sent: bytes, words: str
) -> None:
    with canned([answer(LOGIN), sent, answer(b"{}")]) as url:
        said = oose("--url", url, "download", sha1(b"hello"), "-o", "x")
    assert said.code in {1, 5}
    assert words in said.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nhello", 0),  # of no known length: the hash tells
        (answer(b"{}", "206 Partial Content"), 5),
    ],
)
def test_a_download_is_what_its_hash_says(
    oose: Asking, tmp_path: Path, sent: bytes, code: int
) -> None:
    with canned([answer(LOGIN), sent, answer(b"{}")]) as url:
        said = oose("--url", url, "download", sha1(b"hello"), "-o", "x")
    assert said.code == code, said.err
    assert (tmp_path / "x").exists() == (code == 0)


def test_a_device_is_written_to_and_a_folder_is_not_replaced(oose: Asking, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"to a pipe")
    content_hash = oose("upload", "a.txt").out.split()[0]
    os.mkfifo(tmp_path / "pipe")
    with os.fdopen(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK), "rb") as reading:
        assert oose("download", content_hash, "-o", "pipe").code == 0
        assert reading.read() == b"to a pipe"
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "folder").mkdir()
    said = oose("download", content_hash, "-o", "folder", "--force")
    assert said.code == 2
    assert "is a folder" in said.err


def test_details_are_a_table_or_json(oose: Asking, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"detail")
    content_hash = oose("upload", "a.txt").out.split()[0]
    said = oose("detail", content_hash.upper())
    assert said.code == 0
    assert content_hash in said.out
    assert "prism1:store1" in said.out
    one = oose("detail", content_hash, NOBODY)
    assert one.out == said.out
    assert one.err == f"oose: not there: {NOBODY}\n"
    assert oose("detail", NOBODY).out == ""
    both = oose("--json", "detail", content_hash, NOBODY)
    assert both.code == 4
    assert both.json()[content_hash]["exists"]
    assert not both.json()[NOBODY]["exists"]


def test_a_purchase_is_a_url_that_works_until_it_is_removed(oose: Asking, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"for sale")
    content_hash = oose("upload", "a.txt").out.split()[0]
    said = oose("purchase", content_hash, "--ext", "txt", "--any-referrer", "--life", "2h")
    assert said.code == 0, said.err
    url = said.out.strip()
    with urllib.request.urlopen(url) as delivered:
        assert delivered.read() == b"for sale"
    token = url.split("/")[3]
    assert oose("purchase", "--remove", token).out == "removed\n"
    assert oose("purchase", "--remove", token).out == "there was none\n"
    sold = oose(
        "--json",
        "purchase",
        content_hash,
        "--ext",
        ".TXT",
        "--referrer",
        "a.example",
        "--referrer",
        "b.example",
    ).json()
    assert sold["referrer"] == "a.example,b.example"
    assert sold["url"].endswith(f"{content_hash}.txt")


def test_a_purchase_needs_what_it_needs(oose: Asking) -> None:
    for arguments in ((), (NOBODY,), (NOBODY, "--ext", "txt"), ("--ext", "txt", "--any-referrer")):
        said = oose("purchase", *arguments)
        assert said.code == 2
        assert "needed" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("detail", "aaf4c6"),
        ("download", "../x"),
        ("purchase", NOBODY, "--ext", "../x"),
        ("purchase", NOBODY, "--ext", "txt", "--life", "soon"),
        ("upload",),
        ("upload", "-", "--hash-type", "crc32"),
    ],
)
def test_bad_arguments_are_wrong_usage(oose: Asking, arguments: tuple[str, ...]) -> None:
    said = oose(*arguments)
    assert said.code == 2
    assert "Error" in said.err
