"""What small requests are compared with: the least that twisted.web can do for them."""

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

reactor: Any = installed


class Constant(Resource):
    """Answers every request with the same few bytes of JSON."""

    isLeaf = True  # noqa: N815 # Twisted's name

    def render(self, request: Any) -> bytes:
        request.setHeader(b"content-type", b"application/json")
        return b'{"pong": "pong"}'


class Kept(Resource):
    """Takes each PUT, writes it to a file of its own and fsyncs it in a pool of threads."""

    isLeaf = True  # noqa: N815 # Twisted's name

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._count = 0

    def render(self, request: Any) -> int:
        self._count += 1
        path = self._folder / str(self._count)
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)

        def answer(_: object) -> None:
            if not gone:
                request.write(b"{}")
                request.finish()

        _ = deferToThread(write, path, request.content.read()).addCallback(answer)
        return NOT_DONE_YET


def write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> None:
    """`python -m benchmarks.bare PORT [FOLDER]`."""
    resource = Kept(Path(sys.argv[2])) if len(sys.argv) > 2 else Constant()
    reactor.listenTCP(int(sys.argv[1]), Site(resource), interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main()
