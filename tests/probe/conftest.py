"""A cluster of real processes for the tests of this folder."""

import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from install.cluster.cluster import Cluster, Ports
from tests.probe.client import Client
from tests.probe.running import TEMPO, Running
from tests.probe.tended import Tended


def free_net() -> str:
    """Seven addresses of this machine that nobody uses: 127/8 has room for many clusters."""
    while True:
        net = f"127.{random.randint(10, 250)}.{random.randint(1, 250)}"
        with socket.socket() as probe:
            if probe.connect_ex((f"{net}.1", 6379)) != 0:
                return net


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("cluster")
    cluster = Cluster(folder, Ports(net=free_net()), TEMPO)
    try:
        cluster.start()
        yield Running(cluster)
    finally:
        cluster.stop()


@pytest.fixture(scope="package")
def tended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tended]:
    tended = Tended.below(tmp_path_factory.mktemp("tended"), free_net())
    try:
        tended.cluster.start()
        yield tended
    finally:
        tended.cluster.stop()


@pytest.fixture
def client(tended: Tended) -> Iterator[Client]:
    """A way into the cluster that tends its content; nothing is left of a test."""
    yield tended.settled("prism1")
    tended.clear()
