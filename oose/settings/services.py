"""The sections of a configuration that stand for themselves: what each may hold."""

from oose.settings import kinds
from oose.settings.model import (
    CloneSettings,
    HeartbeatSettings,
    InventorySettings,
    LogSettings,
    PurchaseSettings,
    RetrieveSettings,
    SessionSettings,
)
from oose.settings.section import Section


def take_heartbeat(section: Section) -> HeartbeatSettings:
    """`heartbeat`."""
    default = HeartbeatSettings()
    take = section.take
    settings = HeartbeatSettings(
        enabled=take("enabled", kinds.optional(kinds.flag), default.enabled),
        start_delay=take("start_delay", kinds.duration, default.start_delay),
        frequency=take("frequency", kinds.lasting, default.frequency),
        retries=take("retries", kinds.whole(0, 1000), default.retries),
        concurrency=take("concurrency", kinds.whole(1, 1000), default.concurrency),
        ping_response_timeout=take(
            "ping_response_timeout", kinds.lasting, default.ping_response_timeout
        ),
        vote_life=take("vote_life", kinds.lasting, default.vote_life),
        vote_prune_frequency=take(
            "vote_prune_frequency", kinds.lasting, default.vote_prune_frequency
        ),
    )
    section.close()
    return settings


def take_inventory(section: Section) -> InventorySettings:
    """`inventory`."""
    default = InventorySettings()
    take = section.take
    settings = InventorySettings(
        enabled=take("enabled", kinds.flag, default.enabled),
        frequency=take("frequency", kinds.lasting, default.frequency),
        driver=take("driver", kinds.choice("auto", "unix", "native"), default.driver),
        files=take("files", kinds.optional(kinds.whole(1, 10**9)), default.files),
        requests=take("requests", kinds.optional(kinds.whole(1, 10**6)), default.requests),
        verify_frequency=take(
            "verify_frequency", kinds.optional(kinds.lasting), default.verify_frequency
        ),
        verify_rate=take("verify_rate", kinds.optional(kinds.rate), default.verify_rate),
        quarantine_life=take("quarantine_life", kinds.duration, default.quarantine_life),
    )
    section.close()
    return settings


def take_purchase(section: Section) -> PurchaseSettings:
    """`purchase`."""
    default = PurchaseSettings()
    settings = PurchaseSettings(
        life=section.take("life", kinds.lasting, default.life),
        afterlife=section.take("afterlife", kinds.duration, default.afterlife),
    )
    section.close()
    return settings


def take_clones(section: Section) -> CloneSettings:
    """`clones`."""
    default = CloneSettings()
    take = section.take
    settings = CloneSettings(
        minimum=take("minimum", kinds.whole(1, 64), default.minimum),
        maximum=take("maximum", kinds.whole(1, 64), default.maximum),
        accept_fewer=take("accept_fewer", kinds.flag, default.accept_fewer),
        repair=take("repair", kinds.flag, default.repair),
        repair_after=take("repair_after", kinds.duration, default.repair_after),
        repair_frequency=take("repair_frequency", kinds.lasting, default.repair_frequency),
        repair_concurrency=take(
            "repair_concurrency", kinds.whole(1, 1000), default.repair_concurrency
        ),
        repair_rate=take("repair_rate", kinds.optional(kinds.rate), default.repair_rate),
        bear=take("bear", kinds.whole(0, 10**9), default.bear),
        cool_after=take("cool_after", kinds.duration, default.cool_after),
    )
    if settings.maximum < settings.minimum:
        section.wrong("maximum", f"expected at least the minimum, {settings.minimum}")
    section.close()
    return settings


def take_session(section: Section) -> SessionSettings:
    """`session`."""
    settings = SessionSettings(life=section.take("life", kinds.lasting, SessionSettings().life))
    section.close()
    return settings


def take_retrieve(section: Section) -> RetrieveSettings:
    """`retrieve`."""
    default = RetrieveSettings()
    take = section.take
    settings = RetrieveSettings(
        allow_private=take("allow_private", kinds.flag, default.allow_private),
        timeout=take("timeout", kinds.lasting, default.timeout),
        max_size=take("max_size", kinds.optional(kinds.size), default.max_size),
        max_redirects=take("max_redirects", kinds.whole(0, 50), default.max_redirects),
    )
    section.close()
    return settings


def take_log(section: Section) -> LogSettings:
    """`log`."""
    default = LogSettings()
    settings = LogSettings(
        format=section.take("format", kinds.choice("text", "json"), default.format),
        level=section.take(
            "level", kinds.choice("debug", "info", "warn", "error", "critical"), default.level
        ),
    )
    section.close()
    return settings
