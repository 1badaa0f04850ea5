"""What viewers ask for often gets more clones, for as long as they do."""

import os

from tests.probe.client import Client, Refused
from tests.probe.running import SOON, within
from tests.probe.tended import SETTINGS, Tended, eventually, view

MOST = SETTINGS["clones"]["maximum"]


def sent_to(prism: Client, content_hash: str) -> str:
    """Come as a viewer; the store that one is sent to."""
    status, headers, text = prism.ask("GET", f"{prism.url}/static/{content_hash}/a.txt")
    if status != 302:
        raise Refused(f"{status} {text[:200]!r}")
    return headers["location"].partition("/static/")[0]


def test_what_is_asked_for_often_gets_more_clones_until_it_is_not(
    tended: Tended, client: Client
) -> None:
    data = os.urandom(200_000)
    content_hash = within(SOON, lambda: client.upload(data))["hash"]
    other = within(SOON, lambda: client.upload(os.urandom(200_000)))["hash"]
    prisms = [client, tended.stranger("prism2")]

    def has_more_and_more() -> None:
        for _ in range(5):
            for prism in prisms:
                sent_to(prism, content_hash)
        assert client.detail(content_hash)["count"] == MOST

    eventually(has_more_and_more)
    places: set[str] = set()

    def are_all_used() -> None:
        places.add(sent_to(prisms[1], content_hash))
        assert len(places) == MOST

    within(SOON, are_all_used)
    for _ in range(MOST):
        assert view(client, content_hash) == data
    tended.has([other])
    for prism in ("prism1", "prism2"):
        assert tended.ask(prism, "/stats", {})["demand"]["mostDesired"] == MOST
    eventually(lambda: tended.is_settled([content_hash, other]))
    assert view(client, content_hash) == data
