"""What an operator's commands do to a cluster of real processes, while it is in use."""

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

import pytest
from attrs import frozen

from install.cluster.cluster import BIN, CONFIGURATION, Cluster
from tests.probe.client import Client
from tests.probe.running import SOON, Running, within


@frozen
class Operator:
    """Runs commands with the configuration of prism1."""

    cluster: Cluster

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(BIN / "oose"), "--json", *arguments, "--config", str(CONFIGURATION)],
            env={**os.environ, **self.cluster.environment("prism1")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> list[Any]:
        return ended(self.begin(*arguments))


def ended(process: "subprocess.Popen[str]") -> list[Any]:
    """What it says, when it has done all."""
    out, err = process.communicate(timeout=2 * SOON)
    assert process.returncode == 0, (out, err)
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def operator(running: Running) -> Operator:
    return Operator(running.cluster)


def put(client: Client, data: bytes) -> str:
    return within(SOON, lambda: str(client.upload(data)["hash"]))


def on_store(operator: Operator, name: str) -> Sequence[str]:
    return [each["hash"] for each in operator("clones", "list", "--store", name)]


def test_a_store_is_emptied_while_it_is_in_use(running: Running, operator: Operator) -> None:
    client = running.settled("prism1")
    data = [os.urandom(20_000) for _ in range(12)]
    hashes = [put(client, each) for each in data]
    assert within(SOON, lambda: on_store(operator, "store1"))
    try:
        draining = operator.begin("store", "drain", "store1")
        while draining.poll() is None:
            data.append(os.urandom(20_000))
            hashes.append(client.upload(data[-1])["hash"])
        [said] = ended(draining)
        assert said["left"]["contents"] == 0
        assert said["counts"]["removed"] > 0
        assert on_store(operator, "store1") == []
        folder = running.cluster.folder / "store1"
        assert [each for each in folder.rglob("content/??/??/*") if each.is_file()] == []
        for each, content_hash in zip(data, hashes, strict=True):
            assert within(SOON, lambda: client.detail(content_hash)["count"]) >= 2  # noqa: B023
            assert within(SOON, lambda: client.download(content_hash)) == each  # noqa: B023
        [stores] = operator("store", "list", "--count")
        [empty] = [each for each in stores if each["store"].endswith(":store1")]
        assert (empty["clones"], empty["is"]) == (0, "available, read only")
        [plan] = operator("rebalance", "--pretend", "--tolerance", "50%")
        assert {each["store"] for each in plan["stores"]} == {
            each["store"] for each in stores if each is not empty
        }
    finally:
        operator("peer", "writable", "store1")


def test_one_film_gets_more_clones_and_fewer_again(running: Running, operator: Operator) -> None:
    client = running.settled("prism2")
    content_hash = put(client, os.urandom(300_000))
    [said] = operator("clones", "set", "4", "--hash", content_hash)
    assert said["counts"]["made"] == 2
    [shown] = operator("clones", "show", content_hash)
    assert (shown["clones"], shown["wanted"]) == (4, 4)
    assert len({each["place"] for each in shown["where"]}) == 4
    [said] = operator("clones", "verify", "--hash", content_hash)
    assert said["counts"]["verified"] == 4
    [said] = operator("clones", "set", "usual", "--hash", content_hash)
    within(SOON, lambda: client.detail(content_hash)["count"] == 2)
    [listed] = operator("clones", "list", "--hash", content_hash)
    assert (listed["clones"], listed["wanted"]) == (2, None)
