"""Who a command is to a store, and whom it trusts."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from oose.cli.exits import BAD_CONFIGURATION, NOT_ALLOWED, CommandFailed
from oose.cli.stores import credentials_of, policy_for_peers, store_named
from oose.credentials import Credentials
from oose.embedded import EmbeddedDatabase, EmbeddedDocuments
from oose.peer import Peer
from oose.pool import Inline
from oose.registry import Registry
from oose.secrets_file import FILE_NAME, load_or_make
from oose.settings import Settings
from oose.settings.reader import check
from oose.tls import SELF_SIGNED, self_signed
from tests.unit.at_once import at_once

PRISM = {"enabled": True}
STORE = {"enabled": True}


def settings_in(folder: Path, **names: object) -> Settings:
    return check({"root": str(folder), **names}, None)


def test_credentials_are_those_of_the_configuration(tmp_path: Path) -> None:
    own = {"username": "us", "password": "x" * 20}
    for names in ({"prism": {**PRISM, **own}}, {"prism": PRISM, "store": {**STORE, **own}}):
        assert credentials_of(settings_in(tmp_path, **names)) == Credentials("us", "x" * 20)


def test_else_they_are_those_that_this_machine_has_made(tmp_path: Path) -> None:
    made = load_or_make(tmp_path / FILE_NAME)
    assert credentials_of(settings_in(tmp_path, prism=PRISM, store=STORE)) == made["store"]
    assert credentials_of(settings_in(tmp_path, prism=PRISM)) == made["prism"]


def test_a_machine_that_has_none_makes_none_for_a_command(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no credentials") as caught:
        credentials_of(settings_in(tmp_path, prism=PRISM))
    assert caught.value.code == NOT_ALLOWED
    assert list(tmp_path.iterdir()) == []


def test_secrets_that_are_none_are_said(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{}")
    with pytest.raises(CommandFailed, match="not a file of secrets"):
        credentials_of(settings_in(tmp_path, prism=PRISM))


def test_this_machines_own_certificate_is_trusted(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, prism=PRISM, ssl={"pem": "auto"})
    assert policy_for_peers(settings) is not None  # there is none yet
    self_signed(tmp_path / SELF_SIGNED, ["localhost"], datetime.now(UTC))
    assert policy_for_peers(settings) is not None


def test_certificates_that_are_none_are_said(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    settings = settings_in(tmp_path, prism=PRISM, ssl={"verify": str(tmp_path / "ca.pem")})
    with pytest.raises(CommandFailed) as caught:
        policy_for_peers(settings)
    assert caught.value.code == BAD_CONFIGURATION


def test_a_prism_is_no_store(tmp_path: Path) -> None:
    here = Inline()
    database = EmbeddedDatabase(tmp_path / "x.sqlite", writer=here, readers=here)
    at_once(database.open())
    registry = Registry(EmbeddedDocuments(database, "peer"))
    at_once(registry.register(Peer("prism", "p1", "p1", "h", 1, "http://h:1", "a", "m", "3", 0)))
    with pytest.raises(CommandFailed, match="prism:p1 is no store"):
        at_once(store_named(registry, "p1"))
    at_once(database.close())
