"""A prism as the command sees it: log in when it is needed, once, and out in the end."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.client import HTTPResponse
from typing import Any

from oose.cli.connection import NO_PRISM, basic, exchange, understood
from oose.cli.exits import NOT_ALLOWED, UNAVAILABLE, CommandFailed
from oose.cli.profile import Profile

JSON = {"Content-Type": "application/json"}
LEAVING_PATIENCE = 5.0  # seconds; a session that is not closed ends by itself


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

    def ask(self, path: str, value: Mapping[str, Any]) -> HTTPResponse:
        """The same, with the answer as it comes: an error is still to be looked for."""
        answer = self._post(path, value)
        if answer.status == 401 and self.profile.username is not None:
            answer.close()
            self._log_in()  # the session has ended meanwhile
            answer = self._post(path, value)
        return answer

    def be_logged_in(self) -> None:
        """Make sure of a session before a body is sent, which may be readable only once.

        A token that nobody could replace is not tried: the answer to the body will tell.
        """
        if self._token is None:
            self._log_in()
        elif not self._is_own and self.profile.username is not None:
            self.call("/user/session/validate", {})

    def send(self, path: str, headers: Mapping[str, str], body: Iterable[bytes]) -> Any:
        """Send a body, with a session."""
        headers = {**headers, **self._session()}
        return understood(exchange(self.profile, "POST", path, headers, body))

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

    def close(self) -> None:
        """End the session that was opened here."""
        if self._is_own:
            self._is_own = False
            with suppress(CommandFailed):  # what was asked for is done
                exchange(
                    self.profile, "POST", "/user/logout", self._session(), b"", LEAVING_PATIENCE
                ).close()

    def _post(self, path: str, value: Mapping[str, Any]) -> HTTPResponse:
        body = json.dumps(value).encode()
        return exchange(self.profile, "POST", path, {**JSON, **self._session()}, body)

    def _session(self) -> Mapping[str, str]:
        """The header of a session, opened where there is none yet."""
        return {"X-OOSE-Token": self._token or self._log_in()}

    def _log_in(self) -> str:
        username, password = self.profile.username, self.profile.password
        if username is None or password is None:
            raise CommandFailed(
                "Not logged in: name a profile with --profile, or set OOSE_USERNAME and"
                " OOSE_PASSWORD, or OOSE_TOKEN",
                NOT_ALLOWED,
            )
        body = json.dumps({"username": username, "password": password}).encode()
        answer = understood(exchange(self.profile, "POST", "/user/login", JSON, body))
        try:
            self._token = str(answer["session"]["token"])
        except (KeyError, TypeError):
            raise CommandFailed(NO_PRISM, UNAVAILABLE) from None
        self._is_own = True
        return self._token
