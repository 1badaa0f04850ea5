"""The few things that are asked of CouchDB here, by its administrator."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from attrs import frozen


@frozen
class Couch:
    """A server at `url`."""

    url: str
    username: str
    password: str

    def ask(self, method: str, path: str, value: object = None) -> Any:
        """The JSON of an answer; None for 404."""
        body = None if value is None else json.dumps(value).encode()
        token = b64encode(f"{self.username}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        request = Request(f"{self.url}{path}", body, headers, method=method)
        try:
            with urlopen(request, timeout=10) as answer:
                return json.loads(answer.read())
        except HTTPError as error:
            if error.code == 404:
                return None
            raise

    def add_user(self, name: str, password: str) -> None:
        """Make a user who can log in; nothing where there is one."""
        path = f"/_users/{quote(f'org.couchdb.user:{name}', safe='')}"
        if self.ask("GET", path) is None:
            value = {"name": name, "password": password, "roles": [], "type": "user"}
            self.ask("PUT", path, value)

    def documents(self, database: str) -> Mapping[str, Mapping[str, Any]]:
        """All documents of a database, by id."""
        found = self.ask("GET", f"/{database}/_all_docs?include_docs=true") or {"rows": []}
        return {row["id"]: row["doc"] for row in found["rows"] if row.get("doc")}
