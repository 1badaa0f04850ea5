"""clones: list, show, set, to, off, verify, with stores over real connections."""

import hashlib
import json
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import evolve
from click.testing import CliRunner

from oose.attempts import LoginAttempts
from oose.cli import workshop
from oose.logins import Logins
from oose.tls import SELF_SIGNED, self_signed
from tests.cli.asking import Asking
from tests.cli.on_reactor import AskingBeside
from tests.cli.shops import THREE, Shop, shop
from tests.machine.elsewhere import until
from tests.unit.kept import MemorySessions, OneUser

UNKNOWN = "ab" * 20


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> AskingBeside:
    monkeypatch.delenv("OOSE_CONFIG", raising=False)
    return AskingBeside.make(Asking(CliRunner()), monkeypatch)


async def three(made: Shop) -> list[str]:
    """Content with one, two and three clones."""
    return [
        await made.put(b"one", "s1"),
        await made.put(b"two", "s1", "s2"),
        await made.put(b"three", "s1", "s2", "s3"),
    ]


# Which content.


@pytest_twisted.ensureDeferred
async def test_content_is_listed_by_how_many_clones_it_has_and_where(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        one, two, more = await three(made)
        assert await made.listed() == {one: 1, two: 2, more: 3}
        assert await made.listed("--all", "--block", "1") == {one: 1, two: 2, more: 3}
        for arguments, expected in (
            (("--above", "1"), {two, more}),
            (("--below", "2"), {one}),
            (("--at", "2"), {two}),
            (("--store", "s3"), {more}),
            (("--store", "p1:s2", "--store", "s3", "--below", "3"), {two}),
            (("--prism", "p1", "--at", "1"), {one}),
            (("--hash", one, "--hash", two.upper()), {one, two}),
            (("--hash", UNKNOWN), {UNKNOWN}),
        ):
            assert set(await made.listed(*arguments)) == expected, arguments


@pytest_twisted.ensureDeferred
async def test_a_line_says_what_is_wished_and_who_is_away(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        one, two, _ = await three(made)
        await made.note(two, wanted=3)
        await made.made.change("p1:s2", available=False)
        said = await made("clones", "list", "--below", "2", "--hash", one, "--hash", two)
        head, *lines = said.out.splitlines()
        assert head.split() == ["hash", "size", "clones", "wanted", "where"]
        assert [each.split() for each in lines] == [
            [one, "3", "bytes", "1", "(2)", "p1:s1"],
            [two, "3", "bytes", "1", "3", "p1:s1", "(p1:s2)"],
        ]
        said = await made("clones", "list", "--hash", UNKNOWN)
        assert said.out.splitlines()[1].split() == [UNKNOWN, "0", "bytes", "0", "(2)", "nowhere"]
        [line] = (await made("clones", "list", "--json", "--hash", two)).out.splitlines()
        assert json.loads(line) == {
            "hash": two, "size": 3, "clones": 1, "wanted": 3, "protected": False,
            "where": ["p1:s1"], "away": ["p1:s2"],
        }  # fmt: skip


@pytest_twisted.ensureDeferred
async def test_hashes_come_from_files_folders_and_stdin(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        one, two, more = await three(made)
        file = tmp_path / "some"
        file.write_text(f"\n{one}  a.mp4\n{json.dumps({'hash': two})}\n")
        assert set(await made.listed("--from", str(file))) == {one, two}
        listed = await made("clones", "list", "--json", "--above", "1")
        piped = await made("clones", "list", "--json", "--from", "-", stdin=listed.out)
        assert piped.out == listed.out
        folder = tmp_path / "films"
        (folder / "deep").mkdir(parents=True)
        (folder / "a.mp4").write_bytes(b"three")
        (folder / "deep" / "b.mp4").write_bytes(b"nowhere")
        (folder / "link").symlink_to(tmp_path)
        said = await made("clones", "list", "--json", "--folder", str(folder))
        assert [json.loads(line)["hash"] for line in said.out.splitlines()] == [
            more, hashlib.sha1(b"nowhere").hexdigest()
        ]  # fmt: skip
        assert "link: a link to a folder, which is not followed" in said.err
        (folder / "gone.mp4").symlink_to(folder / "nothing")
        said = await made("clones", "list", "--folder", str(folder), "--hash", one)
        assert said.code == 1
        assert len(said.out.splitlines()) == 4
        assert "gone.mp4: No such file or directory" in said.err
        said = await made("clones", "verify", "--folder", str(folder))
        assert said.code == 1


@pytest_twisted.ensureDeferred
async def test_the_default_hash_type_is_that_of_files_in_folders(
    tmp_path: Path, asking: AskingBeside
) -> None:
    more = "default_hash_type = 'md5'"
    async with shop(tmp_path, asking, *THREE, more=more) as made:
        folder = tmp_path / "films"
        folder.mkdir()
        (folder / "a").write_bytes(b"a")
        assert list(await made.listed("--folder", str(folder))) == [hashlib.md5(b"a").hexdigest()]


@pytest_twisted.ensureDeferred
async def test_what_is_no_hash_changes_nothing(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        one, *_ = await three(made)
        for text, why in (
            (f"{one}\nnonsense\n", "stdin, line 2: 'nonsense' is not a hash"),
            ('{"size": 5}', "stdin, line 1: neither a hash nor JSON with a hash"),
            ("{oh", "stdin, line 1: neither a hash nor JSON with a hash"),
            ('{"hash": 5}', "stdin, line 1: 5 is not a hash"),
        ):
            said = await made("clones", "set", "3", "--from", "-", stdin=text)
            assert said.code == 2
            assert why in said.err
        assert (await made.clones.contents.get(one)).wanted is None


@pytest_twisted.ensureDeferred
async def test_what_is_meant_has_to_be_said(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        said = await made("clones", "verify")
        assert said.code == 2
        assert "Say which content: --hash" in said.err
        said = await made("clones", "verify", "--all", "--at", "0")
        assert said.code == 2
        assert "--all goes with no other content" in said.err
        said = await made("clones", "list", "--store", "s9")
        assert (said.code, said.err) == (
            4, "oose: There is no peer 's9': `oose peer list` has all\n"
        )  # fmt: skip
        said = await made("clones", "list", "--prism", "p9")
        assert (said.code, said.err) == (
            4, "oose: There is no prism 'p9': `oose peer list` has all\n"
        )  # fmt: skip
        for count in ("0", "-1", "many", "1001", "2.0"):
            said = await made("clones", "set", "--all", "--", count)
            assert said.code == 2
            assert "expected a number from 1 to 1000, or usual" in said.err


# One content.


@pytest_twisted.ensureDeferred
async def test_one_content_is_shown_with_all_its_clones(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *THREE, "s4:m4:g2") as made:
        registry = made.made.keeping.registry
        content_hash = await made.put(b"one", "s1", "s2", "s3")
        late = await made.put(b"one", "s4", verified=None)
        assert late == content_hash
        records = {each.store: each for each in await made.made.records(content_hash)}
        await made.write(evolve(records["s4"], created=made.made.keeping.now(), note="a note"))
        await made.note(content_hash, removed=made.made.keeping.now() - 1000)
        await made.made.change("p1:s2", available=False)
        await made.made.change("p1:s3", available=False)
        await registry.remove("store:p1:s3")
        said = await made("clones", "show", content_hash)
        lines = [each.split() for each in said.out.splitlines()]
        assert ["clones", "1"] in lines
        assert ["protected", "False"] in lines
        shown = {each[0]: each[1:] for each in lines if each and each[0].startswith("p1:")}
        assert shown["p1:s1"][:3] == ["m1", "g1", "removed"]
        assert shown["p1:s4"][:3] == ["m4", "g2", "available"]
        assert shown["p1:s4"][-3:] == ["never", "a", "note"]
        await made.note(content_hash, removed=None, wanted=2)
        value = (await made("clones", "show", "--json", content_hash)).json()
        assert [each["is"] for each in value["where"]] == [
            "available", "unavailable", "unknown", "available"
        ]  # fmt: skip
        assert (value["clones"], value["wanted"], value["usual"]) == (2, 2, 2)
        await made.made.change("p1:s2", available=True)
        await registry.vote_down("store:p1:s2")
        await registry.deactivate("store:p1:s4")
        value = (await made("clones", "show", "--json", content_hash)).json()
        assert [each["is"] for each in value["where"]] == [
            "available", "voted down", "unknown", "deactivated"
        ]  # fmt: skip
        assert value["where"][2]["machine"] == ""
        assert value["where"][0]["relativePath"].endswith(".txt")


@pytest_twisted.ensureDeferred
async def test_clones_on_a_store_whose_prism_is_away_are_not_available(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        content_hash = await made.put(b"one", "s1")
        registry = made.made.keeping.registry
        store = registry.store("p1:s1")
        assert store is not None
        await registry.register(evolve(store, kind="prism", name="p1"))
        await registry.deactivate("prism:p1")
        value = (await made("clones", "show", "--json", content_hash)).json()
        assert [each["is"] for each in value["where"]] == ["unavailable"]


@pytest_twisted.ensureDeferred
async def test_content_that_is_only_noted_is_shown_too(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        said = await made("clones", "show", UNKNOWN)
        assert (said.code, said.err) == (4, f"oose: {UNKNOWN} was not found\n")
        await made.note(UNKNOWN, removed=1)
        said = await made("clones", "show", UNKNOWN)
        assert said.code == 0
        assert "removed" in said.out


# Work.


@pytest_twisted.ensureDeferred
async def test_content_is_to_have_so_many_clones(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        one, two, more = await three(made)
        said = await made("clones", "set", "3", "--below", "3", "--pretend")
        assert sorted(said.out.splitlines()) == sorted([
            f"{one}  make 2 clones", f"{two}  make 1 clone",
            "2 contents looked at", "would make 3 clones, 9 bytes",
        ])  # fmt: skip
        assert await made.listed() == {one: 1, two: 2, more: 3}
        said = await made("clones", "set", "3", "--below", "3")
        assert (said.code, said.err) == (0, "")
        assert said.out.splitlines() == ["2 contents looked at", "made 3 clones, 9 bytes"]
        assert await made.listed() == {one: 3, two: 3, more: 3}
        said = await made("clones", "set", "usual", "--hash", one, "--json")
        assert said.json() == {
            "pretend": False,
            "counts": {"contents": 1, "made": 0, "removed": 1, "verified": 0, "bytes": 0},
            "failures": [],
        }
        assert (await made.listed("--hash", one)) == {one: 2}


@pytest_twisted.ensureDeferred
async def test_a_wish_can_be_left_to_repair_with_no_store_there(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        one, *_ = await three(made)
        for store in made.made.stores.values():
            await store.die()
        left = (0, "", "1 content looked at\n1 left to repair\n")
        said = await made("clones", "set", "3", "--hash", one, "--later", "--pretend")
        assert (said.code, said.err, said.out) == left
        assert (await made.clones.contents.get(one)).wanted is None
        said = await made("clones", "set", "3", "--hash", one, "--later")
        assert (said.code, said.err, said.out) == left
        assert (await made.clones.contents.get(one)).wanted == 3


@pytest_twisted.ensureDeferred
async def test_a_clone_is_brought_onto_a_store_and_taken_off(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        one, two, more = await three(made)
        said = await made("clones", "to", "s3", "--hash", two, "--pretend", "--json")
        first, summary = (json.loads(line) for line in said.out.splitlines())
        assert (first["hash"], first["made"], first["onto"]) == (two, 1, "p1:s3")
        assert summary["pretend"] is True
        said = await made("clones", "to", "s3", "--hash", two, "--hash", more)
        assert said.out.splitlines() == ["2 contents looked at", "made 1 clone, 3 bytes"]
        assert (await made.clones.contents.get(two)).wanted == 3
        await made.note(two, wanted=2)
        said = await made("clones", "off", "s3", "--all", "--pretend")
        assert f"{more}  remove 1 clone from p1:s3" in said.out
        said = await made("clones", "off", "s3", "--all")
        assert said.out.splitlines() == ["2 contents looked at", "removed 2 clones"]
        assert await made.listed("--store", "s3") == {}
        said = await made("clones", "off", "s1", "--store", "s2", "--hash", one)
        assert said.out.splitlines() == ["0 contents looked at"]
        said = await made("clones", "off", "s1", "--hash", UNKNOWN)
        assert said.code == 1
        assert said.err == f"oose: {UNKNOWN}: there is no clone of it\n"


@pytest_twisted.ensureDeferred
async def test_clones_are_verified_and_what_is_wrong_is_said(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        one, *_ = await three(made)
        said = await made("clones", "verify", "--all")
        assert said.out.splitlines() == ["3 contents looked at", "verified 6 clones"]
        said = await made("clones", "verify", "--store", "s3", "--pretend")
        assert "verify 1 clone" in said.out
        made.file(made.made.stores["s1"], one).write_bytes(b"eno")
        said = await made("clones", "verify", "--all")
        assert said.code == 1
        assert said.out.splitlines() == ["3 contents looked at", "verified 5 clones", "1 failed"]
        assert said.err == f"oose: {one}: p1:s1: corrupt\n"


@pytest_twisted.ensureDeferred
async def test_what_stays_for_a_reason_is_said(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        _, _, more = await three(made)
        await made.note(more, protected=True)
        for arguments in ((), ("--pretend",)):
            said = await made("clones", "set", "1", "--hash", more, *arguments)
            assert said.out.splitlines() == [
                "1 content looked at",
                "1 protected: no clone of these is removed",
            ]
        said = await made("clones", "set", "5", "--hash", more, "--pretend")
        assert said.code == 1
        assert said.out.splitlines()[-1] == "1 would fail"


# Stores.


@pytest_twisted.ensureDeferred
async def test_a_store_that_does_not_answer_is_said_and_left_out(
    tmp_path: Path, asking: AskingBeside
) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        _, two, _ = await three(made)
        await made.made.stores["s2"].die()
        said = await made("clones", "verify", "--hash", two)
        assert said.code == 0
        assert said.err.startswith("oose: Nothing is done on a store that does not answer: p1:s2: ")
        assert "verified 1 clone" in said.out


@pytest_twisted.ensureDeferred
async def test_where_no_store_answers_nothing_is_done(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        one, *_ = await three(made)
        for store in made.made.stores.values():
            await store.die()
        said = await made("clones", "set", "3", "--hash", one)
        assert (said.code, said.out) == (5, "")
        assert said.err.startswith("oose: No store answers: p1:s1: ")
        assert said.err.endswith("Does the service run?\n")
        for name in made.made.stores:
            await made.made.change(f"p1:{name}", available=False)
        said = await made("clones", "set", "3", "--hash", one)
        assert said.code == 5
        assert "No store is available: does the service run?" in said.err
        assert (await made.clones.contents.get(one)).wanted is None


@pytest_twisted.ensureDeferred
async def test_stores_that_do_not_know_us_are_said(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        made.config.write_text(made.config.read_text().replace("'secret'", "'another'"))
        for store in made.made.stores.values():
            gate: Any = store.room.lobby.gate
            gate._logins = Logins(OneUser(), MemorySessions(), LoginAttempts(), 1000)
        said = await made("clones", "verify", "--all")
        assert said.code == 5
        assert "refuses our credentials" in said.err


@pytest_twisted.ensureDeferred
async def test_stores_are_asked_over_tls_with_this_machines_certificate(
    tmp_path: Path, asking: AskingBeside
) -> None:
    pem = self_signed(tmp_path / SELF_SIGNED, ["localhost"], datetime.now(UTC))
    more = "ssl = {'pem': 'auto'}"
    async with shop(tmp_path, asking, *THREE, pem=pem, more=more) as made:
        self_signed(tmp_path / "data" / SELF_SIGNED, ["localhost"], datetime.now(UTC))
        said = await made("clones", "verify", "--all")
        assert said.code == 5  # another's certificate
        for name in (pem, pem.with_suffix(".crt")):
            (tmp_path / "data" / name.name).write_bytes(name.read_bytes())
        one, *_ = await three(made)
        said = await made("clones", "set", "2", "--hash", one)
        assert said.out.splitlines() == ["1 content looked at", "made 1 clone, 3 bytes"]


@pytest_twisted.ensureDeferred
async def test_peers_are_looked_at_meanwhile(
    tmp_path: Path, asking: AskingBeside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "LOOK", 0.001)
    looked: list[str] = []
    async with shop(tmp_path, asking, *THREE) as made:
        one, *_ = await three(made)
        real = workshop.Workshop._look

        async def look(self: Any) -> None:
            await real(self)
            looked.append("looked")

        monkeypatch.setattr(workshop.Workshop, "_look", look)
        holdings: Any = made.made.stores["s1"].holdings
        verify = holdings.verify

        async def slow(content_hash: str) -> Any:
            await until(lambda: looked)
            return await verify(content_hash)

        holdings.verify = slow
        said = await made("clones", "verify", "--hash", one)
        assert "verified 1 clone" in said.out
        assert looked


# Interrupts.


@pytest.mark.parametrize("times", [1, 2])
@pytest_twisted.ensureDeferred
async def test_an_interrupt_ends_it_at_a_safe_point_with_a_summary(
    tmp_path: Path, asking: AskingBeside, times: int
) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        await three(made)
        heard: list[int] = []
        before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
        try:
            for store in made.made.stores.values():
                holdings: Any = store.holdings
                real = holdings.verify

                async def verify(content_hash: str, real: Any = real) -> Any:
                    for _ in range(times):
                        signal.raise_signal(signal.SIGINT)
                    return await real(content_hash)

                holdings.verify = verify
            said = await made("clones", "verify", "--all", "--concurrency", "1")
        finally:
            signal.signal(signal.SIGINT, before)
        assert said.code == 130
        assert said.out.splitlines()[0] == "1 content looked at"
        stopping, last = said.err.splitlines()
        assert stopping.startswith("oose: stopping, when what is under way is done")
        assert last == "oose: interrupted"
        assert len(heard) >= times - 1  # the next is as it was before


@pytest_twisted.ensureDeferred
async def test_what_ends_all_has_its_summary_first(tmp_path: Path, asking: AskingBeside) -> None:
    async with shop(tmp_path, asking, *THREE) as made:
        await three(made)
        for name in ("s1", "s2"):
            holdings: Any = made.made.stores[name].holdings
            real = holdings.verify

            async def and_end(content_hash: str, real: Any = real) -> Any:
                await made.made.stores["s3"].die()
                return await real(content_hash)

            holdings.verify = and_end
        ways = ("--below", "3", "--block", "1", "--concurrency", "1")
        said = await made("clones", "to", "s3", *ways)
        assert said.code == 5
        assert said.out.splitlines() == ["1 content looked at", "1 failed"]
        assert said.err.splitlines()[-1] == "oose: The store p1:s3 takes nothing now"
