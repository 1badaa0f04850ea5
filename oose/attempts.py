"""Failed logins, counted so that guessing is slow from one address, and from many.

Each counter is a leaky bucket: failures fill it, time empties it, and a full one refuses. Buckets
that have emptied are forgotten; how many are kept is bounded, and an attacker who floods with
invented names meets the bucket of their own address first.
"""

from collections import OrderedDict
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

from attrs import define, frozen

from oose.counting import some
from oose.errors import TooManyAttempts

HOUR = 3_600_000  # ms
MOST = 50_000  # buckets of a kind
KNOWN_GOOD = 10_000


@frozen
class Limit:
    """So many failures at once, and then one more every `leak` (ms)."""

    failures: int
    leak: int


PAIR = Limit(5, HOUR // 6)  # one user from one address
ADDRESS = Limit(20, HOUR // 12)  # any users from one address
USER = Limit(50, HOUR // 6)  # one user from any addresses


@define
class _Bucket:
    level: float
    seen: int


class _Buckets:
    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait(self, key: str, now: int) -> int:
        """The ms until another attempt is allowed; 0 when it is now."""
        return max(0, int((self._level(key, now) + 1 - self._limit.failures) * self._limit.leak))

    def add(self, key: str, now: int) -> None:
        self._buckets[key] = _Bucket(self._level(key, now) + 1, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)

    def take_back(self, key: str) -> None:
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.level -= 1

    def empty(self, key: str) -> None:
        self._buckets.pop(key, None)

    def __len__(self) -> int:
        return len(self._buckets)

    def _level(self, key: str, now: int) -> float:
        bucket = self._buckets.get(key)
        if bucket is None:
            return 0
        passed = max(0, now - bucket.seen)  # a clock that is set back locks nobody out
        level = bucket.level - passed / self._limit.leak
        if level > 0:
            return level
        del self._buckets[key]
        return 0


@frozen
class Attempt:
    """One that counts as failed until it is taken back: the buckets, and its key in each."""

    counted: Sequence[tuple[_Buckets, str]]

    def take_back(self) -> None:
        """It did not fail after all, or nobody could tell."""
        for buckets, key in self.counted:
            buckets.take_back(key)


class LoginAttempts:
    """Times are ms. Sessions that exist are never touched by any of this."""

    def __init__(self) -> None:
        self._pairs = _Buckets(PAIR)
        self._addresses = _Buckets(ADDRESS)
        self._users = _Buckets(USER)
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, username: str, address: str, now: int) -> None:
        """`TooManyAttempts` unless another attempt is allowed now.

        What is guessed there for others, or elsewhere, does not lock a user out at an address where
        they have logged in before.
        """
        net = network(address)
        wait = self._pairs.wait(_pair(username, net), now)
        if (username, net) not in self._good:
            wait = max(wait, self._addresses.wait(net, now), self._users.wait(username, now))
        if wait:
            seconds = wait // 1000 + 1
            raise TooManyAttempts(
                f"Too many failed logins; try again in {some(seconds, 'second')}",
                retry_after=seconds,
            )

    def begin(self, username: str, address: str, now: int) -> Attempt:
        """Note an attempt before it is looked at, as many come at once; see `check`."""
        self.check(username, address, now)
        return self.failed(username, address, now)

    def failed(self, username: str, address: str, now: int) -> Attempt:
        """Note a failure; names that do not exist count like those that do."""
        net = network(address)
        counted = [(self._pairs, _pair(username, net)), (self._addresses, net)]
        if (username, net) not in self._good:
            counted.append((self._users, username))
        for buckets, key in counted:
            buckets.add(key, now)
        return Attempt(counted)

    def succeeded(self, username: str, address: str, now: int) -> None:
        """Note a success: this user is known to come from there."""
        net = network(address)
        self._pairs.empty(_pair(username, net))
        self._good[username, net] = None
        self._good.move_to_end((username, net))
        if len(self._good) > KNOWN_GOOD:
            self._good.popitem(last=False)

    def size(self) -> int:
        """How much is remembered."""
        return len(self._pairs) + len(self._addresses) + len(self._users) + len(self._good)


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 that one IPv6 customer has."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def _pair(username: str, net: str) -> str:
    return f"{net} {username}"
