import os
import re
import time
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from oose.installing import layout
from oose.installing.configuring import names_in
from oose.installing.machine import Machine
from oose.installing.nginx.sites import AVAILABLE, ENABLED
from oose.installing.plans import Plan, Wanted, prism_plan, store_plan
from oose.installing.rooms import Asked, stores_in
from oose.installing.runner import Refused
from oose.installing.surroundings import surroundings, web_plan
from oose.settings.reader import check
from tests.unit.installed import Recorder, machine_in, made, tree_of, write_configuration

DISK = PurePosixPath("/media/om101")
OTHER = PurePosixPath("/media/om102")
PEM = "/etc/ssl/media.pem"
ASKED = {"server_names": ("oose.example.com",), "certificate": PEM, "key": PEM}
CLUSTER = Asked(
    couchdb_url="https://couchdb:6984",
    redis_url="redis://redis:6379",
    listen="0.0.0.0",
    insecure=True,
)
READ = "have nginx.service read its files again"
Both = tuple[Machine, Recorder]


def nobody(file: PurePosixPath) -> list[str]:
    raise AssertionError(f"nobody has to know the peers of {file}")


@pytest.fixture
def both(tmp_path: Path) -> Both:
    """A machine with a prism, one store, and a certificate."""
    machine, recorder = machine_in(tmp_path, [str(DISK), str(OTHER)])
    made(machine, prism_plan(machine, Asked()).steps)
    made(machine, store_plan(machine, Asked(), Wanted(DISK)).steps)
    pem = machine.at(PEM)
    pem.parent.mkdir()
    pem.touch()
    recorder.ran.clear()
    return machine, recorder


def plan(machine: Machine, domain: str | None = None, **asked: Any) -> Plan:
    return web_plan(machine, asked, domain, nobody)


def web(machine: Machine, domain: str | None = "cdn.example.com", **asked: Any) -> list[str]:
    return made(machine, plan(machine, domain, **{**ASKED, **asked}).steps)


def after(machine: Machine, made_plan: Plan) -> list[str]:
    """As the command carries out a plan, with all that depends on it."""
    around = surroundings(machine, made_plan.files, nobody)
    return made(machine, [*made_plan.steps, *around.steps])


def site(machine: Machine, name: str) -> str:
    link = machine.at(ENABLED / f"oose-{name}.conf")
    assert link.readlink() == Path(AVAILABLE / link.name)
    return machine.at(AVAILABLE / link.name).read_text()


def test_nginx_is_put_before_everything_that_runs_here(both: Both) -> None:
    machine, recorder = both
    said = web(machine)
    logs = [
        f"make /var/log/nginx/oose-{peer}.{end} (www-data:adm 0640)"
        for peer in ("prism1", "om101")
        for end in ("json", "error.log")
    ]
    assert said[:12] == [
        "install from Debian: nginx logrotate",
        *logs,
        "write /etc/nginx/sites-available/oose-prism1.conf (root:root 0644)",
        (
            "link /etc/nginx/sites-enabled/oose-prism1.conf to"
            " /etc/nginx/sites-available/oose-prism1.conf"
        ),
        "write /etc/nginx/sites-available/oose-om101.conf (root:root 0644)",
        (
            "link /etc/nginx/sites-enabled/oose-om101.conf to"
            " /etc/nginx/sites-available/oose-om101.conf"
        ),
        "have nginx check its files",
        "write /etc/oose/web.py (root:oose 0640)",
        "have nginx.service started with the machine",
    ]
    assert "nginx -t -q" in recorder.ran
    assert "server 127.0.0.1:5971 max_fails=1" in site(machine, "prism1")
    assert 'server_name "oose.example.com";' in site(machine, "prism1")
    assert 'server_name "om101.cdn.example.com";' in site(machine, "om101")
    assert 'alias "/media/om101/content/";' in site(machine, "om101")
    assert machine.at("/etc/logrotate.d/oose").exists()
    assert recorder.unit("logrotate.timer").active == "active"


def test_logs_are_not_for_everybody(both: Both) -> None:
    machine, _ = both
    web(machine)
    log = machine.at("/var/log/nginx/oose-prism1.error.log")
    assert log.stat().st_mode & 0o777 == 0o640
    log.write_text("a line")
    log.chmod(0o644)  # as nginx makes it
    assert "give /var/log/nginx/oose-prism1.error.log to www-data:adm 0640" in web(machine)
    assert (log.stat().st_mode & 0o777, log.read_text()) == (0o640, "a line")


def test_prism_and_store_are_told_that_nginx_is_before_them(both: Both) -> None:
    machine, recorder = both
    said = web(machine, proxies=("10.0.0.9",))
    names = names_in(machine, layout.PRISM)
    assert names["domain"] == "cdn.example.com"
    assert names["prism"]["trusted_proxies"] == ["127.0.0.1", "10.0.0.9"]
    (store,) = stores_in(names)
    assert (store["accel_redirect"], store["trusted_proxies"]) == (True, ["127.0.0.1"])
    check(names, None)
    assert "start oose-prism.service again" in said
    assert recorder.ran.index("nginx -t -q") < recorder.ran.index(
        "systemctl restart oose-prism.service"
    )


def test_a_second_time_nothing_is_changed(both: Both) -> None:
    machine, recorder = both
    web(machine)
    before, recorder.ran[:] = tree_of(machine.root), []
    assert web(machine) == []
    assert made(machine, plan(machine).steps) == []
    assert (tree_of(machine.root), recorder.changing) == (before, [])


def test_pretending_says_the_same_and_changes_nothing(both: Both) -> None:
    machine, recorder = both
    before = tree_of(machine.root)
    steps = plan(machine, "cdn.example.com", **ASKED).steps
    said = made(machine, steps, pretend=True)
    assert (tree_of(machine.root), recorder.changing) == (before, [])
    assert [undated(each) for each in said] == [undated(each) for each in web(machine)]


def undated(said: str) -> str:
    """Without when it was."""
    return re.sub(r"\.\d{8}-\d{6}(-\d+)?$", "", said)


def test_a_store_that_comes_later_gets_its_place_in_nginx(both: Both) -> None:
    machine, recorder = both
    web(machine)
    recorder.ran.clear()
    said = after(machine, store_plan(machine, Asked(), Wanted(OTHER)))
    assert 'server_name "om102.cdn.example.com";' in site(machine, "om102")
    assert stores_in(names_in(machine, layout.PRISM))[1]["accel_redirect"] is True
    assert said[-1] == "have nginx.service read its files again"
    assert recorder.ran[-1] == "systemctl is-active --quiet nginx.service"
    assert after(machine, prism_plan(machine, Asked())) == []


def test_without_nginx_nothing_of_it_is_touched(both: Both) -> None:
    machine, _ = both
    assert after(machine, prism_plan(machine, Asked())) == []
    assert "accel_redirect" not in stores_in(names_in(machine, layout.PRISM))[0]


def test_the_site_of_what_is_gone_goes(both: Both) -> None:
    machine, _ = both
    web(machine)
    after(machine, store_plan(machine, Asked(), Wanted(OTHER)))
    names = names_in(machine, layout.PRISM)
    text = "\n".join(f"{k} = {v!r}" for k, v in {**names, "store": names["store"][:1]}.items())
    write_configuration(machine, text)
    said = made(machine, plan(machine).steps)
    assert "remove /etc/nginx/sites-enabled/oose-om102.conf" in said
    assert "remove /etc/nginx/sites-available/oose-om102.conf" in said
    assert said.index("have nginx check its files") < said.index(READ)
    assert not machine.at(ENABLED / "oose-om102.conf").is_symlink()


def test_what_nginx_does_not_take_leaves_its_files_as_they_were(both: Both) -> None:
    machine, recorder = both
    web(machine)
    before = tree_of(machine.at("/etc/nginx"))
    recorder.fails["nginx -t"] = "nginx: [emerg] no such thing"
    changed = store_plan(machine, Asked(), Wanted(OTHER))
    with pytest.raises(Refused, match=r"its files are as they were\n.*\n  nginx: \[emerg\]"):
        made(machine, surroundings(machine, changed.files, nobody).steps)
    assert tree_of(machine.at("/etc/nginx")) == before
    with pytest.raises(Refused, match="its files are as they were"):
        web(machine, most_rate=12345)
    kept = {
        name for name in tree_of(machine.at("/etc/nginx")) if not re.search(r"\.\d+-\d+$", name)
    }
    assert kept == set(before)
    assert "12345" not in site(machine, "om101")
    assert "most_rate" not in names_in(machine, layout.WEB)  # or the next run would fail as well


def test_a_changed_site_is_shown_and_the_old_one_kept_where_nginx_does_not_look(
    both: Both,
) -> None:
    machine, _ = both
    web(machine)
    old = site(machine, "prism1")
    (said, *_) = [each for each in web(machine, requests=7) if "sites-" in each]
    assert said.startswith(f"replace {AVAILABLE}/oose-prism1.conf; the old one is kept as")
    assert "rate=7r/s" in site(machine, "prism1")
    assert len(list(machine.at(ENABLED).iterdir())) == 2
    assert old in [path.read_text() for path in machine.at(AVAILABLE).glob("*prism1.conf.2*")]


def test_a_new_certificate_is_read(both: Both) -> None:
    machine, _ = both
    web(machine)
    later = time.time() + 5
    os.utime(machine.at(PEM), (later, later))
    assert made(machine, plan(machine).steps) == ["have nginx.service read its files again"]


def test_stores_may_have_a_certificate_of_their_own(both: Both) -> None:
    machine, _ = both
    machine.at("/etc/ssl/stores.pem").touch()
    machine.at("/etc/ssl/stores.key").touch()
    own = {"store_certificate": "/etc/ssl/stores.pem", "store_key": "/etc/ssl/stores.key"}
    web(machine, **own)
    assert 'ssl_certificate_key "/etc/ssl/stores.key";' in site(machine, "om101")
    assert f'ssl_certificate_key "{PEM}";' in site(machine, "prism1")


def test_a_self_signed_certificate_is_made_once(both: Both) -> None:
    machine, _ = both
    own = str(layout.WEB_PEM)
    made_plan = plan(
        machine, "cdn.example.com", server_names=("oose.example.com",), certificate=own, key=own
    )
    assert made_plan.notes == ["Clients have to trust /etc/oose/web.crt, or not to ask"]
    said = made(machine, made_plan.steps)
    assert (
        "make the self-signed certificate /etc/oose/web.pem for oose.example.com,"
        " om101.cdn.example.com" in said
    )
    pem = machine.at(layout.WEB_PEM)
    assert pem.stat().st_mode & 0o777 == 0o600
    text = pem.read_bytes()
    assert made(machine, plan(machine).steps) == []
    assert pem.read_bytes() == text
    said = after(machine, store_plan(machine, Asked(), Wanted(OTHER)))
    assert any("om102.cdn.example.com" in each for each in said)
    assert pem.read_bytes() != text


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (
            {"certificate": None},
            "nginx needs a certificate with its key: --pem FILE; or --pem auto",
        ),
        ({"certificate": "/etc/ssl/no.pem"}, "There is no certificate /etc/ssl/no.pem: --pem FILE"),
        ({"server_names": ()}, "--server-name oose.example.com"),
        ({"server_names": ("no name",)}, "nginx cannot be told this: server_names: 'no name' is"),
        ({"balancers": ("nowhere",)}, "nginx cannot be told this: "),
        ({"domain": None}, "--domain DOMAIN makes that NAME.DOMAIN"),
    ],
)
def test_what_is_missing_is_asked_for_before_anything_is_done(
    both: Both, asked: dict[str, Any], why: str
) -> None:
    machine, recorder = both
    before = tree_of(machine.root)
    with pytest.raises(Refused, match=re.escape(why)):
        web(machine, **asked)
    assert (tree_of(machine.root), recorder.changing) == (before, [])


def test_a_name_that_there_is_not_in_the_file_is_refused(both: Both) -> None:
    machine, _ = both
    write_configuration(machine, "speed = 1\n", layout.WEB)
    with pytest.raises(Refused, match=r"/etc/oose/web\.py: there is no speed; names are server_n"):
        web(machine)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("server_names = 5", "server_names: 5 is not a list"),
        ("server_names = 'oose.example.com'", "server_names: 'oose.example.com' is not a list"),
        ("proxies = [None]", "proxies: None is not text"),
        ("certificate = 5", "certificate: 5 is not text, or None"),
        ("http_port = '80'", "http_port: '80' is not a whole number from 0 to 65535"),
    ],
)
def test_so_is_what_is_no_such_value(both: Both, text: str, why: str) -> None:
    machine, _ = both
    write_configuration(machine, f"{text}\n", layout.WEB)
    with pytest.raises(Refused, match=re.escape(f"/etc/oose/web.py: {why}")):
        after(machine, prism_plan(machine, Asked()))


def test_stores_that_are_processes_of_their_own_get_their_places(tmp_path: Path) -> None:
    machine, recorder = machine_in(tmp_path, [str(DISK)])
    machine.at(PEM).parent.mkdir()
    machine.at(PEM).touch()
    made(machine, store_plan(machine, CLUSTER, Wanted(DISK, prism="media1")).steps)
    web(machine, server_names=())
    names = names_in(machine, layout.store_file("om101"))
    assert names["domain"] == "cdn.example.com"
    assert stores_in(names)[0]["trusted_proxies"] == ["127.0.0.1"]
    assert "server 127.0.0.1:5972;" in site(machine, "om101")
    assert len(list(machine.at(ENABLED).iterdir())) == 1
    assert "systemctl restart oose-store@om101.service" in recorder.ran
    assert after(machine, store_plan(machine, Asked(), Wanted(DISK))) == []


def test_nginx_alone_stands_before_the_prisms_of_others(tmp_path: Path) -> None:
    machine, _ = machine_in(tmp_path)
    machine.at(PEM).parent.mkdir()
    machine.at(PEM).touch()
    with pytest.raises(Refused, match="neither a prism nor a store here"):
        web(machine)
    web(machine, prisms=("10.0.0.1:5971", "10.0.0.2:5971"))
    (path,) = machine.at(ENABLED).iterdir()
    text = path.parent.with_name("sites-available").joinpath(path.name).read_text()
    assert "server 10.0.0.1:5971 max_fails=1" in text
    assert "server 10.0.0.2:5971 backup" in text


def test_a_prism_that_speaks_tls_and_listens_everywhere_is_reached_as_it_does(
    tmp_path: Path,
) -> None:
    machine, _ = machine_in(tmp_path, [str(DISK)])
    machine.at(PEM).parent.mkdir()
    machine.at(PEM).touch()
    made(machine, prism_plan(machine, CLUSTER).steps)
    names = names_in(machine, layout.PRISM)
    names["prism"] = {**names["prism"], "listen": "::", "idle_timeout": 10}
    pem = tmp_path / "peers.pem"
    pem.touch()
    names["ssl"] = {"pem": str(pem)}
    write_configuration(machine, "\n".join(f"{k} = {v!r}" for k, v in names.items()))
    machine.at("/proc/net").mkdir(parents=True)
    machine.at("/proc/net/if_inet6").touch()
    web(machine, http_port=0, https_port=8443, prisms=("10.0.0.2:5971",))
    (path,) = machine.at(AVAILABLE).iterdir()
    text = path.read_text()
    assert "server [::1]:5971 max_fails=1" in text
    assert "proxy_pass https://" in text
    assert "keepalive_timeout 5s;" in text
    assert "listen [::]:8443 ssl http2;" in text
    assert "308" not in text
    assert names_in(machine, layout.PRISM)["prism"]["trusted_proxies"] == ["::1"]


def test_what_somebody_has_written_into_a_configuration_stays(both: Both) -> None:
    machine, _ = both
    names = names_in(machine, layout.PRISM)
    store = {**stores_in(names)[0], "accel_redirect": False, "trusted_proxies": ["10.1.0.0/16"]}
    text = "\n".join(f"{k} = {v!r}" for k, v in {**names, "store": store}.items())
    write_configuration(machine, text)
    web(machine)
    (kept,) = stores_in(names_in(machine, layout.PRISM))
    assert kept["accel_redirect"] is False
    assert kept["trusted_proxies"] == ["10.1.0.0/16", "127.0.0.1"]
