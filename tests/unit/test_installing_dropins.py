from pathlib import Path, PurePosixPath

import pytest
from attrs import evolve

from oose.installing import layout
from oose.installing.configuring import Names, checked
from oose.installing.dropins import address_of, disks_of, in_service, listening, mount_unit
from oose.installing.runner import Refused
from oose.settings import PrismSettings
from tests.unit.installed import make_release

NAMES: Names = {
    "prism": {"enabled": True, "listen": "::1"},
    "store": [
        {"enabled": True, "name": "a", "root": "/media/a", "listen": "127.0.0.1"},
        {"enabled": True, "name": "b", "root": "/media/b-c", "listen": "localhost"},
    ],
}


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("/media/om101", "media-om101.mount"),
        ("/media/om-1", r"media-om\x2d1.mount"),
        ("/.a/ä b", r"\x2ea-\xc3\xa4\x20b.mount"),
    ],
)
def test_mounts_are_named_as_systemd_names_them(path: str, unit: str) -> None:
    assert mount_unit(PurePosixPath(path)) == unit


def test_a_process_with_several_disks_waits_for_them_and_runs_without() -> None:
    settings = checked(NAMES, layout.PRISM)
    assert disks_of(settings, needed=False).splitlines() == [
        "[Unit]",
        "After=media-a.mount",
        r"After=media-b\x2dc.mount",
        "[Service]",
        "ReadWritePaths=",
        "ReadWritePaths=-/media/a",
        "ReadWritePaths=-/media/b-c",
        "ExecStopPost=-/bin/rm -f /media/a/oose-static-open",
        "ExecStopPost=-/bin/rm -f /media/b-c/oose-static-open",
    ]


def test_a_path_is_one_word_whatever_is_in_it() -> None:
    odd = [{**NAMES["store"][0], "root": '/media/a "b" 5% $HOME \\c'}]
    lines = disks_of(checked({"store": odd}, layout.PRISM), needed=True).splitlines()
    assert lines[1] == r'RequiresMountsFor="/media/a \"b\" 5%% $HOME \\c"'
    assert lines[4] == r'ReadWritePaths="-/media/a \"b\" 5%% $HOME \\c"'
    assert lines[5] == (
        r'ExecStopPost=-/bin/rm -f "/media/a \"b\" 5%% $$HOME \\c/oose-static-open"'
    )


def test_a_process_of_one_disk_does_not_run_without_it() -> None:
    settings = checked({"store": NAMES["store"][:1]}, layout.store_file("a"))
    assert "RequiresMountsFor=/media/a" in disks_of(settings, needed=True).splitlines()


def test_systemd_listens_where_every_room_does() -> None:
    assert listening(checked(NAMES, layout.PRISM)).splitlines() == [
        "[Socket]",
        "ListenStream=",
        "ListenStream=[::1]:5971",
        "ListenStream=127.0.0.1:5972",
        "ListenStream=127.0.0.1:5973",
    ]
    alone = listening(checked({"store": NAMES["store"]}, layout.PRISM))
    assert alone.splitlines()[2] == "ListenStream=127.0.0.1:5972"


def test_a_name_that_stands_for_no_address_is_refused() -> None:
    room = evolve(PrismSettings(), listen="no-such-host.invalid")
    with pytest.raises(Refused, match=r"There is no no-such-host\.invalid to listen on: "):
        address_of(room)


def test_a_socket_comes_before_its_service_where_there_is_one(tmp_path: Path) -> None:
    settings = checked(NAMES, layout.PRISM)
    steps = in_service(make_release(tmp_path, "one"), layout.PRISM, settings)
    units = [step.unit for step in steps if hasattr(step, "unit")]
    assert units == ["oose-prism.socket", "oose-prism.service"]
    steps = in_service(
        make_release(tmp_path, "two", socket=False), layout.store_file("a"), settings
    )
    units = [step.unit for step in steps if hasattr(step, "unit")]
    assert units == ["oose-store@a.service"]
