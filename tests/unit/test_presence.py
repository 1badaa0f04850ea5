from oose.presence import Presence


def test_who_is_seen_first_counts_as_renewed_just_now() -> None:
    presence = Presence(60.0, 15.0)
    presence.look({"a": 0}, 1000.0)
    assert presence.is_fresh("a")
    assert presence.renewed_at("a") == 1000.0


def test_who_does_not_renew_is_fresh_no_longer() -> None:
    presence = Presence(60.0, 15.0)
    for now in range(0, 70, 10):
        presence.look({"a": 1, "b": now}, float(now))
    assert presence.is_fresh("a")
    presence.look({"a": 1, "b": 61}, 61.0)
    assert not presence.is_fresh("a")
    assert presence.is_fresh("b")
    assert (presence.renewed_at("a"), presence.renewed_at("b")) == (0.0, 61.0)
    presence.look({"a": 0, "b": 61}, 65.0)  # a clock that was set back renews too
    assert presence.is_fresh("a")


def test_while_nobody_looked_nobody_has_failed_to_renew() -> None:
    presence = Presence(60.0, 15.0)
    presence.look({"a": 1}, 0.0)
    presence.look({"a": 1}, 3600.0)
    assert presence.is_fresh("a")
    for now in (3615.0, 3630.0, 3645.0):
        presence.look({"a": 1}, now)
    assert presence.is_fresh("a")
    presence.look({"a": 1}, 3646.0)
    assert not presence.is_fresh("a")


def test_who_is_not_looked_at_is_unknown() -> None:
    presence = Presence(60.0, 15.0)
    presence.look({"a": 1, "b": 1}, 0.0)
    presence.look({"b": 1}, 10.0)
    assert not presence.is_fresh("a")
    assert presence.renewed_at("a") == float("-inf")
    presence.look({"a": 1, "b": 1}, 20.0)
    assert presence.renewed_at("a") == 20.0


def test_what_is_forgotten_begins_anew() -> None:
    presence = Presence(60.0, 100.0)
    presence.look({"a": 1}, 0.0)
    presence.look({"a": 1}, 61.0)
    assert not presence.is_fresh("a")
    presence.forget()
    presence.look({"a": 1}, 62.0)
    assert presence.is_fresh("a")
