"""What was found to be done, most endangered first, in bounded memory."""

from collections.abc import Collection

from attrs import define, field, frozen

from oose.repairing.need import KINDS, Kind, Need, Rank
from oose.repairing.tally import Tally

MOST = 10_000  # tasks


@frozen
class Task:
    """What `need` says is to be done for a content, as it was counted in `tally`.

    `known_ids` are records of it that there are.
    """

    hash: str
    need: Need
    tally: Tally
    known_ids: Collection[str] = ()


@define(eq=False)
class Worklist:
    """Tasks, one for each content; of too many the least urgent are dropped.

    `bytes` are to be sent for those there are. Where some were dropped it `is_cut`, until that is
    taken back.
    """

    most: int = MOST
    bytes: int = field(default=0, init=False)
    is_cut: bool = field(default=False, init=False)
    _ranks: dict[str, Rank] = field(factory=dict, init=False)
    _tasks: dict[Rank, dict[str, Task]] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._ranks)

    def put(self, task: Task) -> bool:
        """Note a task instead of what was known of its content; whether nothing was."""
        is_new = self.remove(task.hash) is None
        rank = task.need.rank
        self._ranks[task.hash] = rank
        self._tasks.setdefault(rank, {})[task.hash] = task
        self.bytes += task.need.bytes
        if len(self._ranks) > self.most:
            self.remove(next(reversed(self._tasks[max(self._tasks)])))
            self.is_cut = True
        return is_new

    def take(self, only: Kind | None = None) -> Task | None:
        """The most urgent, if need be of one kind only; None where there is none."""
        for rank in sorted(self._tasks):
            if only is None or rank[0] == KINDS.index(only):
                return self.remove(next(iter(self._tasks[rank])))
        return None

    def has(self, kind: Kind) -> bool:
        """Whether there is a task of a kind."""
        return any(rank[0] == KINDS.index(kind) for rank in self._tasks)

    def remove(self, content_hash: str) -> Task | None:
        """Forget what is to be done for a content; what that was."""
        rank = self._ranks.pop(content_hash, None)
        if rank is None:
            return None
        tasks = self._tasks[rank]
        task = tasks.pop(content_hash)
        if not tasks:
            del self._tasks[rank]
        self.bytes -= task.need.bytes
        return task
