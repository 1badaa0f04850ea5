"""Work that costs less together: what waits is handed on as one batch.

A disk that makes one file durable makes all that was written before it durable for next to nothing,
and a database's transaction likewise. So what arrives while a batch is under way shares the next.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure

from oose.background import in_background
from oose.pool import Pool

W = TypeVar("W")
T = TypeVar("T")


@define(eq=False)
class Job(Generic[W, T]):
    """One piece of work: whoever does the batch sets its `result` or its `failure`."""

    work: W
    then: Callable[[T], None] | None = None
    answer: Deferred[T] = field(factory=Deferred)
    result: T | None = None
    failure: Failure | None = None

    def tell(self) -> None:
        """Give the outcome to whoever waits for it, and to `then` where it is a result."""
        if self.then is not None and self.failure is None:
            self.then(self.result)  # type: ignore[arg-type] # set with no failure
        if self.answer.called:  # its caller was cancelled
            return
        if self.failure is not None:
            self.answer.errback(self.failure)
        else:
            self.answer.callback(self.result)  # type: ignore[arg-type] # set with no failure


def as_it_is(error: Exception) -> Exception:
    """An error that needs no explaining."""
    return error


class Batches(Generic[W, T]):
    """Hands everything that waits to one call of `do` in a pool, in at most `lanes` calls at once.

    What `do` itself raises, made clear by `explain`, is the failure of the whole batch.
    """

    def __init__(
        self,
        pool: Pool,
        do: Callable[[Sequence[Job[W, T]]], None],
        explain: Callable[[Exception], Exception] = as_it_is,
        *,
        lanes: int = 1,
    ) -> None:
        self._pool = pool
        self._do = do
        self._explain = explain
        self._waiting: list[Job[W, T]] = []
        self._lanes = DeferredSemaphore(lanes)

    async def run(self, work: W, *, then: Callable[[T], None] | None = None) -> T:
        """The result of `work`, once its batch is done."""
        job: Job[W, T] = Job(work, then)
        self._waiting.append(job)
        if self._lanes.tokens:
            in_background(self._run_all())
        return await job.answer

    async def settled(self) -> None:
        """Wait until what was asked for before is done."""
        held = [await self._lanes.acquire() for _ in range(self._lanes.limit)]
        for lane in held:
            lane.release()

    async def _run_all(self) -> None:
        async with self._lanes:
            while self._waiting:
                jobs, self._waiting = self._waiting, []
                try:
                    await self._pool.run(self._do, jobs)
                except Exception as error:
                    failure = Failure(self._explain(error))
                    for job in jobs:
                        job.failure = failure
                for job in jobs:
                    job.tell()
