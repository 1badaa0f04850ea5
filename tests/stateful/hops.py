"""Where everything waits that takes time, and in which order it goes on.

Whatever a process asks of a disk, of the database or of another process is done some time later, in
one moment, and its answer comes some time after that. Between any two of these moments something
else may happen, and the process may be dead.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorPluggableNameResolver,
    IReactorTime,
)
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from oose.pool import Inline

T = TypeVar("T")
A_HOP = 0.001  # seconds
PATIENCE = 20_000  # hops after which what does not end never will


class Crashed(Exception):
    """The process is dead; nothing that it still does has any effect."""


@define(eq=False)
class Hop:
    """Something that `life` does next."""

    life: "Life"
    act: Callable[[], object]


@define(eq=False)
class Hops:
    """All that waits. `order` is None where who waited longest goes on."""

    clock: Clock = field(factory=Clock)
    order: Random | None = None
    is_calm: bool = False  # nothing waits
    is_kind: bool = True  # nothing fails by chance
    _waiting: list[Hop] = field(factory=list)
    graveyard: list[object] = field(factory=list)  # what the dead hold on to
    bugs: list[str] = field(factory=list)  # errors that nobody expects

    def put(self, hop: Hop) -> None:
        if self.is_calm:
            hop.act()
        else:
            self._waiting.append(hop)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, but for time to pass."""
        return not self._waiting

    def bury(self, life: "Life") -> None:
        """Forget what it was about to do."""
        self._waiting = [each for each in self._waiting if each.life is not life]

    def go_on(self, count: int | None = None) -> int:
        """So many go on, or all until nobody waits; how many that were."""
        done = 0
        while self._waiting and (count is None or done < count):
            assert done < PATIENCE, "it does not come to an end"
            number = 0 if self.order is None else self.order.randrange(len(self._waiting))
            hop = self._waiting.pop(number)
            self.clock.advance(A_HOP)
            if not hop.life.is_over:
                hop.act()
            done += 1
        return done

    def mischance(self, one_in: int) -> bool:
        """Whether something goes wrong now."""
        if self.is_calm or self.is_kind or self.order is None:
            return False
        return self.order.randrange(one_in) == 0

    def number(self, below: int) -> int:
        """By chance, or 0."""
        return 0 if self.order is None else self.order.randrange(below)


@define(eq=False)
class Life:
    """One run of a process. `skew` is how far ahead its clock is, in seconds."""

    name: str
    hops: Hops
    skew: float = 0.0
    is_over: bool = False
    ends: list[Callable[[], object]] = field(factory=list)  # what ends with it
    _expected: set[Deferred[Any]] = field(factory=set)

    def expect(self) -> Deferred[Any]:
        """What comes some time, unless it is dead before."""
        answer: Deferred[Any] = Deferred()
        self._expected.add(answer)

        def came(result: Any) -> Any:
            self._expected.discard(answer)
            return result

        return answer.addBoth(came)

    async def later(self, work: Callable[[], T]) -> T:
        """Have it done in one moment, some time from now, also where nobody waits any more."""
        if self.is_over:
            raise Crashed(self.name)
        if self.hops.is_calm:
            return work()
        answer = self.expect()
        self.hops.put(Hop(self, lambda: self._do(work, answer)))
        result: T = await answer
        return result

    def _do(self, work: Callable[[], T], answer: Deferred[T]) -> None:
        result: T | Failure
        try:
            result = work()
        except Exception:
            result = Failure()
        self.hops.put(Hop(self, lambda: tell(answer, result)))

    def end(self) -> None:
        """It is killed."""
        self.is_over = True
        self.hops.bury(self)
        for each in self.ends:
            each()
        while self._expected:
            tell(next(iter(self._expected)), Failure(Crashed(self.name)))

    def now(self) -> int:
        """Its time in ms since 1970."""
        return int((self.hops.clock.seconds() + self.skew) * 1000)


def tell(answer: Deferred[T], result: T | Failure) -> None:
    """Give a result to whoever still waits for it."""
    if answer.called:
        return
    if isinstance(result, Failure):
        answer.errback(result)
    else:
        answer.callback(result)


@implementer(IReactorTime, IReactorPluggableNameResolver)
class LifeClock:
    """The clock of one life: what the dead wait for never comes."""

    nameResolver: Any = None  # noqa: N815 # Twisted's name

    def installNameResolver(self, resolver: Any) -> Any:  # noqa: N802 # Twisted's name
        """Nobody asks it."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._clock = life.hops.clock

    def seconds(self) -> float:
        return self._clock.seconds() + self._life.skew

    def callLater(  # noqa: N802 # Twisted's name
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002 # Twisted's name
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall:
        life = self._life

        def call() -> None:
            if life.is_over:
                life.hops.graveyard.append((callable, args, kwargs))
            else:
                callable(*args, **kwargs)

        clock = Clock() if life.is_over else self._clock
        later: IDelayedCall = clock.callLater(delay, call)
        if life.is_over:
            life.hops.graveyard.append(later)
        return later

    def getDelayedCalls(self) -> list[IDelayedCall]:  # noqa: N802 # Twisted's name
        return list(self._clock.getDelayedCalls())


class Threads(Inline):
    """A pool whose calls are made when it is their turn; `after` comes right behind each.

    Those that are `dull` come at once: there are many, and nothing depends on when.
    """

    def __init__(
        self, life: Life, after: Callable[[float], object], dull: Callable[[Sequence[Any]], bool]
    ) -> None:
        self._life = life
        self._after = after
        self._dull = dull

    async def run(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        if self._dull(args) and not self._life.is_over:
            return call(*args, **kwargs)

        def work() -> T:
            try:
                return call(*args, **kwargs)
            finally:
                self._after(self._life.now() / 1000)

        return await self._life.later(work)
