import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.metadata.documents import Document
from oose.metadata.records import InventoryRecord, clones_of, record_id

SHA1 = "a03f181dc7dedcfb577511149b8844711efdb04f"
RECORD = InventoryRecord(
    hash=SHA1,
    prism="prism1",
    store="store1",
    mime_type="video/mp4",
    mime_extension="mp4",
    relative_path=f"a0/3f/{SHA1}.mp4",
    size=10,
    created=1_800_000_000_000,
    sha256="0" * 64,
    verified=1_800_000_000_001,
)
texts = st.text(max_size=10)
records = st.builds(
    InventoryRecord,
    hash=texts,
    prism=texts,
    store=texts,
    mime_type=texts,
    mime_extension=texts,
    relative_path=texts,
    size=st.integers(0),
    created=st.integers(0),
    sha256=st.one_of(st.none(), texts),
    verified=st.one_of(st.none(), st.integers(0)),
)


def test_a_document_has_the_names_of_the_data_model() -> None:
    assert RECORD.to_body() == {
        "hash": SHA1,
        "sha256": "0" * 64,
        "prism": "prism1",
        "store": "store1",
        "mimeType": "video/mp4",
        "mimeExtension": "mp4",
        "relativePath": f"a0/3f/{SHA1}.mp4",
        "size": 10,
        "createdAt": 1_800_000_000_000,
        "verifiedAt": 1_800_000_000_001,
    }


@given(records)
def test_a_record_is_read_back_from_its_document(record: InventoryRecord) -> None:
    document = Document(record.id, "1-x", record.to_body())
    assert InventoryRecord.from_document(document) == record


@pytest.mark.parametrize("name", ["sha256", "verifiedAt"])
def test_what_a_sweep_does_not_know_may_be_missing(name: str) -> None:
    body = {key: value for key, value in RECORD.to_body().items() if key != name}
    record = InventoryRecord.from_document(Document(RECORD.id, "1-x", body))
    assert record.to_body()[name] is None


def test_all_clones_of_a_hash_are_one_range_of_ids() -> None:
    assert RECORD.id == record_id(SHA1, "prism1", "store1") == f"{SHA1}:prism1:store1"
    assert RECORD.id.startswith(clones_of(SHA1))
    assert not RECORD.id.startswith(clones_of(SHA1[:-1]))


def test_a_clone_elsewhere_is_the_same_content_in_another_place() -> None:
    other = RECORD.on("prism2", "store2", "x/y.mp4")
    assert other.place == "prism2:store2"
    assert other.relative_path == "x/y.mp4"
    assert other.on("prism1", "store1", RECORD.relative_path) == RECORD
