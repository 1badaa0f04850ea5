"""The heartbeat where much is lost, and in a cluster of a thousand."""

from attrs import evolve

from tests.simulation.cluster import ROUND, SETTINGS, VOTED, Cluster, ids

LIFE = SETTINGS.vote_life
LOSS = 0.05  # of what is sent, in either direction
VIEWS = 10  # of the peers in a cluster of a thousand, each shared by a hundred of them


def thousand() -> Cluster:
    cluster = Cluster([1] * 1000, views=VIEWS)
    cluster.network.latency = 0.0
    return cluster


def test_nobody_of_six_is_ever_voted_down_for_what_is_lost() -> None:
    cluster = Cluster([1] * 6, apart=5.0)
    cluster.network.loss = LOSS
    cluster.run(SETTINGS.start_delay + 10_000 * ROUND)
    assert cluster.pings > 9_900 * 6 * 5
    assert cluster.voted_down == []
    assert cluster.unavailable() == set()


def test_nobody_of_a_thousand_is_ever_voted_down_for_what_is_lost() -> None:
    cluster = thousand()
    cluster.network.loss = LOSS
    cluster.run(SETTINGS.start_delay + 100 * ROUND)
    assert cluster.pings > 98 * 1000 * 7
    assert cluster.most_pings == 7
    assert cluster.voted_down == []
    assert cluster.unavailable() == set()


def test_many_votes_for_what_is_lost_are_no_majority() -> None:
    """Where three silences are enough for a vote there are always some, and each is taken back."""
    cluster = Cluster([1] * 6, settings=evolve(SETTINGS, retries=3))
    cluster.network.loss = LOSS
    voted = False
    for _ in range(100):
        cluster.run(10 * ROUND)
        voted = voted or bool(cluster.votes())
    assert voted
    assert cluster.voted_down == []
    cluster.network.loss = 0.0
    cluster.run(LIFE + 2 * ROUND)
    assert cluster.votes() == set()


def test_one_of_a_thousand_is_dead() -> None:
    cluster = thousand()
    dead = cluster.processes[123]
    dead.kill()
    cluster.run(VOTED)
    assert cluster.unavailable() == ids([dead])
    assert len(cluster.votes()) == 7
    assert cluster.most_pings <= 8


def test_a_third_of_a_thousand_is_dead_and_comes_back() -> None:
    cluster = thousand()
    dead = cluster.random.sample(cluster.processes, 333)
    for process in dead:
        process.kill()
    cluster.run(VOTED + LIFE + SETTINGS.retries * ROUND)
    assert cluster.unavailable() == ids(dead)
    assert cluster.most_pings <= 8
    for process in dead:
        cluster.restart(process)
    cluster.run(2 * ROUND)
    assert cluster.unavailable() == set()
    cluster.run(LIFE)
    assert set(cluster.voted_down) == ids(dead)
    assert cluster.unavailable() == set()
    assert cluster.votes() == set()
    assert cluster.most_pings <= 8
