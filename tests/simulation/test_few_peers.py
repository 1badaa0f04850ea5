"""The heartbeat in clusters of a few, each process with its own view of the others."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from attrs import evolve

from oose.registry import Registry
from tests.simulation.cluster import (
    RENEWAL,
    ROUND,
    SETTINGS,
    Cluster,
    begin,
    ids,
)

LIFE = SETTINGS.vote_life
SILENT = SETTINGS.retries * ROUND  # until a vote
BACK = LIFE + 2 * ROUND  # by then somebody who answers again is back
SIX = [1] * 6


def ready(sizes: list[int], seed: int = 1) -> Cluster:
    """A cluster in which the heartbeat has been going on for a while."""
    cluster = Cluster(sizes, seed=seed, apart=5.0)
    cluster.run(SETTINGS.start_delay + LIFE)
    assert cluster.unavailable() == set()
    assert cluster.votes() == set()
    return cluster


@contextmanager
def nobody_is_voted_down(cluster: Cluster) -> Iterator[None]:
    before = len(cluster.voted_down)
    yield
    assert cluster.voted_down[before:] == []
    assert cluster.unavailable() == set()


def settle(cluster: Cluster) -> None:
    """Time enough for votes of those that died with others."""
    cluster.run(SILENT + LIFE + 4 * ROUND)


# Who is dead


@pytest.mark.parametrize("sizes", [[1, 1], [1] * 3, SIX, [3, 3], [1, 2, 3], [1] * 20])
def test_a_dead_process_is_voted_down_and_nobody_else(sizes: list[int]) -> None:
    cluster = ready(sizes)
    dead = cluster.processes[-1]
    dead.kill()
    settle(cluster)
    assert cluster.unavailable() == ids([dead])
    cluster.run(10 * LIFE)
    assert cluster.unavailable() == ids([dead])
    assert set(cluster.voted_down) == ids([dead])


@pytest.mark.parametrize("sizes", [[1] * 3, SIX])
def test_a_dead_peer_is_voted_down_as_soon_as_it_was_silent_often_enough(sizes: list[int]) -> None:
    cluster = ready(sizes)
    cluster.processes[0].kill()
    cluster.run(SILENT - 2 * ROUND)
    assert cluster.unavailable() == set()
    cluster.run(4 * ROUND)
    assert cluster.unavailable() == ids(cluster.processes[:1])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dead", [[0, 1], [2, 3], [0, 1, 2], [0, 1, 2, 3], [1, 2, 3, 4, 5]])
def test_those_who_are_left_vote_down_all_who_died(dead: list[int], seed: int) -> None:
    cluster = ready(SIX, seed)
    gone = [cluster.processes[n] for n in dead]
    for process in gone:
        process.kill()
    settle(cluster)
    assert cluster.unavailable() == ids(gone)
    for process in gone:
        cluster.restart(process)
    cluster.run(ROUND)
    with nobody_is_voted_down(cluster):
        cluster.run(3 * LIFE)
    assert cluster.votes() == set()


def test_a_peer_alone_judges_nobody_and_lives() -> None:
    cluster = ready([1])
    with nobody_is_voted_down(cluster):
        cluster.run(10 * LIFE)
    assert cluster.pings == 0


def test_what_a_vote_says() -> None:
    cluster = ready([1, 1, 1])
    cluster.processes[2].freeze()
    cluster.run(SILENT + 3 * ROUND)
    assert cluster.votes() == {"down:prism:p2:prism:p0", "down:prism:p2:prism:p1"}
    vote = dict(cluster.heartbeat.now()["down:prism:p2:prism:p0"].body)
    assert abs(vote.pop("timestamp") - cluster.processes[0].now()) < LIFE * 1000
    assert vote == {
        "peer": "prism:p2",
        "systemKey": "prism:p0",
        "systemType": "prism",
        "reason": "No answer within 2 seconds",
    }


def test_the_votes_against_the_dead_are_kept_up() -> None:
    cluster = ready(SIX)
    cluster.processes[0].kill()
    settle(cluster)
    before = cluster.heartbeat.now()
    revs = {key: row.rev for key, row in before.items()}
    assert len(revs) == 5
    cluster.run(3 * LIFE)
    after = {key: row.rev for key, row in cluster.heartbeat.now().items()}
    assert after.keys() == revs.keys()
    assert not set(after.values()) & set(revs.values())


def test_whom_all_have_voted_against_is_left_alone_for_a_while() -> None:
    cluster = ready(SIX)
    cluster.processes[0].kill()
    settle(cluster)
    before = cluster.pings
    cluster.run(LIFE)
    rounds = LIFE / ROUND
    healthy = 5 * 4 * rounds
    assert healthy * 0.9 <= cluster.pings - before <= healthy + 2 * 5 + 5 * 4


# Who comes back


@pytest.mark.parametrize("sizes", [[1, 1], [1] * 3, SIX, [3, 3]])
def test_a_peer_that_is_restarted_is_back_at_once_and_stays(sizes: list[int]) -> None:
    cluster = ready(sizes)
    dead = cluster.processes[0]
    dead.kill()
    settle(cluster)
    cluster.restart(dead)
    cluster.run(1)
    assert cluster.unavailable() == set()
    assert cluster.votes() == set()
    with nobody_is_voted_down(cluster):
        cluster.run(5 * LIFE)
    assert cluster.votes() == set()


@pytest.mark.parametrize("sizes", [[1, 1], [1] * 3, SIX, [3, 3]])
@pytest.mark.parametrize("seconds", [SILENT + LIFE + 4 * ROUND, 3600.0])
def test_a_peer_that_was_frozen_is_voted_down_and_comes_back(
    sizes: list[int], seconds: float
) -> None:
    cluster = ready(sizes)
    frozen = cluster.processes[0]
    frozen.freeze()
    cluster.run(seconds)
    assert cluster.unavailable() == ids([frozen])
    frozen.thaw()
    cluster.run(BACK)
    assert cluster.unavailable() == set()
    with nobody_is_voted_down(cluster):
        cluster.run(5 * LIFE)
    assert cluster.votes() == set()
    assert set(cluster.voted_down) == ids([frozen])


@pytest.mark.parametrize("seconds", [600.0, 620.0, 640.0])
def test_who_renews_its_document_is_asked_at_once(seconds: float) -> None:
    cluster = ready(SIX)
    frozen = cluster.processes[0]
    frozen.freeze()
    cluster.run(seconds)
    assert cluster.unavailable() == ids([frozen])
    frozen.thaw()
    cluster.run(3 * ROUND)
    assert cluster.unavailable() == set()


@pytest.mark.parametrize("seconds", [3.0, 12.0, 20.0, 35.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_short_sleep_is_no_reason(seconds: float, seed: int) -> None:
    cluster = ready(SIX, seed)
    with nobody_is_voted_down(cluster):
        for process in cluster.processes:
            process.freeze()
            cluster.run(seconds)
            process.thaw()
            cluster.run(LIFE)


@pytest.mark.parametrize("seed", range(3))
def test_who_wakes_up_with_votes_of_its_own_judges_nobody_by_them(seed: int) -> None:
    """Its votes are from long ago, and all others seem not to have renewed their documents."""
    cluster = ready(SIX, seed)
    sleeper, other = cluster.processes[:2]
    cluster.network.pairs.add((sleeper.name, other.name))
    cluster.run(SILENT + 2 * ROUND)
    assert f"down:{other.name}:{sleeper.name}" in cluster.votes()
    sleeper.freeze()
    cluster.run(10 * LIFE)
    cluster.network.pairs.clear()
    sleeper.thaw()
    cluster.run(5 * LIFE)
    assert set(cluster.voted_down) == {sleeper.name}
    assert cluster.unavailable() == set()
    assert cluster.votes() == set()


def test_all_who_slept_at_once_wake_up_together() -> None:
    cluster = ready(SIX)
    for process in cluster.processes:
        process.freeze()
    cluster.run(3600)
    for process in cluster.processes:
        process.thaw()
    with nobody_is_voted_down(cluster):
        cluster.run(5 * LIFE)


# Who is hard to tell


def test_a_peer_that_comes_and_goes_is_there_in_the_end() -> None:
    cluster = ready(SIX)
    flapping = cluster.processes[3]
    for seconds in [20.0] * 10:  # never silent often enough
        cluster.network.cut.add(flapping.name)
        cluster.run(seconds)
        cluster.network.cut.clear()
        cluster.run(seconds)
    assert cluster.voted_down == []
    for seconds in [60.0, 45.0, 70.0, 90.0] * 5:
        cluster.network.cut.add(flapping.name)
        cluster.run(seconds)
        cluster.network.cut.clear()
        cluster.run(seconds)
    assert set(cluster.voted_down) == {flapping.name}
    cluster.run(BACK)
    assert cluster.unavailable() == set()
    cluster.run(LIFE)
    assert cluster.votes() == set()


def test_a_slow_peer_is_healthy_until_it_is_too_slow() -> None:
    cluster = ready(SIX)
    slow = cluster.processes[3].name
    limit = SETTINGS.ping_response_timeout
    cluster.network.slow[slow] = limit - 0.1
    with nobody_is_voted_down(cluster):
        cluster.run(10 * LIFE)
    cluster.network.slow[slow] = limit + 0.1
    settle(cluster)
    assert cluster.unavailable() == {slow}
    cluster.network.slow.clear()
    cluster.run(BACK)
    assert cluster.unavailable() == set()


@pytest.mark.parametrize("sizes", [[1] * 3, SIX, [1] * 20])
def test_a_watcher_whose_own_network_is_cut_votes_down_nobody(sizes: list[int]) -> None:
    cluster = ready(sizes)
    cut = cluster.processes[1]
    cluster.network.cut.add(cut.name)
    cluster.run(20 * LIFE)
    assert cluster.unavailable() == {cut.name}
    assert set(cluster.voted_down) == {cut.name}
    assert {key.rpartition(":prism:")[2] for key in cluster.votes()}.isdisjoint({"p1"})
    cluster.network.cut.clear()
    cluster.run(BACK)
    assert cluster.unavailable() == set()
    assert set(cluster.voted_down) == {cut.name}


@pytest.mark.parametrize("seed", range(3))
def test_clocks_an_hour_apart_make_no_difference(seed: int) -> None:
    cluster = ready(SIX, seed)
    for number, process in enumerate(cluster.processes):
        process.hours = number - 2.5
    with nobody_is_voted_down(cluster):
        cluster.run(5 * LIFE)
    cluster.processes[0].kill()
    settle(cluster)
    assert cluster.unavailable() == ids(cluster.processes[:1])
    cluster.restart(cluster.processes[0]).hours = -7.0
    with nobody_is_voted_down(cluster):
        cluster.run(5 * LIFE)
    for process in cluster.processes[:4]:
        process.kill()
    settle(cluster)
    assert cluster.unavailable() == ids(cluster.processes[:4])


def test_a_clock_that_is_set_makes_no_difference() -> None:
    cluster = ready(SIX)
    cluster.processes[0].kill()
    settle(cluster)
    with_dead = cluster.unavailable()
    for hours in (5.0, -5.0, 0.0):
        for process in cluster.processes[1:]:
            process.hours = hours
            cluster.run(LIFE / 5)
    assert cluster.unavailable() == with_dead
    assert len(cluster.votes()) == 5


# Partitions, and a database that is away


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_in_a_partition_the_side_with_the_database_goes_on(size: int, seed: int) -> None:
    cluster = ready(SIX, seed)
    alone, others = cluster.processes[:size], cluster.processes[size:]
    for process in alone:
        cluster.network.sides[process.name] = 1
        cluster.cut_from_database(process)
    settle(cluster)
    assert cluster.unavailable() == ids(alone)
    cluster.run(10 * LIFE)
    assert cluster.unavailable() == ids(alone)
    assert {key.partition(":prism:")[0] for key in cluster.votes()} <= {"down"}
    cluster.network.sides.clear()
    cluster.network.cut_from_database.clear()
    cluster.run(BACK + RENEWAL)
    assert cluster.unavailable() == set()
    with nobody_is_voted_down(cluster):
        cluster.run(5 * LIFE)
    assert set(cluster.voted_down) == ids(alone)
    assert cluster.votes() == set()
    assert len(others) == 6 - size


@pytest.mark.parametrize("sizes", [[1, 1], [3, 3], SIX])
def test_who_were_all_voted_down_bring_each_other_back(sizes: list[int]) -> None:
    """A network between them fails, and everybody goes on reaching the database."""
    cluster = ready(sizes)
    cluster.network.loss = 1.0
    cluster.run(10 * LIFE)
    assert cluster.unavailable()
    cluster.network.loss = 0.0
    cluster.run(4 * LIFE)
    assert cluster.unavailable() == set()
    cluster.run(2 * LIFE)
    assert cluster.votes() == set()


def test_where_nobody_is_left_that_counts_all_bring_each_other_back() -> None:
    cluster = ready(SIX)
    outsider = Registry(cluster.peers)
    begin(outsider.load())
    for process in cluster.processes:
        begin(outsider.vote_down(process.name))
    assert cluster.unavailable() == ids(cluster.processes)
    cluster.run(3 * ROUND)
    assert cluster.unavailable() == set()


@pytest.mark.parametrize("seconds", [2.0, 10.0, 3600.0])
def test_while_the_database_is_away_nobody_is_judged(seconds: float) -> None:
    cluster = ready(SIX)
    with nobody_is_voted_down(cluster):
        cluster.database_goes()
        cluster.run(seconds)
        cluster.database_comes_back()
        cluster.run(5 * LIFE)
    assert cluster.votes() == set()


def test_who_died_while_the_database_was_away_is_voted_down_after() -> None:
    cluster = ready(SIX)
    cluster.database_goes()
    cluster.run(LIFE)
    for process in cluster.processes[:4]:
        process.kill()
    cluster.run(10 * LIFE)
    assert cluster.unavailable() == set()
    cluster.database_comes_back()
    settle(cluster)
    cluster.run(RENEWAL)
    assert cluster.unavailable() == ids(cluster.processes[:4])


@pytest.mark.parametrize("seconds", [SILENT / 2, 10 * LIFE])
def test_what_was_seen_while_the_database_was_away_counts_for_nothing(seconds: float) -> None:
    """The network between all fails at the same time, and is back only after the database."""
    cluster = ready(SIX)
    with nobody_is_voted_down(cluster):
        cluster.network.loss = 1.0
        cluster.database_goes()
        cluster.run(seconds)
        cluster.database_comes_back()
        cluster.run(SILENT - 2 * ROUND)
        cluster.network.loss = 0.0
        cluster.run(5 * LIFE)
    assert cluster.votes() == set()


@pytest.mark.parametrize("seed", range(10))
def test_when_the_database_is_back_everybody_counts_as_just_seen(seed: int) -> None:
    """Where one silence is enough for a vote, the first judge could be alone."""
    cluster = Cluster([1] * 3, seed=seed, apart=5.0, settings=evolve(SETTINGS, retries=1))
    cluster.run(SETTINGS.start_delay + LIFE)
    with nobody_is_voted_down(cluster):
        cluster.database_goes()
        cluster.run(2 * LIFE)
        cluster.network.pairs.add((cluster.processes[0].name, cluster.processes[1].name))
        cluster.database_comes_back()
        cluster.run(LIFE)
    assert cluster.votes()


def test_who_could_not_reach_the_database_takes_its_votes_back() -> None:
    cluster = ready(SIX)
    voter, other = cluster.processes[:2]
    cluster.network.pairs.add((voter.name, other.name))
    cluster.run(SILENT + 2 * ROUND)
    vote = f"down:{other.name}:{voter.name}"
    assert vote in cluster.votes()
    cluster.network.pairs.clear()
    cluster.cut_from_database(voter)
    cluster.run(ROUND)
    cluster.network.cut_from_database.clear()
    cluster.run(RENEWAL + ROUND)
    assert vote not in cluster.votes()


def test_a_database_that_comes_and_goes_hurts_nobody() -> None:
    cluster = ready(SIX)
    with nobody_is_voted_down(cluster):
        for seconds in [3.0, 1.0, 30.0, 7.0, 90.0] * 10:
            cluster.database_goes()
            cluster.run(seconds)
            cluster.database_comes_back()
            cluster.run(seconds * 2)


# Who goes and comes on purpose


def test_a_peer_that_was_stopped_is_neither_voted_on_nor_brought_back() -> None:
    cluster = ready(SIX)
    stopped = cluster.processes[2]
    begin(stopped.stop())
    cluster.run(10 * LIFE)
    assert cluster.unavailable() == ids([stopped])
    assert cluster.voted_down == []
    assert cluster.votes() == set()
    cluster.restart(stopped)
    with nobody_is_voted_down(cluster):
        cluster.run(5 * LIFE)


def test_a_peer_that_is_deactivated_is_left_alone_and_its_votes_do_not_count() -> None:
    cluster = ready([1, 1, 1])
    first, second, third = cluster.processes
    begin(first.registry.deactivate(third.name))
    cluster.run(ROUND)
    before = cluster.pings
    third.kill()
    second.freeze()
    cluster.run(SILENT + 4 * ROUND)
    assert cluster.unavailable() == ids([second])
    assert cluster.votes() == {"down:prism:p1:prism:p0"}
    assert cluster.pings - before < 20


def test_the_votes_against_a_peer_that_is_removed_go_with_it() -> None:
    cluster = ready([1, 1, 1])
    dead = cluster.processes[2]
    dead.kill()
    settle(cluster)
    assert len(cluster.votes()) == 2
    begin(cluster.processes[0].registry.remove(dead.name))
    cluster.run(2 * LIFE)
    assert cluster.votes() == set()
    assert cluster.peers.now().keys() == ids(cluster.processes[:2])


def test_votes_that_nobody_keeps_up_are_pruned() -> None:
    cluster = ready(SIX)
    dead, voter = cluster.processes[:2]
    dead.kill()
    settle(cluster)
    key = f"down:{dead.name}:{voter.name}"
    assert key in cluster.votes()
    voter.kill()
    cluster.run(2 * LIFE - 2 * ROUND)
    assert key in cluster.votes()
    cluster.run(3 * LIFE + 2 * ROUND)
    assert key not in cluster.votes()
    assert cluster.unavailable() == ids([dead, voter])


# Rounds


def test_rounds_of_many_are_not_at_one_moment() -> None:
    cluster = Cluster([1] * 6)
    begun: set[float] = set()
    cluster.pinged = lambda: begun.add(cluster.clock.seconds())
    cluster.run(SETTINGS.start_delay)
    assert begun == set()
    cluster.run(20 * ROUND)
    assert len(begun) > 6 * 15


def test_a_heartbeat_that_is_stopped_before_it_began_never_begins() -> None:
    cluster = Cluster([1, 1])
    for process in cluster.processes:
        begin(process.heartbeat.stop())
    cluster.run(10 * LIFE)
    assert cluster.pings == 0
