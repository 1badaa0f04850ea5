from oose.stats import Hits, Stats


def test_requests_are_counted_by_what_was_asked_and_how_it_was_answered() -> None:
    stats = Stats(100.0, "3.0")
    for status in (200, 200, 404):
        stats.count("ping", status)
    stats.count("login", 401)
    assert stats.tree(112.3456) == {
        "version": "3.0",
        "uptime": 12.346,
        "requests": {"login": {"401": 1}, "ping": {"200": 2, "404": 1}},
    }


def test_others_add_their_own_numbers() -> None:
    stats = Stats(0.0, "3.0")
    stats.sources["disk"] = lambda: {"free": 5}
    assert stats.tree(0.0)["disk"] == {"free": 5}


def test_counting_begins_anew_after_a_flush() -> None:
    stats = Stats(0.0, "3.0")
    stats.count("ping", 200)
    stats.count("ping", 404)
    assert stats.flush() == 2
    assert stats.tree(0.0)["requests"] == {}


def test_hits_are_counted_by_key() -> None:
    hits = Hits()
    for key in "aba":
        hits.count(key)
    assert hits.entries() == {"a": 2, "b": 1}
    assert hits.flush() == 2
    assert hits.entries() == {}


def test_the_hits_that_were_last_used_are_kept() -> None:
    hits = Hits(most=2)
    for key in "abac":
        hits.count(key)
    assert hits.entries() == {"a": 2, "c": 1}
