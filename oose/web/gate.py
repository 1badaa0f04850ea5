"""Who may call a route: anybody, a user's session, or those who know the room's own credentials."""

from twisted.internet.interfaces import IReactorTime

from oose.credentials import Credentials, basic
from oose.errors import NotAuthenticated
from oose.logins import Logins
from oose.web.client import ClientAddress
from oose.web.intake import IntakeRequest
from oose.web.routing import Access

TOKEN_HEADER = b"x-oose-token"


class Gate:
    """Judges requests by their headers alone, before any of the body is read."""

    def __init__(
        self,
        credentials: Credentials,
        logins: Logins,
        clients: ClientAddress,
        clock: IReactorTime,
    ) -> None:
        self._credentials = credentials
        self._logins = logins
        self._clients = clients
        self._clock = clock

    async def authorise(self, request: IntakeRequest, access: Access) -> None:
        """Return when `request` may use a route of `access`; `NotAuthenticated`."""
        if access is Access.OPEN:
            return
        header = request.header(b"authorization")
        if header is not None:
            self._judge_peer(request, header)
            return
        token = request.header(TOKEN_HEADER)
        if access is Access.PEER or not token:
            raise NotAuthenticated(
                "This needs the credentials of this prism or store, as HTTP basic authentication"
                if access is Access.PEER
                else "Not logged in: send the session's token in the header X-OOSE-Token"
            )
        request.session = await self._logins.authenticate(token, self._now())

    def _judge_peer(self, request: IntakeRequest, header: str) -> None:
        if self._credentials.match(header):
            return
        given = basic(header)
        name = given[0].decode("utf-8", "replace") if given is not None else ""
        raise self._logins.refuse_guess(name, self._clients.address(request), self._now())

    def _now(self) -> int:
        return int(self._clock.seconds() * 1000)
