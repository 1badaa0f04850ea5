from pathlib import Path, PurePosixPath

import pytest

from oose.installing import layout
from oose.installing.configuring import (
    MASK,
    Names,
    checked,
    configuration,
    names_in,
    render,
    secrets_in,
)
from oose.installing.machine import Machine
from oose.installing.runner import Refused
from tests.unit.installed import machine_in, made, write_configuration

NAMES: Names = {
    "root": "/var/lib/oose/prism",
    "prism": {"enabled": True, "name": "prism1", "trusted_proxies": ["10.0.0.0/8"]},
    "store": [{"enabled": True, "name": "om101"}, {"enabled": True, "name": "it's"}],
    "clones": {},
}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine, _ = machine_in(tmp_path)
    machine.run("useradd", "oose")
    machine.at(layout.STORES).mkdir(parents=True)
    return machine


def test_what_is_written_reads_back_the_same() -> None:
    text = render(NAMES)
    assert text.splitlines()[2:8] == [
        "root = '/var/lib/oose/prism'",
        "prism = {",
        "    'enabled': True,",
        "    'name': 'prism1',",
        "    'trusted_proxies': ['10.0.0.0/8'],",
        "}",
    ]
    again: Names = {}
    exec(text, again)
    assert {name: again[name] for name in NAMES} == NAMES


def test_a_configuration_is_for_root_and_the_service(machine: Machine) -> None:
    step = configuration(machine, layout.PRISM, NAMES)
    assert made(machine, [step]) == ["write /etc/oose/prism.py (root:oose 0640)"]
    assert names_in(machine, layout.PRISM) == NAMES
    assert made(machine, [configuration(machine, layout.PRISM, NAMES)]) == []


def test_one_that_says_the_same_stays_as_somebody_wrote_it(machine: Machine) -> None:
    file = write_configuration(machine, "# mine\nimport os\n_n = 'a'\ngroup = _n + 'b'\n")
    file.chmod(0o640)
    assert made(machine, [configuration(machine, layout.PRISM, {"group": "ab"})]) == []


def test_one_that_changes_is_kept_and_its_secrets_are_not_shown(machine: Machine) -> None:
    write_configuration(
        machine,
        "prism = {'enabled': True, 'username': 'oose', 'password': 'secret-one'}\n"
        "redis = {'url': 'redis://:secret-three@redis:6379'}\n",
    )
    names = names_in(machine, layout.PRISM)
    names["prism"] = {**names["prism"], "password": "secret-two"}
    (change,) = configuration(machine, layout.PRISM, names).changes(machine)
    assert "the old one is kept as /etc/oose/prism.py.2" in change.said
    assert "secret" not in change.shown
    assert f"+    'password': '{MASK}'," in change.shown.splitlines()


def test_values_that_cannot_be_written_down_are_not_lost(machine: Machine) -> None:
    write_configuration(machine, "from pathlib import Path\nroot = Path('/a')\n")
    names = {**names_in(machine, layout.PRISM), "group": "g"}
    with pytest.raises(Refused, match=r"prism\.py holds values that cannot be written down"):
        configuration(machine, layout.PRISM, names)


def test_a_broken_configuration_is_refused(machine: Machine) -> None:
    write_configuration(machine, "prism = {\n")
    with pytest.raises(Refused, match=r"not be usable:\n  .*SyntaxError"):
        names_in(machine, layout.PRISM)
    with pytest.raises(Refused, match=r"not be usable:\n  .*nothing is enabled"):
        checked({}, layout.PRISM)


def test_there_may_be_no_configuration(machine: Machine) -> None:
    assert names_in(machine, PurePosixPath("/etc/oose/store/a.py")) == {}


def test_passwords_are_found_wherever_they_stand() -> None:
    names = {
        "prism": {"username": "oose", "password": "it's"},
        "store": ({"password": "b"}, {"password": None}),
        "couchdb": {"url": "https://oose:c@couchdb:6984", "note": "a@b", "other": "http://d"},
    }
    assert list(secrets_in(names)) == [repr("it's")[1:-1], "b", "oose:c"]
