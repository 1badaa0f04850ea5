"""A prism and a store in a process of their own, with a real nginx before them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from attrs import define

from oose.disk import OPEN
from oose.installing.nginx.fronts import PrismFront, StoreFront
from oose.installing.nginx.rendering import render_prism, render_store
from tests.nginx import DOMAIN, Answer, Nginx, exchange
from tests.ports import free_port
from tests.process.test_crashes import wait_for
from tests.process.twistd import Place, Running, started

TEXT = b"".join(b"%06d\n" % number for number in range(50_000))
LIMIT = 200_000  # bytes a second


@define
class Site:
    """A machine with nginx before it; what was uploaded to it by name, as its hash."""

    running: Running
    nginx: Nginx
    files: dict[str, str]

    @property
    def store_port(self) -> int:
        return self.running.place.ports[1]

    def keep(self, name: str, data: bytes) -> str:
        status, answer = self.running.upload(data, name)
        assert status == 200
        self.files[name] = str(answer["files"]["file"]["hash"])
        return self.files[name]

    def sell(self, content_hash: str, ext: str = "txt", **more: Any) -> str:
        """A purchase for any page; the token."""
        asked = {"hash": content_hash, "ext": ext, "referrer": "*", **more}
        return str(self.running.post("/content/purchase", asked)["token"])

    def play(self, token: str, query: str = "", name: str = "a.txt", **more: Any) -> Answer:
        """What a viewer gets who follows the prism's redirect."""
        first = self.nginx.ask(f"/{token}/{name}{query}", name="prism1", **more)
        if first.status != 302:
            return first
        return self.nginx.ask(first.headers["location"], **more)

    def directly(self, target: str, method: str, headers: Mapping[str, str]) -> Answer:
        """The same of the store without nginx."""
        given = {**headers, "X-OOSE-Accel": "no"}
        return exchange(HTTPConnection("127.0.0.1", self.store_port), method, target, given)

    def static(self, name: str) -> str:
        """Where content lies on the store."""
        content_hash, ext = self.files[name], name.rpartition(".")[2]
        return f"/static/{content_hash[:2]}/{content_hash[2:4]}/{content_hash}.{ext}"

    def path_of(self, name: str) -> Path:
        return self.running.place.disk / "content" / self.static(name).removeprefix("/static/")


@contextmanager
def nginx_site(folder: Path) -> Iterator[Site]:
    """Start all below `folder`. `slow` has a limit, `alone` a store that does not answer; of the
    prisms `busy` has few requests, `away` does not answer and `second` has another to ask then.
    """
    nginx = Nginx(folder / "nginx")
    more = (
        "prism['trusted_proxies'] = store['trusted_proxies'] = ['127.0.0.1']\n"
        "prism['idle_timeout'] = '60s'\n"
        f"domain = '{DOMAIN}:{nginx.https_port}'\n"
        "heartbeat = {'frequency': '0.2s'}\n"
    )
    place = Place.make(folder, more=more, store="'accel_redirect': True")
    prism, store = (f"127.0.0.1:{port}" for port in place.ports)
    nobody = f"127.0.0.1:{free_port()}"
    nginx.write("prism1", render_prism(PrismFront(**nginx.values("prism1"), prisms=(prism,))))
    disk: dict[str, Any] = {"root": place.disk, "upstream": store}
    for text in (
        StoreFront(**nginx.values("store1"), **disk),
        StoreFront(**nginx.values("slow"), **disk, most_rate=LIMIT),
        StoreFront(**nginx.values("alone"), **{**disk, "upstream": nobody}),
    ):
        nginx.write(text.name, render_store(text))
    for other in (
        PrismFront(**nginx.values("busy"), prisms=(prism,), requests=1, burst=1),
        PrismFront(**nginx.values("away"), prisms=(nobody,)),
        PrismFront(**nginx.values("second"), prisms=(nobody, prism)),
    ):
        nginx.write(other.name, render_prism(other))
    with started(place) as running, nginx.started():
        site = Site(running, nginx, {})
        site.keep("notes.txt", TEXT)
        wait_for((place.disk / OPEN).exists)
        yield site
