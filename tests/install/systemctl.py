#!/usr/bin/env python3
"""What `systemctl` is in the folder, where no systemd runs: it records what it is asked to do.

Services really run, as their user; one is ready when its log says so. It is Debian's own Python
that runs this, without any other library.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = Path("/run/systemctl")
PATIENCE = 60.0  # seconds for a service to be ready, or to end
READY = "is ready"


def main(verb: str, *arguments: str) -> int:
    STATE.mkdir(exist_ok=True)
    units = [each for each in arguments if not each.startswith("-")]
    unit = units[0] if units else ""
    if verb == "show":
        sys.stdout.write(shown(unit))
        return 0
    if verb == "is-active":
        return 0 if is_active(unit) else 3
    with (STATE / "log").open("a") as log:
        log.write(f"{verb} {unit}".strip() + "\n")
    if verb == "enable":
        (STATE / f"{unit}.enabled").touch()
    elif verb == "disable":
        (STATE / f"{unit}.enabled").unlink(missing_ok=True)
    if verb in {"stop", "restart"} or "--now" in arguments:
        stop(unit)
    return start(unit) if verb in {"start", "restart"} else 0


def shown(unit: str) -> str:
    """As `systemctl show` has it."""
    since = STATE / f"{unit}.since"
    enabled = "enabled" if (STATE / f"{unit}.enabled").exists() else "disabled"
    lines = {
        "UnitFileState": enabled,
        "ActiveState": "active" if is_active(unit) else "inactive",
        "NeedDaemonReload": "no",
        "InactiveExitTimestampMonotonic": since.read_text() if since.exists() else "0",
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def is_active(unit: str) -> bool:
    """Whether its process runs; of a socket, whether it was started."""
    file = STATE / f"{unit}.pid"
    return file.exists() and is_running(int(file.read_text()))


def is_running(pid: int) -> bool:
    """Not ended, and no zombie that nobody waits for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def stop(unit: str) -> None:
    """End it, and wait for that."""
    file = STATE / f"{unit}.pid"
    if unit.endswith(".service") and is_active(unit):
        pid = int(file.read_text())
        os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + PATIENCE
        while is_running(pid):
            time.sleep(0.05)
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
    file.unlink(missing_ok=True)


def start(unit: str) -> int:
    """Start it, and wait until it is ready; 1 when it ends instead."""
    (STATE / f"{unit}.since").write_text(str(round(time.monotonic() * 1_000_000)))
    if unit.endswith(".socket"):
        (STATE / f"{unit}.pid").write_text("1")
        return 0
    log = STATE / f"{unit}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ["setpriv", "--reuid=oose", "--regid=oose", "--init-groups",
             "/opt/oose/current/venv/bin/twistd", "-n", "--pidfile=", "oose",
             "--config", configuration_of(unit)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    (STATE / f"{unit}.pid").write_text(str(process.pid))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if READY in log.read_text():
            return 0
        time.sleep(0.05)
    sys.stderr.write(f"Job for {unit} failed.\n{log.read_text()}")
    return 1


def configuration_of(unit: str) -> str:
    """What the units of the release say, in short."""
    name = unit.removesuffix(".service")
    _, at, store = name.partition("@")
    return f"/etc/oose/store/{store}.py" if at else "/etc/oose/prism.py"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
