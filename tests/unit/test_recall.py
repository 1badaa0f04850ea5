"""What is remembered of a shared database, and when it counts."""

from collections.abc import Callable

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred

from oose.attempts import LoginAttempts
from oose.errors import NotAuthenticated, NotFound, Unavailable
from oose.logins import BELIEVED, Logins
from oose.purchases import OneProcess, Session
from oose.purchasing import PurchaseDesk
from oose.recall import Recall
from tests.unit.at_once import at_once
from tests.unit.kept import MemoryPurchases, MemorySessions, OneUser

NOW = 1_800_000_000_000
LIFE, FRESH = 30_000, 2_000
DAY = 86_400_000


@define
class Channel:
    """Endings as a test wants them."""

    is_connected: bool = True
    era: int = 1
    purchases: list[Callable[[str], None]] = field(factory=list)
    sessions: list[Callable[[str], None]] = field(factory=list)

    def on_purchase(self, ended: Callable[[str], None]) -> None:
        self.purchases.append(ended)

    def on_session(self, ended: Callable[[str], None]) -> None:
        self.sessions.append(ended)


@define
class Asked:
    """A database of one value that others change, and what is recalled of it."""

    channel: Channel = field(factory=Channel)
    value: str | None = "a"
    is_away: bool = False
    reads: int = 0
    added: int = 0
    late: Deferred[None] | None = None
    recall: Recall[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.recall = Recall(self.channel, LIFE, FRESH)

    async def read(self) -> str | None:
        self.reads += 1
        value, is_away = self.value, self.is_away
        if self.late is not None:
            await self.late
        if is_away:
            raise Unavailable("away")
        return value

    async def add(self) -> None:
        if self.late is not None:
            await self.late
        if self.is_away:
            raise Unavailable("away")
        self.added += 1

    async def make(self) -> None:
        await self.recall.make("k", "a", NOW, self.add)

    def get(self, after: int = 0) -> str | None:
        return at_once(self.recall.get("k", NOW + after, self.read))


def test_under_a_connected_channel_a_fresh_value_is_believed() -> None:
    asked = Asked()
    asked.get()
    asked.value = "b"
    assert [asked.get(after) for after in (0, FRESH - 1, FRESH)] == ["a", "a", "b"]
    assert asked.reads == 2


def test_without_the_channel_the_database_is_asked_each_time() -> None:
    asked = Asked(Channel(is_connected=False))
    for value in ("a", "b", None, "c"):
        asked.value = value
        assert asked.get() == value


def test_what_was_read_before_the_channel_broke_is_not_believed_after() -> None:
    asked = Asked()
    asked.get()
    asked.channel.is_connected = False
    asked.value = "b"
    asked.channel.is_connected, asked.channel.era = True, 2
    assert asked.get() == "b"
    asked.value = "c"
    assert asked.get() == "b"


def test_what_was_read_while_the_channel_was_broken_is_not_believed_after() -> None:
    asked = Asked(Channel(is_connected=False))
    asked.late = Deferred()
    reading = Deferred.fromCoroutine(asked.recall.get("k", NOW, asked.read))
    asked.channel.is_connected, asked.channel.era = True, 2
    asked.late.callback(None)
    asked.late = None
    assert reading.called
    asked.value = None
    assert asked.get() is None


@pytest.mark.parametrize("is_connected", [True, False])
def test_while_the_database_is_away_the_last_value_goes_on_for_its_life(
    is_connected: bool,
) -> None:
    asked = Asked(Channel(is_connected=is_connected))
    asked.get()
    asked.is_away = True
    asked.channel.era = 2
    assert asked.get(LIFE - 1) == "a"
    with pytest.raises(Unavailable):
        asked.get(LIFE)


def test_what_is_only_recalled_can_be_told_from_what_is_current() -> None:
    asked = Asked()
    assert at_once(asked.recall.current("k", NOW, asked.read)) == "a"
    asked.is_away = True
    assert at_once(asked.recall.current("k", NOW + FRESH - 1, asked.read)) == "a"
    with pytest.raises(Unavailable):
        at_once(asked.recall.current("k", NOW + FRESH, asked.read))
    assert asked.recall.last("k", NOW + LIFE - 1) == "a"
    assert asked.recall.last("k", NOW + LIFE) is None
    assert asked.recall.last("other", NOW) is None


def test_what_was_made_here_is_recalled_as_if_it_had_been_read() -> None:
    asked = Asked()
    at_once(asked.make())
    assert [asked.get(after) for after in (0, FRESH - 1)] == ["a", "a"]
    assert (asked.added, asked.reads) == (1, 0)
    asked.is_away = True
    assert asked.get(LIFE - 1) == "a"
    with pytest.raises(Unavailable):
        asked.get(LIFE)


def test_what_was_made_without_the_channel_is_not_believed_but_goes_on() -> None:
    asked = Asked(Channel(is_connected=False))
    at_once(asked.make())
    asked.value = None
    assert asked.get() is None
    at_once(asked.make())
    asked.is_away = True
    assert asked.get() == "a"


def test_what_was_being_made_when_the_channel_broke_is_not_believed_after() -> None:
    asked = Asked(late=Deferred())
    making = Deferred.fromCoroutine(asked.make())
    asked.channel.era = 2
    assert asked.late is not None
    asked.late.callback(None)
    asked.late = None
    assert making.called
    asked.value = "b"
    assert asked.get() == "b"


def test_what_is_made_while_something_else_ends_is_recalled() -> None:
    asked = Asked(late=Deferred())
    making = Deferred.fromCoroutine(asked.make())
    assert asked.late is not None
    asked.recall.forget("other")
    asked.late.callback(None)
    asked.late = None
    assert making.called
    asked.is_away = True
    assert asked.get() == "a"


def test_what_could_not_be_made_is_not_recalled() -> None:
    asked = Asked(is_away=True)
    with pytest.raises(Unavailable):
        at_once(asked.make())
    with pytest.raises(Unavailable):
        asked.get()


def test_what_was_never_seen_is_not_made_up_while_the_database_is_away() -> None:
    asked = Asked(is_away=True)
    with pytest.raises(Unavailable):
        asked.get()


def test_what_the_database_had_no_more_does_not_come_back_when_it_is_away() -> None:
    asked = Asked(Channel(is_connected=False))
    asked.get()
    asked.value = None
    assert asked.get() is None
    asked.is_away = True
    with pytest.raises(Unavailable):
        asked.get()


def test_asking_for_what_is_not_there_does_not_keep_the_rest_from_being_remembered() -> None:
    asked = Asked()
    late: Deferred[None] = Deferred()
    asked.late = late
    reading = Deferred.fromCoroutine(asked.recall.get("k", NOW, asked.read))
    asked.late, asked.value = None, None
    assert at_once(asked.recall.get("other", NOW, asked.read)) is None
    late.callback(None)
    assert reading.called
    assert asked.get() == "a"


@pytest.mark.parametrize("is_away", [True, False])
def test_what_ends_while_it_is_read_does_not_stay(is_away: bool) -> None:
    asked = Asked(Channel(is_connected=False))
    asked.get()
    asked.is_away = is_away
    asked.late = Deferred()
    reading = Deferred.fromCoroutine(asked.recall.get("k", NOW, asked.read))
    _ = reading.addErrback(lambda failure: failure.trap(Unavailable))
    asked.recall.forget("k")
    asked.late.callback(None)
    assert reading.called
    asked.late, asked.is_away = None, True
    with pytest.raises(Unavailable):
        asked.get()


def test_all_of_it_can_be_listed_and_forgotten() -> None:
    asked = Asked()
    asked.get()
    assert list(asked.recall.values()) == ["a"]
    assert asked.recall.flush() == 1
    assert list(asked.recall.values()) == []


def test_a_process_that_shares_with_nobody_is_always_connected() -> None:
    endings = OneProcess()
    heard: list[str] = []
    endings.on_purchase(heard.append)
    endings.on_session(heard.append)
    assert (endings.is_connected, endings.era) == (True, 0)


# The desk.


def sold(desk: PurchaseDesk, life: int = DAY) -> str:
    return at_once(desk.sell("a" * 40, "mp4", ("*",), life, NOW)).token


def is_valid(desk: PurchaseDesk, token: str, after: int = 0) -> bool:
    try:
        at_once(desk.valid(token, NOW + after))
    except NotFound:
        return False
    return True


def test_a_purchase_removed_on_another_prism_is_dead_at_once() -> None:
    """Whether its ending is heard of or not."""
    kept, channel = MemoryPurchases(), Channel()
    here = PurchaseDesk(kept, LIFE, endings=channel)
    elsewhere = PurchaseDesk(kept, LIFE)
    token = sold(here)
    assert is_valid(here, token)
    at_once(elsewhere.remove(token))
    [ended] = channel.purchases
    ended(token)
    assert not is_valid(here, token)
    channel.is_connected = False
    token = sold(here)
    assert is_valid(here, token)
    at_once(elsewhere.remove(token))
    assert not is_valid(here, token)


def test_a_purchase_seen_before_goes_on_while_the_database_is_away_but_not_past_its_end() -> None:
    kept = MemoryPurchases()
    desk = PurchaseDesk(kept, LIFE, endings=Channel(is_connected=False))
    token = sold(desk, life=LIFE // 2)
    assert is_valid(desk, token)
    kept.is_away = True
    assert is_valid(desk, token, LIFE // 2 - 1)
    assert not is_valid(desk, token, LIFE // 2)
    with pytest.raises(Unavailable):
        is_valid(desk, "x" * 64)


def test_a_purchase_just_sold_goes_on_while_the_database_is_away() -> None:
    kept = MemoryPurchases()
    desk = PurchaseDesk(kept, LIFE, endings=Channel(is_connected=False))
    token = sold(desk)
    kept.is_away = True
    assert is_valid(desk, token, LIFE - 1)


def test_it_can_be_told_that_a_purchase_is_remembered_only() -> None:
    kept, channel = MemoryPurchases(), Channel()
    desk = PurchaseDesk(kept, LIFE, endings=channel)
    token = sold(desk, life=LIFE // 2)
    assert at_once(desk.current(token, NOW)).token == token
    kept.is_away, channel.is_connected = True, False
    with pytest.raises(Unavailable):
        at_once(desk.current(token, NOW))
    assert desk.last_known(token, NOW) == kept.kept[token]
    assert desk.last_known("x" * 64, NOW) is None
    with pytest.raises(NotFound):
        desk.last_known(token, NOW + LIFE // 2)
    kept.is_away = False
    with pytest.raises(NotFound):
        at_once(desk.current("x" * 64, NOW))


def test_a_purchase_whose_removal_was_not_answered_is_looked_up_again() -> None:
    kept = MemoryPurchases()
    desk = PurchaseDesk(kept, LIFE)
    token = sold(desk)
    assert is_valid(desk, token)
    kept.is_away = True
    with pytest.raises(Unavailable):
        at_once(desk.remove(token))
    with pytest.raises(Unavailable):
        is_valid(desk, token)


# Sessions.


class Door:
    """A login of `anna` on one prism, and a second prism on the same database."""

    def __init__(self, channel: Channel, life: int = DAY) -> None:
        self.kept = MemorySessions()
        self.logins = Logins(
            OneUser(), self.kept, LoginAttempts(), life, endings=channel, cache_life=LIFE
        )
        self.elsewhere = Logins(OneUser(), self.kept, LoginAttempts(), life)
        self.token = at_once(self.elsewhere.login("anna", "right", "::1", NOW)).token

    def session(self, after: int = 0) -> Session | None:
        try:
            return at_once(self.logins.authenticate(self.token, NOW + after))
        except NotAuthenticated:
            return None


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_session_made_on_one_prism_counts_on_all_and_a_logout_ends_it_on_all(
    is_connected: bool,
) -> None:
    channel = Channel(is_connected=is_connected)
    door = Door(channel)
    session = door.session()
    assert session is not None
    at_once(door.elsewhere.logout(door.token))
    if is_connected:
        [ended] = channel.sessions
        ended(session.digest)
    assert door.session() is None


def test_under_a_connected_channel_a_session_is_still_believed_for_a_moment_only() -> None:
    door = Door(Channel())
    for after in (0, BELIEVED - 1, BELIEVED):
        assert door.session(after) is not None
    assert door.kept.found == 2


def test_a_session_seen_before_goes_on_while_the_database_is_away() -> None:
    door = Door(Channel())
    assert door.session() is not None
    door.kept.is_away = True
    assert door.session(LIFE - 1) is not None
    with pytest.raises(Unavailable):
        door.session(LIFE)


def test_a_session_just_made_goes_on_while_the_database_is_away() -> None:
    door = Door(Channel())
    door.token = at_once(door.logins.login("anna", "right", "::1", NOW)).token
    door.kept.is_away = True
    assert door.session(LIFE - 1) is not None
    with pytest.raises(Unavailable):
        door.session(LIFE)


def test_a_session_ends_although_the_database_is_away() -> None:
    door = Door(Channel(), life=LIFE // 2)
    assert door.session() is not None
    door.kept.is_away = True
    assert door.session(LIFE // 2 - 1) is not None
    assert door.session(LIFE // 2) is None


def test_a_session_that_cannot_be_made_to_last_longer_is_good_as_it_is() -> None:
    door = Door(Channel())
    door.kept.cannot_extend = True
    session = door.session(DAY // 2)
    assert session is not None
    assert session.expires == NOW + DAY


def test_a_logout_that_was_not_answered_is_believed_here() -> None:
    door = Door(Channel())
    assert door.session() is not None
    door.kept.is_away = True
    with pytest.raises(Unavailable):
        at_once(door.logins.logout(door.token))
    with pytest.raises(Unavailable):
        door.session()
