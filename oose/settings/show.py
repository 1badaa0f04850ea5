"""A configuration as text: a file that reads back as the same, but for its secrets."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

from attrs import asdict

from oose.settings.model import Settings
from oose.settings.warnings import SHORTEST_PASSWORD

MASKED = "*" * SHORTEST_PASSWORD  # no shorter, or a room heard from elsewhere would be refused


def show(settings: Settings) -> str:
    """The result of reading: every name with its value, secrets masked."""
    values = tree(settings)
    stores = values.pop("store")
    tls = values.pop("ssl")
    origin = str(settings.path or "the defaults of one machine")
    lines = [f"# {repr(origin)[1:-1]}"]  # a line break in it stays in the comment
    lines += assignments(
        {name: each for name, each in values.items() if not isinstance(each, dict)}
    )
    if tls is not None:
        lines += ["", *block("ssl", tls)]
    lines += [
        line
        for name, each in values.items()
        if isinstance(each, dict)
        for line in ("", *block(name, each))
    ]
    lines += ["", "store = ["]
    for store in stores:
        lines += ["    {", *entries(store, 8), "    },"]
    lines += ["]"]
    return "\n".join(lines) + "\n"


def tree(settings: Settings) -> dict[str, Any]:
    """The same as an object of what JSON has: sections within it, `store` a list."""
    values = asdict(settings, value_serializer=lambda _, attribute, value: plain(attribute, value))
    values.pop("path")
    values["store"] = [{"enabled": True, **store} for store in values.pop("stores")]
    return values


def plain(attribute: Any, value: Any) -> Any:
    """Paths, networks, sets and durations as a file has them; no secret."""
    name = attribute.name if attribute is not None else ""
    if name == "password" and value is not None:
        return MASKED
    if name == "sentinels":
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in value]
    if isinstance(value, Path | IPv4Network | IPv6Network):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return sorted(value) if isinstance(value, frozenset) else value


def assignments(values: dict[str, Any]) -> list[str]:
    """Top-level names."""
    return [f"{name} = {value!r}" for name, value in values.items()]


def block(name: str, values: dict[str, Any]) -> list[str]:
    """One section."""
    return [f"{name} = {{", *entries(values, 4), "}"]


def entries(values: dict[str, Any], indent: int) -> list[str]:
    """The lines of a mapping."""
    return [f"{' ' * indent}{name!r}: {value!r}," for name, value in values.items()]
