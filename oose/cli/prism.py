"""A prism as the command sees it: log in when it is needed, once, and out in the end."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any

from oose.cli.connection import basic, exchange, understood
from oose.cli.exits import NOT_ALLOWED, CommandFailed
from oose.cli.profile import Profile

JSON = {"Content-Type": "application/json"}


class Prism:
    """Calls to the prism of `profile`."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._token = profile.token
        self._is_own = False  # a session that was opened here, and so is closed here

    def open(self, path: str) -> Any:
        """What an open route says."""
        return understood(exchange(self.profile, "GET", path, {}, b""))

    def call(self, path: str, value: Mapping[str, Any]) -> Any:
        """A call with a session."""
        return understood(self.ask(path, value))

    def ask(
        self, path: str, value: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> HTTPResponse:
        """The same, with the answer as it comes: an error is still to be looked for."""
        body = json.dumps(value).encode()
        given = {**JSON, **(headers or {})}
        answer = exchange(self.profile, "POST", path, {**given, **self.session()}, body)
        if answer.status == 401 and self.profile.username is not None:
            answer.close()
            self._log_in()  # the session has ended meanwhile
            answer = exchange(self.profile, "POST", path, {**given, **self.session()}, body)
        return answer

    def send(self, path: str, headers: Mapping[str, str], body: Iterable[bytes]) -> Any:
        """Send a body that can be read only once, with a session."""
        return understood(exchange(self.profile, "POST", path, {**headers, **self.session()}, body))

    def call_as_peer(self, path: str, value: Mapping[str, Any]) -> Any:
        """A call with the prism's own credentials."""
        username, password = self.profile.prism_username, self.profile.prism_password
        if username is None or password is None:
            raise CommandFailed(
                "This needs the prism's own credentials: prism_username and prism_password in a"
                " profile",
                NOT_ALLOWED,
            )
        headers = {**JSON, "Authorization": basic(username, password)}
        body = json.dumps(value).encode()
        return understood(exchange(self.profile, "POST", path, headers, body))

    def session(self) -> Mapping[str, str]:
        """The header of a session, opened where there is none yet."""
        if self._token is None:
            self._log_in()
        return {"X-OOSE-Token": self._token or ""}

    def _log_in(self) -> None:
        username, password = self.profile.username, self.profile.password
        if username is None or password is None:
            raise CommandFailed(
                "Not logged in: name a profile with --profile, or set OOSE_USERNAME and"
                " OOSE_PASSWORD, or OOSE_TOKEN",
                NOT_ALLOWED,
            )
        body = json.dumps({"username": username, "password": password}).encode()
        answer = understood(exchange(self.profile, "POST", "/user/login", JSON, body))
        self._token = str(answer["session"]["token"])
        self._is_own = True

    def close(self) -> None:
        """End the session that was opened here."""
        if self._is_own:
            self._is_own = False
            with suppress(CommandFailed):  # what was asked for is done
                exchange(self.profile, "POST", "/user/logout", self.session(), b"").close()
