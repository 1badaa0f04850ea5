"""upload: when something is not as it should be."""

import hashlib
import io
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from oose.cli.sending import FormOfOneFile
from oose.cli.sources import Source
from tests.cli.asking import Asking
from tests.cli.canned import answer, canned
from tests.process.twistd import REPOSITORY, Place

LOGIN = answer(b'{"session": {"token": "t"}}')
DONE = answer(b"{}")


def sha1(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def kept(data: bytes) -> bytes:
    """The answer to an upload."""
    file = {"hash": sha1(data), "size": len(data), "name": "a"}
    return answer(json.dumps({"files": {"file": file}}).encode())


def profile_with_token(place: Place, folder: Path, token: str) -> str:
    path = folder / "with-token.toml"
    path.write_text((place.root / "login.toml").read_text() + f'token = "{token}"\n')
    path.chmod(0o600)
    return str(path)


def test_a_token_that_has_ended_is_replaced_before_a_body_is_sent(
    oose: Asking, place: Place, tmp_path: Path
) -> None:
    profile = profile_with_token(place, tmp_path, "old")
    said = oose("--profile", profile, "upload", "-", stdin=b"only once")
    assert said.code == 0, said.err
    assert said.out == f"{sha1(b'only once')}  stdin\n"


def test_a_wrong_login_is_tried_once_not_for_every_file(oose: Asking, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"x")
    heads: list[bytes] = []
    refusal = answer(b'{"error": "Invalid username or password"}', "401 Unauthorized")
    with canned([refusal, refusal], heads) as url:
        said = oose("--url", url, "upload", "a", "b", "c")
    assert (said.code, said.err) == (3, "oose: Invalid username or password\n")
    assert len(heads) == 1


def test_a_prism_that_goes_away_leaves_the_rest_undone(oose: Asking, tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    with canned([LOGIN, kept(b"a"), b"", DONE]) as url:
        said = oose("--url", url, "upload", "a", "b", "c")
    assert said.code == 5
    assert said.out == f"{sha1(b'a')}  a\n"
    assert "oose: b: " in said.err
    assert "oose: c: " not in said.err
    assert said.err.endswith("oose: Not uploaded: 2 of 3 files\n")


def test_as_json_what_was_done_is_told_even_when_interrupted(
    oose: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    opened = Source.open

    def interrupted(source: Source) -> Any:
        if source.shown == "b":
            raise KeyboardInterrupt
        return opened(source)

    monkeypatch.setattr(Source, "open", interrupted)
    said = oose("--json", "upload", "a", "b")
    assert said.code == 130
    assert [each["path"] for each in said.json()] == ["a"]
    assert json.loads(said.err) == {"error": "interrupted"}


def test_as_json_nothing_else_is_on_stderr_than_json(oose: Asking, tmp_path: Path) -> None:
    result = {"hash": sha1(b"x"), "size": 1, "name": "a", "count": 1, "wanted": 2}
    (tmp_path / "a").write_bytes(b"x")
    sent = answer(json.dumps({"files": {"file": result}}).encode())
    with canned([LOGIN, sent, DONE]) as url:
        said = oose("--json", "--url", url, "upload", "a", "missing")
    assert said.code == 1
    assert [list(json.loads(line)) for line in said.err.splitlines()] == [["warning"], ["error"]]
    assert "1 of 1 file with fewer copies" in said.err


@pytest.mark.parametrize("body", [b"{}", b'{"files": 1}', b'{"files": {"file": ["x"]}}'])
def test_an_answer_that_is_none_is_told_so(oose: Asking, tmp_path: Path, body: bytes) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with canned([LOGIN, answer(body), DONE]) as url:
        said = oose("--url", url, "upload", "a")
    assert said.code == 5
    assert "not one of a prism" in said.err
    with canned([answer(body)]) as url:
        said = oose("--url", url, "upload", "a")
    assert said.code == 5
    assert "not one of a prism" in said.err


def test_a_file_that_cannot_be_read_to_its_end_is_to_blame(
    oose: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bad(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    (tmp_path / "a").write_bytes(b"x")
    monkeypatch.setattr(Source, "open", lambda source: Bad())
    said = oose("upload", "a")
    assert said.code == 1
    assert "a: The file cannot be read: Input/output error" in said.err


def test_a_name_is_for_stdin_and_stdin_is_read_once(oose: Asking) -> None:
    assert "--name is for" in oose("upload", "a", "--name", "b").err
    assert "only once" in oose("upload", "-", "-").err


def on_a_terminal(place: Place, folder: Path, *arguments: str) -> tuple[bytes, bytes]:
    """Run the command with a terminal for stderr only: what went to stdout, and there."""
    ours, theirs = pty.openpty()
    with (folder / "stdout").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "oose", "--profile", str(place.root / "login.toml"), *arguments],
            stdout=out,
            stderr=theirs,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm", "COLUMNS": "200"},
        )
    os.close(theirs)
    seen = b""
    with os.fdopen(ours, "rb", buffering=0) as terminal, suppress(OSError):
        while some := terminal.read(65536):  # `OSError`: nobody has the other side any more
            seen += some
    assert process.wait(60) == 0, seen
    return (folder / "stdout").read_bytes(), seen


def test_whoever_watches_sees_progress_and_stdout_has_the_results_alone(
    oose: Asking, place: Place, tmp_path: Path
) -> None:
    folder = tmp_path / "a["
    folder.mkdir()
    (folder / "b].txt").write_bytes(b"no markup")
    (folder / "c.txt").write_bytes(b"c" * 3_000_000)
    out, seen = on_a_terminal(place, tmp_path, "upload", "a[")
    assert out.decode().splitlines() == [
        f"{sha1(b'no markup')}  a[/b].txt",
        f"{sha1(b'c' * 3_000_000)}  a[/c.txt",
    ]
    assert b"1/2 a[/b].txt" in seen
    assert b"MB" in seen
    out, seen = on_a_terminal(place, tmp_path, "download", sha1(b"c" * 3_000_000), "-o", "-")
    assert out == b"c" * 3_000_000
    assert sha1(out).encode() in seen


def test_what_is_left_out_of_a_folder_is_said(oose: Asking, tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "f" / "link").symlink_to(tmp_path / "secret")
    said = oose("upload", "f")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines() == [
        "oose: f/link: a link out of the folder, which is not followed",
        "oose: There is nothing to upload",
    ]
    (tmp_path / "f" / "a").write_bytes(b"a")
    said = oose("upload", "f")
    assert (said.code, said.out) == (0, f"{sha1(b'a')}  f/a\n")


def sent_to_one_who_chooses(oose: Asking, name: str, data: bytes) -> Any:
    """Upload a file to a prism that calls content by its sha256, and has `data` afterwards."""
    file = {"hash": hashlib.sha256(data).hexdigest(), "size": len(data), "name": name}
    sent = answer(json.dumps({"files": {"file": file}}).encode())
    with canned([LOGIN, sent, DONE]) as url:
        return oose("--url", url, "upload", name)


def test_without_a_hash_type_the_prism_chooses_one(
    oose: Asking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"a film")
    forms: list[bytes] = []
    begun = FormOfOneFile.__init__

    def begin(form: Any, *arguments: Any) -> None:
        begun(form, *arguments)
        forms.append(form._head)

    monkeypatch.setattr(FormOfOneFile, "__init__", begin)
    said = sent_to_one_who_chooses(oose, "a", b"a film")
    assert said.out == f"{hashlib.sha256(b'a film').hexdigest()}  a\n"
    assert oose("upload", "a", "--hash-type", "md5").code == 0
    assert [b"hashType" in form for form in forms] == [False, True]


def test_other_bytes_are_noticed_whatever_the_prism_calls_them_by(
    oose: Asking, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"a film")
    said = sent_to_one_who_chooses(oose, "a", b"b film")
    assert said.code == 1
    assert "The bytes changed on their way" in said.err


def test_what_cannot_be_read_again_is_compared_by_its_size() -> None:
    form = FormOfOneFile(io.BytesIO(b"a pipe"), "x", None, None, lambda count: None)
    assert b"a pipe" in b"".join(form)
    other = hashlib.sha256(b"b pipe").hexdigest()
    assert form.may_have(other, 6)
    assert not form.may_have(other, 7)
    assert not form.may_have(sha1(b"b pipe"), 6)
