from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from oose.background import in_background


def test_work_begins_at_once_and_goes_on_by_itself() -> None:
    wait: Deferred[None] = Deferred()
    steps: list[str] = []

    async def work() -> None:
        steps.append("begun")
        await wait
        steps.append("ended")

    in_background(work())
    assert steps == ["begun"]
    wait.callback(None)
    assert steps == ["begun", "ended"]


def test_what_goes_wrong_is_in_the_log() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with capturedLogs() as events:
        in_background(work())
    (event,) = events
    assert event["log_format"] == "Work in the background failed"
    assert event["log_failure"].type is ZeroDivisionError
