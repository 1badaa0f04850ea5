"""`twistd -n oose`: the one place where everything is put together, and the only reactor import."""

import atexit
import gc
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from twisted.application.service import IService, IServiceCollection
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.logfile import LogFile

from oose import log
from oose.assembly import Assembly
from oose.engine import DRAIN, CannotStart, Engine
from oose.first_start import make_root
from oose.secrets_file import FILE_NAME, UnreadableSecrets, load_or_make
from oose.settings import BadSettings, PrismSettings, Settings, StoreSettings, Tls, read, warnings
from oose.systemd.reclaiming import reclaim
from oose.systemd.supervision import Supervision, supervision
from oose.systemd.variables import BadHandover
from oose.tls import (
    SELF_SIGNED,
    UnusableCertificate,
    certificate_alone,
    client_policy,
    load,
    self_signed,
)

EX_CONFIG = 78  # sysexits.h; systemd's RestartPreventExitStatus= knows it


class Options(usage.Options):
    """`twistd [its own options] oose [--config FILE]`."""

    synopsis = "[--config FILE]"
    longdesc = (
        "Runs a prism and its stores as the configuration says; without one, one of each on"
        " loopback with embedded databases below ./data. OOSE_CONFIG names the file where"
        " --config does not. DEBUG=oose:* in the environment shows what each part does."
    )
    optParameters = (("config", "c", None, "The configuration, a Python file"),)
    settings: Settings

    def parseOptions(self, options: Any = None) -> None:  # noqa: N802
        """See `Options`; twistd would answer a mistake with its own synopsis."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            sys.stderr.write(f"{self.getSynopsis()}\noose: {error}\n")
            raise SystemExit(1) from None

    def postOptions(self) -> None:
        """Read the configuration: a bad one ends the start before a port is opened."""
        name = self["config"] or os.environ.get("OOSE_CONFIG")
        try:
            self.settings = read(Path(name) if name else None)
        except BadSettings as error:
            sys.stderr.write("The configuration is not usable:\n")
            sys.stderr.writelines(f"  {problem}\n" for problem in error.problems)
            raise SystemExit(EX_CONFIG) from None


class OoseService(Engine):
    """The engine as twistd's application holds it: its log goes where twistd's would."""

    observer: Any = None
    takes_signals = False  # of a process that is all ours

    def stopService(self) -> Deferred[None]:
        """See `Engine`. Whoever asks again is told that it is being done."""
        if self.takes_signals:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, stop_again)
        return super().stopService()

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """See `IService`; twistd asks its application for a log observer before it starts."""
        super().setServiceParent(parent)
        if self.observer is not None:
            application: Any = parent
            application.setComponent(ILogObserver, self.observer)


def makeService(options: Options) -> IService:
    """What twistd runs."""
    settings = options.settings
    log.configure(settings.log, os.environ.get("DEBUG", ""))
    try:
        # Before twistd forks, where it does: the variables name the process that systemd started.
        reclaim(os.environ, os.getpid())
        supervised = supervision(os.environ, os.getpid(), reactor)
        service = put_together(settings, fail, supervised)
        service.claim()
    except (BadHandover, CannotStart, OSError, UnreadableSecrets, UnusableCertificate) as error:
        sys.stderr.write(f"Cannot start: {error}\n")
        raise SystemExit(1) from None
    service.takes_signals = True
    twistd: Any = options.parent or {}
    if not (twistd.get("logger") or twistd.get("syslog")):
        service.observer = log.observer(settings.log, log_stream(twistd))
    for warning in warnings(settings):
        log.part("start").warn("{warning}", warning=warning)
    gc.collect()
    gc.freeze()  # what there is by now stays: to look through it again and again costs a tenth
    return service


def put_together(
    settings: Settings, fail: Callable[[], None], supervised: Supervision | None = None
) -> OoseService:
    """The process's parts; what is made once in a machine's life is made here.

    `fail` is called when the start cannot be completed; `supervised` is what systemd has to do
    with it, if anything.
    """
    if supervised is None:
        supervised = supervision({}, os.getpid(), reactor)
    make_root(settings.root)
    secrets = load_or_make(settings.root / FILE_NAME)
    certificate = own_certificate(settings)
    ssl = settings.ssl or Tls()
    verify = Path(ssl.verify) if isinstance(ssl.verify, str) else ssl.verify
    tls = None if ssl.pem is None else load(certificate or Path(ssl.pem))
    policy = client_policy(verify, own=certificate)
    assembly = Assembly(settings, secrets, policy, reactor)
    alone = certificate and certificate_alone(certificate)
    return OoseService(assembly, tls, alone, supervised, reactor, fail)


def own_certificate(settings: Settings) -> Path | None:
    """The self-signed certificate, where the configuration asks for one."""
    if settings.ssl is None or settings.ssl.pem != "auto":
        return None
    rooms: list[PrismSettings | StoreSettings] = [settings.prism, *settings.stores]
    names = [settings.machine, *(room.listen for room in rooms)]
    names += [host for room in rooms if room.url and (host := urlsplit(room.url).hostname)]
    return self_signed(settings.root / SELF_SIGNED, names, datetime.now(UTC))


def stop_again(number: int, frame: FrameType | None) -> None:
    """A second signal; to Twisted's own handler it would be an error."""
    running: Any = reactor
    running.callFromThread(
        log.part("start").info, "Stopping already: what is under way has {s:g} s", s=DRAIN
    )


def fail() -> None:
    """End the process with status 1: twistd itself would say that all was well."""
    atexit.register(exit_failed)
    if reactor.running:
        reactor.stop()


def exit_failed() -> None:
    """The very end of a start that failed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def log_stream(twistd: Any) -> Any:
    """Where twistd would log: its --logfile, `twistd.log` for a daemon, else the terminal."""
    name = twistd.get("logfile")
    if name == "-" or (twistd.get("nodaemon") and not name):
        return sys.stdout
    return LogFile.fromFullPath(str(Path(name or "twistd.log").absolute()))
