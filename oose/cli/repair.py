"""What repair says of all content, in plain words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.filesize import decimal

from oose.counting import some

UNITS = ((86400, 36 * 3600, "day"), (3600, 5400, "hour"), (60, 90, "minute"), (1, 0, "second"))


def repair_lines(repair: Mapping[str, Any], now: float) -> Sequence[str]:
    """Lines on what a prism's `/stats` has of it: how much is endangered, how long it will take.

    `now` is in s since 1970.
    """
    if not number(repair, "prisms"):
        return ["Repair: no prism looks after the clones"]
    if not number(repair, "lookedAt"):
        return ["Content: not looked at yet, or not all of it, since the prisms have started"]
    content = (
        f"Content: {number(repair, 'contents'):,} files of {size(number(repair, 'bytes'))}"
        f" as of {moment(number(repair, 'lookedAt') / 1000, now)}"
    )
    endangered = {
        int(live): number(repair["endangered"], live)
        for live in repair.get("endangered") or {}
        if number(repair["endangered"], live)
    }
    if not endangered:
        if number(repair, "tasks"):
            return [content, _work(repair)]
        if repair.get("hinted"):
            return [f"{content}; something has changed since", _work(repair)]
        well = f"{content}, each with all its clones"
        if unseen := number(repair, "unseen"):
            well += f"; {some(unseen, 'change')} of the last seconds still to be looked at"
        return [well, _work(repair)]
    how = ", ".join(f"{count:,} with {live or 'none'}" for live, count in endangered.items())
    lines = [f"{content}; {sum(endangered.values()):,} have fewer clones than wanted: {how}"]
    if lost := number(repair, "lost"):
        lines.append(f"Lost: {lost:,} have no clone on a store that is there, or is waited for")
    return [*lines, _work(repair)]


def _work(repair: Mapping[str, Any]) -> str:
    tasks, to_do = number(repair, "tasks"), number(repair, "toDo")
    said = []
    if tasks:
        left = repair.get("secondsLeft")
        time = about(left) if isinstance(left, int) else "how long is not known yet"
        said.append(f"{tasks:,} to do, {size(to_do)} to send, {time}")
    if stuck := number(repair, "stuck"):
        said.append(f"for {stuck:,} no other store can take a clone")
    if failed := number(repair, "failed"):
        said.append(f"{failed:,} could not be mended, and are tried again")
    endangered = sum(number(repair["endangered"], live) for live in repair.get("endangered") or {})
    if not said and not repair.get("hinted") and endangered > number(repair, "lost"):
        said.append("waits for stores that are away, as long as `clones.repair_after` says")
    nothing = "nothing to do yet" if repair.get("hinted") else "nothing to do"
    return "Repair: " + ("; ".join(said) or nothing)


def moment(at: float, now: float) -> str:
    """When something was, in local time; with the day where that is not today's."""
    then, today = (datetime.fromtimestamp(each).astimezone() for each in (at, now))
    return then.strftime("%H:%M" if then.date() == today.date() else "%Y-%m-%d %H:%M")


def about(seconds: int) -> str:
    """A duration, as far as it matters."""
    unit, name = next((unit, name) for unit, least, name in UNITS if seconds >= least)
    count = round(seconds / unit)
    return f"about {count:,} {name}" + ("" if count == 1 else "s")


def size(count: int) -> str:
    """Bytes, as far as they matter."""
    return decimal(count)


def number(of: Mapping[str, Any], key: str) -> int:
    """A number; 0 where there is none."""
    value = of.get(key)
    return value if isinstance(value, int) else 0
