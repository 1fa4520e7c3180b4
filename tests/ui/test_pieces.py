"""Results in files: read once, held against their digest, and never a reason for a page to fail."""

import hashlib
import json
from pathlib import Path

import pytest

from airflow_aluo.batch.results import returned
from airflow_aluo.ui.pieces import MOST_READ, Pieces
from airflow_aluo.ui.told import Part, Record
from tests.ui.book import Book, Person, edit_record


def written(path: Path, *pieces: list[Record]) -> list[Part]:
    parts, content = [], b""
    for piece in pieces:
        lines = "".join(f"{json.dumps(one)}\n" for one in piece).encode()
        where = {"start": len(content), "end": len(content) + len(lines), "edits": len(piece)}
        digest = hashlib.sha256(lines).hexdigest()
        parts.append({"results": str(path), "sha256": digest} | where)
        content += lines
    path.write_bytes(content)
    return parts


ONE, TWO, THREE = ([edit_record(f"edit_{n}{m}") for m in range(2)] for n in range(3))


def test_pieces_are_read_in_any_order_and_again_without_their_file(tmp_path: Path) -> None:
    parts = written(tmp_path / "results.jsonl", ONE, TWO, THREE)
    pieces = Pieces()
    assert pieces.reader()([parts[2], parts[0]]) == [THREE, ONE]
    (tmp_path / "results.jsonl").unlink()
    assert pieces.reader()(parts) == [ONE, None, THREE]


def test_only_so_many_records_stay_in_memory(tmp_path: Path) -> None:
    parts = written(tmp_path / "results.jsonl", ONE, TWO, THREE)
    pieces = Pieces(most_kept=4)
    assert pieces.reader()(parts) == [ONE, TWO, THREE]
    (tmp_path / "results.jsonl").unlink()
    assert pieces.reader()(parts) == [None, TWO, THREE]


def test_a_piece_that_has_changed_is_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    parts = written(path, ONE, TWO)
    path.write_bytes(path.read_bytes().replace(b"edit_10", b"edit_99"))
    assert Pieces().reader()(parts) == [ONE, None]


@pytest.mark.parametrize("content", [b"no JSON\n", b"[1]\n", b"\xff\n", b"[" * 5000, b"root:x:0:0\n"])
def test_a_file_without_records_gives_none_whatever_its_digest(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    part = {"results": str(tmp_path / "a"), "start": 0, "end": len(content), "edits": 1}
    assert Pieces().reader()([part | {"sha256": hashlib.sha256(content).hexdigest()}]) == [None]


@pytest.mark.parametrize(
    "address", ["/none", "/dev/zero", "http://127.0.0.1/a", "s3://", "\0", "", "~nobody/x"]
)
def test_a_file_that_cannot_be_read_gives_none(address: str) -> None:
    part = {"results": address, "start": 0, "end": 9, "edits": 1, "sha256": "0" * 64}
    assert Pieces().reader()([part]) == [None]


def test_ranges_that_are_none_and_counts_that_lie_do_no_harm(tmp_path: Path) -> None:
    (part,) = written(tmp_path / "results.jsonl", ONE)
    huge = part | {"end": 1 << 60}
    turned = part | {"start": 9, "end": 3}
    assert Pieces().reader()([part | {"edits": 1}, huge, turned]) == [ONE[:1], None, None]
    assert Pieces().reader()([part | {"edits": MOST_READ + 1}]) == [None]


def test_pieces_that_overlap_are_not_read_twice(tmp_path: Path) -> None:
    one, two, three = written(tmp_path / "results.jsonl", ONE, TWO, THREE)
    both = (tmp_path / "results.jsonl").read_bytes()[: two["end"]]
    across = one | {"end": two["end"], "edits": 4, "sha256": hashlib.sha256(both).hexdigest()}
    assert Pieces().reader()([across]) == [ONE + TWO]
    assert Pieces().reader()([one, two, three, across, one]) == [ONE, TWO, THREE, None, ONE]


def test_one_answer_takes_only_so_many_bytes_of_files(tmp_path: Path) -> None:
    one, two, three = written(tmp_path / "results.jsonl", ONE, TWO, THREE)
    pieces = Pieces(most_bytes_read=two["end"])
    read = pieces.reader()
    assert (read([one]), read([two]), read([three])) == ([ONE], [TWO], [None])
    again = pieces.reader()  # what is in memory takes none
    assert (again([one, two]), again([three])) == ([ONE, TWO], [THREE])


def test_one_answer_takes_only_so_many_records(tmp_path: Path) -> None:
    one, two, _ = written(tmp_path / "results.jsonl", ONE, TWO, THREE)
    read = Pieces().reader()
    assert read([one | {"edits": MOST_READ - 1}]) == [ONE]
    assert read([two]) == [None]


def test_what_a_batch_writes_is_shown(book: Book, viewer: Person, tmp_path: Path) -> None:
    records = [edit_record(f"edit_{number}") for number in range(250)]
    found = returned(records, results_path=str(tmp_path), destination=None, name="a.jsonl", log=None)
    book.instance("edits", operator="PhotoEditBatchOperator", xcoms={"return_value": found.value})
    answer = viewer.edits(book.dag_id, "a_run", offset=245)
    assert [card["aluo_task_id"] for card in answer["cards"]] == [
        f"edit_{number}" for number in range(245, 250)
    ]
    assert answer["cards"][-1]["after"][0]["picture"].endswith("/edits/-1/pictures/249/after/0")
    assert (answer["totals"]["edits"], answer["unreadable"]) == (250, 0)


def test_a_page_says_how_many_edits_could_not_be_read(book: Book, viewer: Person, tmp_path: Path) -> None:
    parts = written(tmp_path / "results.jsonl", ONE, TWO)
    book.instance(
        "edits",
        operator="PhotoEditBatchOperator",
        xcoms={"return_value": [parts[0], parts[1] | {"sha256": "0" * 64}]},
    )
    answer = viewer.edits(book.dag_id, "a_run")
    assert (len(answer["cards"]), answer["unreadable"]) == (2, 2)
