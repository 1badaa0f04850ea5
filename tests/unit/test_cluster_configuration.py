"""The configuration of the cluster to try, as a command in another terminal reads it."""

from pathlib import Path

import pytest

from oose.settings import read

REPOSITORY = Path(__file__).resolve().parents[2]


def test_databases_are_on_the_net_of_the_peers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OOSE_CLUSTER_COUCHDB", "OOSE_CLUSTER_REDIS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OOSE_PEER", "prism1")
    monkeypatch.setenv("OOSE_CLUSTER", str(tmp_path))
    monkeypatch.setenv("OOSE_CLUSTER_NET", "127.0.9")
    monkeypatch.setenv("OOSE_CLUSTER_PLAIN", "1")
    (tmp_path / "password").write_text("secret" * 4)
    settings = read(REPOSITORY / "config/cluster/peer.py")
    assert settings.couchdb is not None
    assert settings.redis is not None
    assert (settings.prism.listen, settings.couchdb.url, settings.redis.url) == (
        "127.0.9.2",
        "http://127.0.9.1:5984",
        "redis://127.0.9.1:6379",
    )
