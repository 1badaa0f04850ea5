"""The documents keep up with the program."""

import re
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from oose.prism import Prism
from oose.settings import model
from oose.store import Store

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SECTIONS = [getattr(model, name) for name in dir(model) if name.endswith("Settings")]


def settings_named() -> Iterator[str]:
    for section in [*SECTIONS, model.Tls]:
        if section is not model.BadSettings:
            yield from (each.name for each in attrs.fields(section))


@pytest.mark.parametrize("name", sorted(set(settings_named()) - {"path", "stores"}))
def test_every_setting_is_in_the_document(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "configuration.md").read_text("utf-8")


@pytest.mark.parametrize("room", [Prism, Store])
def test_every_route_is_in_the_document(room: type[Prism] | type[Store]) -> None:
    text = (ROOT / "docs" / "http-api.md").read_text("utf-8")
    rules = {rule.rule.replace("path:", "") for rule in room.app.url_map.iter_rules()}
    assert rules
    assert [rule for rule in rules if f"{rule}`" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8"))
    assert [each for each in targets if not (document.parent / each).exists()] == []
