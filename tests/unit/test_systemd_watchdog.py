"""The word that systemd waits for."""

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from oose.systemd.notify import Notifier
from oose.systemd.variables import BadHandover
from oose.systemd.watchdog import Watchdog, watchdog_seconds
from tests.systemd import ear


def test_it_is_sent_at_half_the_time_until_it_is_stopped(tmp_path: Path) -> None:
    clock = Clock()
    with ear(str(tmp_path / "notify")) as listening:
        watchdog = Watchdog(Notifier(listening.address, clock), 30.0, clock)
        watchdog.start()
        clock.advance(14)
        assert listening.heard() == []
        clock.pump([1, 15, 15])
        assert listening.heard() == [["WATCHDOG=1"]] * 3
        stopped = Deferred.fromCoroutine(watchdog.stop())
        clock.advance(60)
        assert stopped.called
        assert listening.heard() == []


def test_it_is_not_sent_where_nobody_waits() -> None:
    clock = Clock()
    watchdog = Watchdog(Notifier(None, clock), None, clock)
    watchdog.start()
    assert clock.getDelayedCalls() == []
    assert Deferred.fromCoroutine(watchdog.stop()).called


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_PID": "7"}, None),
        ({}, None),
    ],
)
def test_how_long_systemd_waits_is_taken_out_of_the_environment(
    environment: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_seconds(environment, 7) == seconds
    assert environment == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [("WATCHDOG_USEC", "soon"), ("WATCHDOG_USEC", "0"), ("WATCHDOG_PID", "-1")],
)
def test_what_systemd_would_not_say_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadHandover, match=name):
        watchdog_seconds({"WATCHDOG_USEC": "1", name: value}, 7)
