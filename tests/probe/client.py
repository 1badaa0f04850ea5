"""An application as it talks to a prism, and a viewer who follows its redirects."""

import hashlib
import json
import ssl
from collections.abc import Mapping
from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from attrs import define, field

from tests.machine.talk import FORM, form

PATIENCE = 4.0  # seconds for one request: a cluster answers, or says that it cannot


class Refused(Exception):
    """An answer that is not the one hoped for."""


@define
class Client:
    """Asks the prism at `url`; `token` is a session's, good at every prism."""

    url: str
    context: ssl.SSLContext
    token: str = ""
    refusals: list[str] = field(factory=list)

    def ask(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request: status, headers in small letters, body; `Refused` when nobody answers."""
        parts = urlsplit(url)
        connection = HTTPSConnection(
            str(parts.hostname), parts.port, timeout=PATIENCE, context=self.context
        )
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(method, target, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, found, answer.read()
        except (OSError, HTTPException) as error:
            raise Refused(f"{method} {url}: {error!r}") from error
        finally:
            connection.close()

    def post(self, path: str, value: object) -> Any:
        """A JSON call that must succeed."""
        headers = {"X-OOSE-Token": self.token, "Content-Type": "application/json"}
        return self._json("POST", path, json.dumps(value).encode(), headers)

    def log_in(self, username: str, password: str) -> None:
        answer = self.post("/user/login", {"username": username, "password": password})
        self.token = answer["session"]["token"]

    def upload(self, data: bytes, name: str = "notes.txt") -> Mapping[str, Any]:
        """Upload one file; what the prism says of it."""
        body = form(("file", name, "text/plain", data))
        headers = {"X-OOSE-Token": self.token, **FORM}
        file: Mapping[str, Any] = self._json("POST", "/content/upload", body, headers)["files"][
            "file"
        ]
        assert file["hash"] == hashlib.sha1(data).hexdigest()
        return file

    def detail(self, content_hash: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.post("/content/detail", {"hash": content_hash})
        return found

    def download(self, content_hash: str) -> bytes:
        headers = {"X-OOSE-Token": self.token, "Content-Type": "application/json"}
        body = json.dumps({"hash": content_hash}).encode()
        status, _, data = self.ask("POST", f"{self.url}/content/download", body, headers)
        if status != 200:
            raise Refused(f"download: {status} {data[:200]!r}")
        return data

    def purchase(self, content_hash: str) -> str:
        """The token of a purchase for pages of localhost."""
        asked = {"hash": content_hash, "ext": "txt", "referrer": ["localhost"]}
        return str(self.post("/content/purchase", asked)["token"])

    def deliver(self, token: str) -> bytes:
        """What a viewer with a purchase gets."""
        referer = {"Referer": "http://localhost/"}
        status, headers, data = self.ask("GET", f"{self.url}/{token}/a.txt", headers=referer)
        if status == 302:
            status, _, data = self.ask("GET", headers["location"], headers=referer)
        if status != 200:
            raise Refused(f"delivery: {status} {data[:200]!r}")
        return data

    def _json(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
        status, _, text = self.ask(method, self.url + path, body, headers)
        if status != 200:
            raise Refused(f"{path}: {status} {text[:300]!r}")
        return json.loads(text)
