"""A 2.x installation, its database in a file and its disk as it was, served by today's process."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from oose.address import old_relative_path
from tests.disk_2x import data_of, fill, tree
from tests.process.twistd import REPOSITORY, Place, started

COUNT = 20
TOKEN = "t" * 64


def oose(place: Place, *arguments: str) -> str:
    """Run a command on the configuration of a place; what it prints."""
    command = [sys.executable, "-m", "oose", *arguments, "--config", str(place.config())]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def old_database(folder: Path, hashes: list[str]) -> Path:
    """What CouchDB would answer."""
    documents: list[dict[str, Any]] = [
        {"_id": "oose:prism:prism1", "name": "prism1", "host": "10.0.0.1", "port": 5971},
        {"_id": "oose:store:prism1:store1", "name": "store1", "prism": "prism1", "host": "h"},
        {
            "_id": f"oose:purchase:{TOKEN}",
            "hash": hashes[3],
            "ext": "mp4",
            "referrer": ["example.com"],
            "expirationDate": int(time.time() * 1000) + 3_600_000,
        },
    ]
    for number, each in enumerate(hashes):
        record = {"mimeExtension": "mp4", "size": len(data_of(number))}
        documents.append({"_id": f"oose:inventory:{each}:prism1:store1", **record})
    rows = [json.dumps({"id": each["_id"], "doc": each}) for each in documents]
    file = folder / "old.json"
    file.write_text('{"total_rows":23,"offset":0,"rows":[\n' + ",\n".join(rows) + "\n]}\n")
    return file


def test_what_2x_had_is_served_from_where_it_lies(tmp_path: Path) -> None:
    place = Place.make(tmp_path)
    hashes = fill(place.disk / "content", COUNT)
    before = tree(place.disk / "content")
    said = oose(place, "migrate", "--from", str(old_database(tmp_path, hashes)))
    assert f"Inventory records: {COUNT} moved" in said
    said = oose(place, "adopt", str(place.disk))
    assert f"{COUNT} of them are in the inventory as prism1:store1" in said
    with started(place) as running:
        detail = running.post("/content/detail", {"hash": hashes[7]})
        assert detail["map"] == ["prism1:store1"]
        assert detail["relativePath"] == old_relative_path(hashes[7], "mp4")
        page = {"Referer": "http://example.com/film"}
        status, _ = running.ask("GET", f"/{TOKEN}/film.mp4", headers=page)
        assert status == 302
        path = f"/play/{TOKEN}/film.mp4"
        status, data = running.ask("GET", path, headers=page, port=place.ports[1])
        assert (status, data) == (200, data_of(3))
        status, answer = running.upload(data_of(5), "again.mp4")
        assert status == 200
        assert answer["files"]["file"]["hash"] == hashes[5]
        # The same process may be exported, and moved to again, while it runs.
        assert f"Inventory records: {COUNT}" in oose(place, "export", str(tmp_path / "all.jsonl"))
        said = oose(place, "migrate", "--from", str(tmp_path / "old.json"))
        assert f"Inventory records: 0 moved, {COUNT} there already" in said
    after = tree(place.disk / "content")
    assert {name: each for name, each in after.items() if name in before} == before
