#!/usr/bin/env python3
"""What `systemctl` is in the folder, where no systemd runs: it records what it is asked to do.

Services of oose really run, as their user; one is ready when its log says so. So do nginx and the
firewall; of others it is only known whether they would. It is Debian's own Python that runs this,
without any other library.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE = Path("/run/systemctl")
PATIENCE = 60.0  # seconds for a service to be ready, or to end
READY = "is ready"
BESIDE = ["nsenter", "--net=/proc/1/ns/net"]  # the network that services have
NGINX = "nginx.service"
NGINX_PID = Path("/run/nginx.pid")  # as Debian's nginx.conf has it
FIREWALL = "oose-firewall.service"


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
    if verb == "reload":
        return reload(unit)
    return start(unit) if verb in {"start", "restart"} else 0


def shown(unit: str) -> str:
    """As `systemctl show` has it."""
    since = STATE / f"{unit}.since"
    enabled = "enabled" if (STATE / f"{unit}.enabled").exists() else "disabled"
    lines = {
        "UnitFileState": enabled,
        "ActiveState": "active" if is_active(unit) else "inactive",
        "NeedDaemonReload": "no",
        "StateChangeTimestampMonotonic": moment(unit),
        "InactiveExitTimestampMonotonic": since.read_text() if since.exists() else "0",
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def is_active(unit: str) -> bool:
    """Whether its process runs; of what has none, whether it was started."""
    file = NGINX_PID if unit == NGINX else STATE / f"{unit}.pid"
    return file.exists() and bool(file.read_text().strip()) and is_running(int(file.read_text()))


def is_running(pid: int) -> bool:
    """Not ended, and no zombie that nobody waits for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def moment(unit: str) -> str:
    """When it was started or reloaded last."""
    files = [STATE / f"{unit}.{what}" for what in ("reloaded", "since")]
    return str(max([int(file.read_text()) for file in files if file.exists()] or [0]))


def note(unit: str, what: str) -> None:
    (STATE / f"{unit}.{what}").write_text(str(round(time.monotonic() * 1_000_000)))


def stop(unit: str) -> None:
    """End it, and wait for that."""
    file = STATE / f"{unit}.pid"
    if is_ours(unit) and is_active(unit):
        end(int(file.read_text()))
        run(unit, "ExecStopPost")
    elif unit == FIREWALL and is_active(unit):
        run(unit, "ExecStop")
    file.unlink(missing_ok=True)


def end(pid: int) -> None:
    """SIGTERM, and SIGKILL for who does not take it."""
    os.kill(pid, signal.SIGTERM)
    latest = time.monotonic() + PATIENCE
    while is_running(pid):
        time.sleep(0.05)
        if time.monotonic() > latest:
            os.kill(pid, signal.SIGKILL)


def reload(unit: str) -> int:
    """Have it read its files again."""
    note(unit, "reloaded")
    if unit == NGINX:
        return subprocess.run([*BESIDE, "nginx", "-s", "reload"], check=False).returncode
    return run(unit, "ExecReload") if unit == FIREWALL else 0


def start(unit: str) -> int:
    """Start it, and wait until it is ready; 1 when it ends instead."""
    note(unit, "since")
    if unit == NGINX:
        return subprocess.run([*BESIDE, "nginx"], check=False).returncode
    if unit == FIREWALL and (code := run(unit, "ExecStart")):
        return code
    if not is_ours(unit):
        (STATE / f"{unit}.pid").write_text("1")
        return 0
    return started(unit)


def run(unit: str, what: str) -> int:
    """The command lines of a unit of that kind, one after the other."""
    code = 0
    for line in lines_of(unit, what):
        command = shlex.split(line.removeprefix("-"))
        code = code or subprocess.run([*BESIDE, *command], check=False).returncode
    return code


def lines_of(unit: str, what: str) -> list[str]:
    """Those in its file and its drop-ins."""
    folder = Path("/etc/systemd/system")
    files = [folder / unit, *sorted((folder / f"{unit}.d").glob("*.conf"))]
    texts = [file.read_text() for file in files if file.exists()]
    lines = [line for text in texts for line in text.splitlines()]
    return [line.partition("=")[2] for line in lines if line.startswith(f"{what}=")]


def is_ours(unit: str) -> bool:
    """Whether it is a process of oose."""
    return unit.startswith(("oose-prism", "oose-store@")) and unit.endswith(".service")


def started(unit: str) -> int:
    """A process of oose."""
    log = STATE / f"{unit}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*BESIDE, "setpriv", "--reuid=oose", "--regid=oose", "--init-groups",
             "/opt/oose/current/venv/bin/twistd", "-n", "--pidfile=", "oose",
             "--config", configuration_of(unit)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,  # as the units have it
        )  # fmt: skip
    (STATE / f"{unit}.pid").write_text(str(process.pid))
    latest = time.monotonic() + PATIENCE
    while time.monotonic() < latest and process.poll() is None:
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
