from attrs import evolve

from oose.neighbourhood import neighbourhood
from oose.peer import Peer
from tests.simulation.cluster import peer


def peers(count: int) -> list[Peer]:
    return [peer(n) for n in range(count)]


def down(one: Peer) -> Peer:
    return evolve(one, available=False, voted=True)


def test_one_watches_all_others_that_are_up() -> None:
    area = neighbourhood(["prism:p0"], peers(3))
    assert area.own == ["prism:p0"]
    assert area.up == {"prism:p1": ["prism:p0"], "prism:p2": ["prism:p0"]}
    assert area.down == {}
    assert set(area.watchers["prism:p1"]) == {"prism:p0", "prism:p2"}
    assert area.everybody == {"prism:p0", "prism:p1", "prism:p2"}
    assert area.voters("prism:p1") == ["prism:p0"]
    assert area.watches("prism:p1")


def test_a_process_does_not_watch_itself_and_asks_each_once_for_all_of_its_own() -> None:
    area = neighbourhood(["prism:p0", "store:p0:s0-1"], [*peers(3), peer(0, 1)])
    assert area.up == {name: ["prism:p0", "store:p0:s0-1"] for name in ("prism:p1", "prism:p2")}
    assert len(area.watchers["prism:p1"]) == 3


def test_who_was_voted_down_is_watched_and_watches_nobody() -> None:
    first, second, third = peers(3)
    area = neighbourhood([first.id], [first, second, down(third)])
    assert area.up == {second.id: [first.id]}
    assert area.down == {third.id: [first.id]}
    assert area.watchers[second.id] == [first.id]
    assert set(area.watchers[third.id]) == {first.id, second.id}
    assert area.voters(third.id) == [first.id]
    assert neighbourhood([third.id], [first, second, down(third)]).watchers == {}


def test_who_was_stopped_or_deactivated_is_watched_by_nobody() -> None:
    first, second, third = peers(3)
    gone = [evolve(second, available=False), evolve(third, active=False)]
    area = neighbourhood([first.id], [first, *gone])
    assert (area.up, area.down, area.everybody) == ({}, {}, set())
    assert area.voters(second.id) == ()
    assert not area.watches(second.id)
    disabled = evolve(down(third), active=False)
    assert neighbourhood([first.id], [first, disabled]).down == {}


def test_where_all_were_voted_down_they_watch_each_other() -> None:
    everybody = [down(each) for each in peers(3)]
    area = neighbourhood(["prism:p0"], everybody)
    assert area.up == {}
    assert area.down == {"prism:p1": ["prism:p0"], "prism:p2": ["prism:p0"]}


def test_who_is_down_far_away_is_not_ours_to_watch() -> None:
    everybody = [down(each) if n % 2 else each for n, each in enumerate(peers(100))]
    areas = [neighbourhood([each.id], everybody) for each in everybody]
    assert {len(area.up) for area in areas} == {0, 7}
    assert sum(len(area.down) for area in areas) == 50 * 7


def test_who_has_no_part_in_it_sees_nothing() -> None:
    assert neighbourhood(["prism:p9"], peers(3)).everybody == set()
