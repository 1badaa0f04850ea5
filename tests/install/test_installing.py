"""The life of one machine: the tests are in its order, each goes on where the last one ended."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.install.debian import Debian, Said, debian, empty_disk, has_loop_devices
from tests.unit.installed import tree_of

DISK = "/media/om101"
PROFILE = "/var/lib/oose/prism/login.toml"
FILM = bytes(range(256)) * 4096
GIB = 1024**3
SIZE = 4 * GIB


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    with debian(tmp_path_factory.mktemp("debian"), apart=True) as system:
        yield system


@pytest.fixture(scope="module")
def device(system: Debian) -> Iterator[str]:
    if not has_loop_devices():
        pytest.skip("this kernel has no loop devices that could be disks")
    with empty_disk(system, SIZE) as device:
        yield device


@pytest.fixture(scope="module")
def tree(system: Debian) -> str:
    return system.bring("tree")


def script(system: Debian, tree: str, *arguments: str) -> str:
    return system.good("bash", f"{tree}/install/install.sh", *arguments)


def oose(system: Debian, *arguments: str) -> str:
    return system.good("oose", "--profile", PROFILE, *arguments, beside=True)


def uploaded(system: Debian, name: str, data: bytes) -> str:
    system.at(f"/root/{name}").write_bytes(data)
    answer: Any = json.loads(oose(system, "upload", f"/root/{name}", "--json"))
    return str(re.findall(r"[0-9a-f]{40}", json.dumps(answer))[0])


def downloaded(system: Debian, hash_: str) -> bytes:
    oose(system, "download", hash_, "-o", "/root/back", "--force")
    return system.at("/root/back").read_bytes()


def of_the_program(system: Debian) -> dict[str, object]:
    """Everything that an installer could have changed, but for what the service itself keeps."""
    folders = ("etc", "opt/oose/releases", "usr/local")
    found: dict[str, object] = {}
    for folder in folders:
        for path in sorted((system.folder / folder).rglob("*")):
            if "__pycache__" not in path.parts:
                status = path.lstat()
                found[str(path)] = (status.st_mode, status.st_uid, status.st_mtime_ns)
    found["current"] = system.at("/opt/oose/current").readlink()
    return found


def test_pretending_on_a_bare_machine_says_what_would_come_first(system: Debian, tree: str) -> None:
    said = script(system, tree, "prism", "--pretend")
    assert "- link /opt/oose/current to it" in said.splitlines()
    assert not system.at("/opt/oose").exists()


def test_the_program_comes_from_its_tree_and_starts_nothing(system: Debian, tree: str) -> None:
    said = script(system, tree)
    assert "Installing from Debian: python3-venv" in said
    release = system.at("/opt/oose/current").readlink()
    assert re.fullmatch(r"/opt/oose/releases/3\.\d+\.\d+-[0-9a-f]{12}", str(release))
    assert system.good("/opt/oose/current/venv/bin/oose", "--version").startswith("oose, version")
    assert system.service_commands() == []
    before = of_the_program(system)
    script(system, tree)
    assert of_the_program(system) == before


def test_pretending_says_every_change_and_makes_none(system: Debian, tree: str) -> None:
    before = of_the_program(system)
    said = script(system, tree, "prism", "--pretend")
    assert "- make the user and the group oose" in said.splitlines()
    assert "- start oose-prism.service" in said.splitlines()
    assert of_the_program(system) == before
    assert system.service_commands() == []


def test_one_command_makes_a_prism_in_service(system: Debian, tree: str) -> None:
    said = script(system, tree, "prism")
    assert said.splitlines()[-1].endswith("changes made")
    commands = system.service_commands()
    assert "enable oose-prism.service" in commands
    assert "start oose-prism.service" in commands
    config = system.at("/etc/oose/prism.py").stat()
    assert config.st_mode & 0o777 == 0o640
    assert (config.st_uid, config.st_gid) == (0, numbers(system)[1])
    assert system.at(PROFILE).stat().st_uid == numbers(system)[0]
    oose(system, "status")  # it answers


def numbers(system: Debian) -> tuple[int, int]:
    """Of the user and the group that the service runs as."""
    user, group = system.good("id", "-u", "oose"), system.good("id", "-g", "oose")
    return int(user), int(group)


def test_a_folder_that_is_no_disk_does_not_become_a_store(system: Debian) -> None:
    system.at("/media/folder").mkdir()
    said = system.run("oose", "install", "store", "--disk", "/media/folder")
    assert said.code == 1
    assert "No disk is mounted at /media/folder" in said.err


def test_a_disk_with_anything_on_it_is_not_formatted(system: Debian, device: str) -> None:
    system.good("apt-get", "install", "--yes", "--quiet", "e2fsprogs")
    system.good("mkfs.ext4", "-q", device)
    said = format_disk(system, device)
    assert said.code == 1
    assert f"{device} is not empty: it has ext4" in said.err
    system.good("wipefs", "--all", device)


def format_disk(system: Debian, device: str) -> Said:
    ask = ["--disk", DISK, "--format", "--device", device, "--yes"]
    return system.run("oose", "install", "store", *ask)


def test_an_empty_disk_is_formatted_mounted_and_becomes_a_store(
    system: Debian, device: str
) -> None:
    said = format_disk(system, device)
    assert said.code == 0, said
    assert f"- make an XFS file system on {device} (4.3 GB)" in said.out.splitlines()
    assert system.good("findmnt", "--noheadings", "--output=FSTYPE", DISK).strip() == "xfs"
    uuid = system.good("blkid", "--output=value", "--match-tag=UUID", device).strip()
    assert f"UUID={uuid} {DISK} xfs noatime,nofail 0 0" in system.at("/etc/fstab").read_text()
    system.service_commands()


def test_a_disk_that_is_mounted_becomes_a_store(system: Debian) -> None:
    """It is one already, where it could be formatted."""
    place = system.at(DISK)
    if not place.exists():
        place.mkdir()
        system.good("mount", "-t", "tmpfs", "-o", "size=3G", "disk", DISK)
    said = system.good("oose", "install", "store", "--disk", DISK)
    assert said.splitlines()[-1].endswith(("changes made", "all is as it should be"))
    drop_in = system.at("/etc/systemd/system/oose-prism.service.d/oose-install.conf").read_text()
    assert f"ReadWritePaths=-{DISK}" in drop_in.splitlines()
    system.service_commands()


def film_on(system: Debian) -> str:
    """The hash of the only content on the disk."""
    (film,) = system.good("find", f"{DISK}/content", "-type", "f").split()
    return Path(film).name.partition(".")[0]


def test_what_is_uploaded_then_is_on_that_disk(system: Debian) -> None:
    hash_ = uploaded(system, "film.bin", FILM)
    assert downloaded(system, hash_) == FILM
    assert hash_ == film_on(system)


def test_a_second_run_does_not_format(system: Debian, device: str) -> None:
    before = of_the_program(system)
    said = format_disk(system, device)
    assert said.out == "Nothing to change: all is as it should be\n"
    assert of_the_program(system) == before
    assert system.service_commands() == []


def test_a_second_run_of_everything_changes_nothing(system: Debian, tree: str) -> None:
    before = of_the_program(system)
    for said in (
        script(system, tree, "prism"),
        script(system, tree, "store", "--disk", DISK),
    ):
        assert said.splitlines()[-1] == "Nothing to change: all is as it should be"
    assert of_the_program(system) == before
    assert system.service_commands() == []


def test_one_command_puts_nginx_before_it(system: Debian) -> None:
    names = ["--server-name", "oose.test", "--domain", "cdn.oose.test"]
    said = system.good("oose", "install", "web", *names, "--pem", "auto")
    assert "- install from Debian: nginx logrotate" in said.splitlines()
    commands = system.service_commands()
    assert "start nginx.service" in commands
    assert commands.index("start nginx.service") < commands.index("restart oose-prism.service")
    system.good("nginx", "-t", beside=True)


def viewed(system: Debian) -> bytes:
    """The film, as a viewer gets it who has bought it."""
    url = str(
        json.loads(
            oose(system, "purchase", film_on(system), "--ext", "bin", "--any-referrer", "--json")
        )["url"]
    )
    target = f"https://oose.test/{url.split('/', 3)[3]}"
    return system.fetched(target, "oose.test", "om101.cdn.oose.test", authority="/etc/oose/web.crt")


def test_viewers_get_their_films_from_nginx(system: Debian) -> None:
    assert viewed(system) == FILM
    log = system.at("/var/log/nginx/oose-om101.json").read_text()
    line = json.loads(log.splitlines()[-1])
    assert (line["peer"], line["hash"], line["bytes"]) == ("om101", film_on(system), len(FILM))
    assert line["upstreamStatus"] == "200"
    system.wait_for(f"{DISK}/oose-static-open")


def test_one_command_makes_a_firewall_of_it(system: Debian) -> None:
    said = system.run("oose", "install", "host")
    assert said.code == 0, said
    assert said.err == "SSH stays open on 22; elsewhere? --ssh-port\n"
    commands = system.service_commands()
    assert "start oose-firewall.service" in commands
    assert "start systemd-sysctl.service" in commands
    rules = system.good("nft", "list", "table", "inet", "oose", beside=True)
    assert "tcp dport { 80, 443 } accept" in rules
    assert "vm.dirty_bytes = " in system.at("/etc/sysctl.d/60-oose.conf").read_text()
    assert viewed(system) == FILM
    for what in ("web", "host"):
        again = system.good("oose", "install", what)
        assert again == "Nothing to change: all is as it should be\n"
    assert system.service_commands() == []


def test_a_changed_configuration_is_shown_and_the_old_one_kept(system: Debian) -> None:
    old = system.at("/etc/oose/prism.py").read_text()
    said = system.good("oose", "install", "prism", "--group", "rack7")
    assert "+group = 'rack7'" in said.splitlines()
    assert system.service_commands()[-1] == "restart oose-prism.service"
    assert old in [path.read_text() for path in system.at("/etc/oose").glob("prism.py.*")]


def test_a_new_version_takes_over_from_the_old(system: Debian) -> None:
    before = system.at("/opt/oose/current").readlink()
    new = system.bring("new", {"oose/__init__.py": ('"3.', '"4.')})
    said = system.good("oose", "upgrade", new)
    assert said.splitlines()[-1].endswith("is in use now")
    assert system.good("oose", "--version").startswith("oose, version 4.")
    assert "restart oose-prism.service" in system.service_commands()
    assert f"- have {system.at('/opt/oose/current').readlink().name} look after" in said
    assert system.at(str(before)).is_dir()
    assert downloaded(system, film_on(system)) == FILM
    assert viewed(system) == FILM


def test_a_version_whose_sites_nginx_does_not_take_gives_its_place_back(system: Debian) -> None:
    before = of_the_program(system)
    wrong = system.bring(
        "wrong", {"install/nginx/prism.conf.j2": ("keepalive 32;", "keepalive much;")}
    )
    said = system.run("oose", "upgrade", wrong)
    assert said.code == 5
    assert "nginx does not take this; its files are as they were" in said.err
    assert said.err.endswith(f"The old version, {before['current']}, runs again\n")
    assert (
        "keepalive much" not in system.at("/etc/nginx/sites-available/oose-prism1.conf").read_text()
    )
    assert viewed(system) == FILM


def test_a_version_that_does_not_start_gives_its_place_back(system: Debian) -> None:
    before = of_the_program(system)["current"]
    broken = system.bring(
        "broken", {"oose/tap.py": ("import atexit", "raise RuntimeError('broken')\nimport atexit")}
    )
    said = system.run("oose", "upgrade", broken)
    assert said.code == 5
    assert "oose-prism.service does not become ready" in said.err
    assert "RuntimeError: broken" in said.err
    assert said.err.endswith(f"The old version, {before}, runs again\n")
    assert system.at("/opt/oose/current").readlink() == before
    assert downloaded(system, film_on(system)) == FILM


def test_a_version_that_does_not_take_the_configuration_is_not_begun_with(
    system: Debian,
) -> None:
    system.service_commands()
    strict = system.bring(
        "strict", {"oose/settings/reader.py": ('top.take("machine"', 'top.take("host"')}
    )
    said = system.run("oose", "upgrade", strict)
    assert said.code == 1
    assert "The new version does not take /etc/oose/prism.py" in said.err
    assert system.service_commands() == []


def test_two_scripts_at_once_make_a_release_once(system: Debian) -> None:
    newer = system.bring("newer", {"oose/__init__.py": ('"3.', '"5.')})
    make = f"bash {newer}/install/install.sh --release"
    said = system.good("bash", "-c", f"{make} & {make} && wait $!").splitlines()
    (release,) = system.at("/opt/oose/releases").glob("5.*")
    assert [line.split()[0] for line in said].count("Making") == 1
    assert said.count(f"/opt/oose/releases/{release.name}") == 2


def test_the_script_of_a_newer_tree_upgrades_before_it_goes_on(system: Debian) -> None:
    said = script(system, "/root/newer", "prism").splitlines()
    assert any(line.endswith("is in use now") for line in said)
    assert said[-1] == "Nothing to change: all is as it should be"
    assert system.good("oose", "--version").startswith("oose, version 5.")
    assert system.service_commands()[-1] == "restart oose-prism.service"


def test_an_older_release_is_gone_back_to_from_where_it_lies(system: Debian) -> None:
    newer = system.at("/opt/oose/current").readlink()
    [older] = system.at("/opt/oose/releases").glob("4.*")
    made = (older / ".complete").lstat().st_mtime_ns
    system.good("oose", "upgrade", f"/opt/oose/releases/{older.name}")
    assert system.at("/opt/oose/current").readlink().name == older.name
    assert (older / ".complete").lstat().st_mtime_ns == made
    assert system.at(str(newer)).is_dir()
    assert system.service_commands()[-1] == "restart oose-prism.service"
    assert downloaded(system, film_on(system)) == FILM


def test_a_release_that_was_left_unfinished_is_not_made_of_itself(system: Debian) -> None:
    release = system.at("/opt/oose/current").readlink()
    system.good("rm", f"{release}/.complete")
    said = system.run("bash", f"{release}/install/install.sh")
    assert said.code == 1
    assert f"{release} was left unfinished" in said.err
    assert system.good("oose", "--version").startswith("oose, version 4.")
    system.good("touch", f"{release}/.complete")


def test_a_release_whose_python_has_gone_is_made_anew_from_its_tree(system: Debian) -> None:
    system.good("rm", "-r", "/opt/oose/current/venv/lib")
    assert system.run("oose", "--version").code != 0
    system.good("rm", "/opt/oose/current/.complete")
    script(system, "/root/new")
    system.good("systemctl", "restart", "oose-prism.service")
    assert system.good("oose", "--version").startswith("oose, version 4.")
    assert downloaded(system, film_on(system)) == FILM


def test_uninstalling_leaves_content_configuration_and_databases(system: Debian) -> None:
    def kept() -> dict[str, object]:
        made = ["!", "-name", "firewall.nft"]
        places = [DISK, "/var/lib/oose", "/etc/oose"]
        config = {**tree_of(system.at("/etc/oose"))}
        config.pop("firewall.nft", None)  # made of the others, and gone with its service
        disk = system.good("find", *places, "-type", "f", *made).split()
        return {"files": sorted(set(disk)), "config": config}

    system.good("systemctl", "stop", "oose-prism.service")
    assert not system.at(f"{DISK}/oose-static-open").exists()
    before = kept()
    said = system.run("oose", "uninstall", "--yes")
    assert said.code == 0, said
    assert "are as they were" in said.err
    assert kept() == before
    assert not system.at("/opt/oose").exists()
    assert not system.at("/usr/local/bin/oose").is_symlink()
    assert list(system.at("/etc/systemd/system").glob("oose-*")) == []
    assert list(system.at("/etc/nginx/sites-enabled").glob("oose-*")) == []
    assert "oose" not in system.good("nft", "list", "tables", beside=True)


def test_the_program_comes_back_to_what_is_there(system: Debian, tree: str) -> None:
    script(system, tree, "prism")
    assert downloaded(system, film_on(system)) == FILM
    assert viewed(system) == FILM
