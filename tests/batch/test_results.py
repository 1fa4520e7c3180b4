"""What a batch returns: records while they are few, references to a file's pieces when they are many."""

import json
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach

from airflow_aluo.batch import results
from airflow_aluo.batch.results import MOST_IN_XCOM, Returned, expanded, file_name, read_part, summary
from airflow_aluo.protocol import photo_edit, record
from airflow_aluo.protocol.errors import (
    AluoEditFailed,
    AluoEditTimedOut,
    AluoOutOfCredits,
    AluoPictureError,
    AluoRequestInvalid,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.record import EditRecord
from airflow_aluo.protocol.schemas import schema, validator

EXAMPLE: EditRecord = schema("edit_record")["examples"][0]
LOG = logging.getLogger(__name__)
EDIT = photo_edit.read({"prompt": "Blau 青い", "image_urls": "https://x.example/a.png"})
AT = 1_795_312_800.0


def many(count: int) -> list[EditRecord]:
    return [EXAMPLE | {"aluo_task_id": f"edit_{index}"} for index in range(count)]


def returned(
    records: Any, results_path: Any = None, destination: Any = None, name: str = "a.jsonl"
) -> Returned:
    return results.returned(records, results_path=results_path, destination=destination, name=name, log=LOG)


@pytest.fixture
def store() -> Iterator[str]:
    """The address of a folder in memory."""
    filesystem = fsspec.filesystem("memory")
    conn_id = f"store_{uuid.uuid4().hex}"
    attach("memory", conn_id=conn_id, fs=filesystem)
    yield f"memory://{conn_id}@{conn_id}/folder"
    filesystem.rm(f"/{conn_id}", recursive=True)


# --- what a task returns


@pytest.mark.parametrize("count", [0, 1, 40])
def test_a_few_records_are_returned_themselves_and_nothing_is_written(tmp_path: Path, count: int) -> None:
    assert returned(many(count), str(tmp_path)) == Returned(many(count), None)
    assert list(tmp_path.iterdir()) == []


def test_as_much_as_xcom_should_hold_is_returned_and_a_byte_more_is_written(tmp_path: Path) -> None:
    records = many(40)

    def filled(size: int) -> list[EditRecord]:
        spare = size - len(json.dumps(records))
        last = EXAMPLE | {"aluo_task_id": f"edit_39{'x' * spare}"}
        assert len(json.dumps([*records[:-1], last])) == size
        return [*records[:-1], last]

    assert returned(filled(MOST_IN_XCOM), str(tmp_path)).path is None
    assert returned(filled(MOST_IN_XCOM + 1), str(tmp_path)).path == str(tmp_path / "a.jsonl")


def test_many_records_are_written_once_and_returned_as_pieces_of_a_hundred(tmp_path: Path) -> None:
    found = returned(many(250), str(tmp_path))
    parts: Any = found.value
    assert found.path == str(tmp_path / "a.jsonl")
    assert [part["edits"] for part in parts] == [100, 100, 50]
    assert {part["results"] for part in parts} == {found.path}
    for part in parts:
        validator("results_part").validate(json.loads(json.dumps(part)))
    assert [one for part in parts for one in read_part(part)] == many(250)
    lines = Path(found.path).read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == many(250)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_the_references_to_ten_thousand_edits_are_small_enough_for_xcom(tmp_path: Path) -> None:
    found = returned(many(10_000), str(tmp_path / "a-folder" / ("x" * 150)))
    assert len(json.dumps(found.value)) < MOST_IN_XCOM


def test_written_again_it_is_the_same_file_with_the_same_references(tmp_path: Path) -> None:
    first = returned(many(101), str(tmp_path))
    content = (tmp_path / "a.jsonl").read_bytes()
    again = returned(json.loads(json.dumps(many(101))), str(tmp_path))
    assert (again, (tmp_path / "a.jsonl").read_bytes()) == (first, content)


def test_a_file_that_could_not_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    returned(many(101), str(tmp_path))
    content = (tmp_path / "a.jsonl").read_bytes()
    with pytest.raises(TypeError):
        results._written([*many(150), {"no JSON"}], *results._file(str(tmp_path), "a.jsonl"))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.jsonl", content)]


def test_any_text_that_json_can_hold_comes_back(tmp_path: Path) -> None:
    odd = EXAMPLE | {"aluo_task_id": 'lone \ud800, "quoted"\n\u2028\x85 青い'}
    (part, _) = returned([odd] * 101, str(tmp_path)).value
    assert read_part(part) == [odd] * 100


# --- where it is written


@pytest.mark.parametrize("nothing", [None, "", "None"])
def test_results_lie_beside_the_pictures_unless_they_have_a_place_of_their_own(
    tmp_path: Path, nothing: Any
) -> None:
    own, pictures = tmp_path / "own", tmp_path / "pictures"
    assert returned(many(101), nothing, str(pictures)).path == str(pictures / "a.jsonl")
    assert returned(many(101), str(own), str(pictures)).path == str(own / "a.jsonl")


@pytest.mark.parametrize(
    "spelled", ["{}/b.jsonl", "file://{}/b.jsonl", "b.jsonl", "~/b.jsonl", "{}/c/B.JSONL"]
)
def test_a_path_that_ends_in_jsonl_is_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelled: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = returned(many(101), spelled.format(tmp_path)).path
    assert path
    assert Path(path).is_absolute()
    assert Path(path).name.lower() == "b.jsonl"
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [Path(path)]


@pytest.mark.parametrize("named", [False, True])
def test_results_are_written_to_object_storage_and_read_back(store: str, *, named: bool) -> None:
    found = returned(many(150), f"{store}/b.jsonl" if named else store)
    assert found.path
    assert ObjectStoragePath(found.path).name == ("b.jsonl" if named else "a.jsonl")
    assert [path.name for path in ObjectStoragePath(store).iterdir()] == ["b.jsonl" if named else "a.jsonl"]
    assert expanded(found.value) == many(150)
    assert read_part(found.value[1]) == many(150)[100:]


def test_without_a_place_all_are_returned_with_a_warning(logs: list[str]) -> None:
    import structlog

    found = results.returned(
        many(101), results_path=None, destination=None, name="a.jsonl", log=structlog.get_logger()
    )
    assert found == Returned(many(101), None)
    (line,) = logs
    assert line.startswith("warning: ")
    assert "results_path" in line


def test_a_files_name_tells_the_task_and_is_the_same_for_each_try() -> None:
    names = {"dag_id": "shop", "run_id": "manual__2026-11-22T02:00:00+00:00", "task_id": "group.edit"}
    found = file_name(**names, map_index=-1)
    assert found.startswith("shop-manual__2026-11-22T02_00_00_00_00-group.edit-")
    assert found == file_name(**names, map_index=-1)
    assert "-group.edit-7-" in file_name(**names, map_index=7)


def test_no_two_tasks_write_to_one_file_and_none_leaves_its_folder() -> None:
    ids = [
        ("a", "b", "c", -1),
        ("a-b", "c", "c", -1),
        ("a", "b-c", "c", -1),
        ("a", "b", "c", 0),
        ("a", "b", "c", 1),
        ("../a", "b", "c", -1),
        ("_._a", "b", "c", -1),
        ("картина", "b", "c", -1),
        ("картины", "b", "c", -1),
        ("x" * 250, "y" * 250, "z" * 250, 1),
        ("x" * 250, "y" * 250, "z" * 249 + "!", 1),
    ]
    found = {
        file_name(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=index)
        for dag_id, run_id, task_id, index in ids
    }
    assert len(found) == len(ids)
    assert all(len(name) < 250 and "/" not in name and not name.startswith(".") for name in found)


# --- how it is read


def test_a_file_that_is_gone_is_named(tmp_path: Path, store: str) -> None:
    for folder in (str(tmp_path), store):
        part: Any = returned(many(101), folder).value[0]
        ObjectStoragePath(part["results"] if "://" in folder else f"file://{part['results']}").unlink()
        with pytest.raises(AluoRequestInvalid, match=r"a\.jsonl.*FileNotFoundError"):
            read_part(part)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.replace(b"edit_0", b"edit_x"),
        lambda content: content[:-10_000],
        lambda content: b"\n" + content,
        lambda _: b"",
    ],
)
def test_a_file_that_has_changed_is_named(tmp_path: Path, change: Any) -> None:
    (part, *_) = returned(many(99), str(tmp_path)).value
    path = tmp_path / "a.jsonl"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(AluoRequestInvalid, match=r"a\.jsonl.*has changed since"):
        read_part(part)


@pytest.mark.parametrize(
    "change", [{"edits": 0}, {"start": -1}, {"end": "9"}, {"sha256": "no"}, {"results": ""}, {"more": 1}]
)
def test_what_refers_to_no_piece_is_refused(change: Any) -> None:
    part = schema("results_part")["examples"][0] | change
    with pytest.raises(
        AluoRequestInvalid, match="a reference to results as PhotoEditBatchOperator returned it"
    ):
        read_part(part)


def test_references_lists_of_them_and_records_become_one_list_of_records(tmp_path: Path) -> None:
    first, second = returned(many(150), str(tmp_path)).value
    other = [EXAMPLE]
    assert expanded(first) == many(100)
    assert expanded([second, first]) == [*many(150)[100:], *many(100)]
    assert expanded([first, EXAMPLE]) == [*many(100), EXAMPLE]
    assert expanded([[first, second], other]) == [*many(150), EXAMPLE]  # of two mapped batches
    assert expanded(json.dumps([first])) == expanded(str([json.dumps(first)])) == many(100)
    assert expanded(EXAMPLE) == [EXAMPLE]
    assert expanded([]) == []
    assert expanded(["https://a.b/c.png"]) == ["https://a.b/c.png"]


# --- how it went


def accepted(aluo_task_id: str) -> EditRecord:
    pending = record.of_edit(aluo_task_id, aluo_conn_id="aluo_default")
    return pending | {"credits": {"estimated": 35, "deducted": None, "remaining": None}}


def succeeded(aluo_task_id: str, remaining: float | None, completed_at: float) -> EditRecord:
    found = accepted(aluo_task_id)
    return found | {
        "status": "SUCCESS",
        "result_urls": ["https://a.b/1.png", "https://a.b/2.png"],
        "credits": {"estimated": 35, "deducted": 30, "remaining": remaining},
        "times": found["times"] | {"completed_at": record.iso(completed_at)},
    }


def test_a_summary_counts_what_became_of_the_edits_and_what_they_cost() -> None:
    refused = AluoOutOfCredits("no credits", http_status=402)
    records = [
        succeeded("edit_1", 900, AT + 0.5),
        succeeded("edit_2", 930, AT),
        succeeded("edit_3", None, AT + 9),
        record.failed(accepted("edit_4"), AluoEditFailed("FAILED", aluo_task_id="edit_4"), at=AT),
        record.failed(
            accepted("edit_5"), AluoEditTimedOut("late", aluo_task_id="edit_5", last_status=None), at=AT
        ),
        record.not_accepted(EDIT, refused, aluo_conn_id="aluo_default"),
        record.not_accepted(EDIT, refused, aluo_conn_id="aluo_default"),
        record.not_accepted(EDIT, AluoUnknownOutcome("lost"), aluo_conn_id="aluo_default"),
        accepted("edit_6"),
        record.failed(
            succeeded("edit_7", None, AT), AluoPictureError("too large", url="https://a.b/1.png"), at=AT
        ),
    ]
    assert summary(records, "/data/a.jsonl") == {
        "edits": 10,
        "succeeded": 4,
        "not_landed": 1,
        "failed": 5,
        "errors": {
            "AluoEditFailed": 1,
            "AluoEditTimedOut": 1,
            "AluoOutOfCredits": 2,
            "AluoPictureError": 1,
            "AluoUnknownOutcome": 1,
        },
        "under_way": 1,
        "pictures": 8,
        # Those that succeeded, the late one, which goes on, and the one under way; FAILED costs nothing.
        "credits": {"estimated": 210, "deducted": 120, "remaining": 900},
        "path": "/data/a.jsonl",
    }


def test_a_summary_of_what_nobody_told_says_so() -> None:
    found = summary([record.of_edit("edit_1", aluo_conn_id="aluo_default")], None)
    assert found["credits"] == {"estimated": None, "deducted": None, "remaining": None}
    assert (found["edits"], found["under_way"], found["path"]) == (1, 1, None)
    assert summary([], None)["edits"] == 0
