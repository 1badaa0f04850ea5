"""Some at once, the others in turn."""

from twisted.internet.defer import CancelledError, Deferred

from oose.turns import Turns


def begin(
    turns: Turns, key: str, said: list[str], name: str
) -> tuple[Deferred[None], "Deferred[None]"]:
    door: Deferred[None] = Deferred()

    async def work() -> None:
        async with turns.of(key):
            said.append(name)
            await door

    return door, Deferred.fromCoroutine(work())


def test_those_of_one_key_take_turns_and_others_do_not_wait_for_them() -> None:
    turns, said = Turns(2), list[str]()
    doors = [begin(turns, "a", said, name)[0] for name in ("a1", "a2", "a3")]
    doors.append(begin(turns, "b", said, "b1")[0])
    assert said == ["a1", "a2", "b1"]
    doors[0].callback(None)
    assert said == ["a1", "a2", "b1", "a3"]
    assert len(turns) == 2
    for door in doors[1:]:
        door.callback(None)
    assert len(turns) == 0


def test_whoever_gives_up_waiting_is_not_waited_for() -> None:
    turns, said = Turns(1), list[str]()
    first, _ = begin(turns, "a", said, "first")
    _, second = begin(turns, "a", said, "second")
    _ = second.addErrback(lambda failure: failure.trap(CancelledError))
    second.cancel()
    first.callback(None)
    assert (said, len(turns)) == (["first"], 0)


def test_very_many_that_wait_for_nothing_take_their_turns_in_order() -> None:
    turns, said = Turns(2), list[str]()
    doors = [begin(turns, "a", said, name)[0] for name in ("first", "second")]

    async def work(number: int) -> None:
        async with turns.of("a"):
            said.append(str(number))

    works = [Deferred.fromCoroutine(work(number)) for number in range(5_000)]
    doors[0].callback(None)
    assert said == ["first", "second", *map(str, range(5_000))]
    assert all(each.called for each in works)
    doors[1].callback(None)
    assert len(turns) == 0


def test_one_that_comes_while_others_move_up_waits_behind_them() -> None:
    turns, said = Turns(1), list[str]()
    first, _ = begin(turns, "a", said, "first")
    late: list[Deferred[None]] = []

    async def call_another() -> None:
        async with turns.of("a"):
            pass
        late.append(begin(turns, "a", said, "late")[0])

    _ = Deferred.fromCoroutine(call_another())
    waiting, _ = begin(turns, "a", said, "waiting")
    first.callback(None)
    assert said == ["first", "waiting"]
    waiting.callback(None)
    late[0].callback(None)
    assert (said, len(turns)) == (["first", "waiting", "late"], 0)


def test_the_last_that_ends_at_once_leaves_nothing_behind() -> None:
    turns, said = Turns(1), list[str]()
    first, ended = begin(turns, "a", said, "first")

    async def work() -> None:
        async with turns.of("a"):
            said.append("second")

    _ = Deferred.fromCoroutine(work())
    first.callback(None)
    assert (said, len(turns), ended.called) == (["first", "second"], 0, True)


def test_who_comes_when_the_last_has_ended_is_not_forgotten_with_it() -> None:
    turns, said = Turns(1), list[str]()
    first, _ = begin(turns, "a", said, "first")
    late: list[Deferred[None]] = []

    async def work() -> None:
        async with turns.of("a"):
            pass
        late.append(begin(turns, "a", said, "late")[0])

    _ = Deferred.fromCoroutine(work())
    first.callback(None)
    assert (said, len(turns)) == (["first", "late"], 1)
    begin(turns, "a", said, "later")
    assert said == ["first", "late"]
    late[0].callback(None)
    assert said == ["first", "late", "later"]
