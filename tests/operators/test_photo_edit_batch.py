"""Many edits in one task: what is asked, what is returned, and at which pace."""

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

from airflow_aluo.airflow_names import AirflowFailException
from airflow_aluo.batch.results import expanded
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.schemas import validator

Make = Callable[..., PhotoEditBatchOperator]


def listed(count: int, photo: str = "https://photos.example/a.png") -> list[dict[str, Any]]:
    return [{"prompt": f"number {number}.", "image_urls": [photo]} for number in range(count)]


@pytest.fixture
def batch(sandbox: Any) -> Make:
    """Makes a batch of the edits "number 0.", "number 1.", …"""

    def make(count: int = 4, **more: Any) -> PhotoEditBatchOperator:
        kwargs = {"task_id": "batch", "edits": listed(count, sandbox.photo), "poll_interval": 0.1} | more
        return PhotoEditBatchOperator(**kwargs)

    return make


# --- what is asked and returned --------------------------------------------------------------------------


def test_every_edit_is_submitted_once_and_returned_in_order(sandbox: Any, tasks: Any, batch: Make) -> None:
    found = tasks.run(batch(12))
    assert [one["request"]["prompt"] for one in found] == [f"number {number}." for number in range(12)]
    assert all(one["status"] == "SUCCESS" and one["result_urls"] for one in found)
    assert sandbox.accepted == 12
    for one in found:
        validator("edit_record").validate(one)
    assert tasks.ti.xcoms["batch", "summary"]["succeeded"] == 12


def test_pictures_land_the_moment_they_are_ready(tasks: Any, batch: Make, tmp_path: Path) -> None:
    found = tasks.run(batch(3, destination=tmp_path))
    paths = [one["files"][0]["path"] for one in found]
    assert sorted(paths) == sorted(str(path) for path in tmp_path.iterdir())


def test_what_the_triggerer_waited_for_is_not_looked_at_again(sandbox: Any, tasks: Any, batch: Make) -> None:
    sandbox.settings(durations=1_500)  # so that a busy machine sees them run
    found = tasks.run(batch(deferrable=True))
    assert [one["status"] for one in found] == ["SUCCESS"] * 4
    assert len(tasks.left) == 1
    assert sandbox.accepted == 4


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_edits_come_from_a_file_too(sandbox: Any, tasks: Any, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"edits.{ending}"
    if ending == "jsonl":
        path.write_text("\n".join(map(json.dumps, listed(3, sandbox.photo))))
    else:
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerows([["prompt", "image_urls"], *([one["prompt"], sandbox.photo] for one in listed(3))])
    edits = PhotoEditBatchOperator(task_id="batch", edits=path, poll_interval=0.1, output_format="webp")
    found = tasks.run(edits)
    assert [one["request"]["prompt"] for one in found] == ["number 0.", "number 1.", "number 2."]
    assert {one["request"]["output_format"] for one in found} == {"webp"}


def test_each_photo_is_edited_by_each_prompt(sandbox: Any, tasks: Any) -> None:
    photos = [sandbox.photo, sandbox.photo]
    each = PhotoEditBatchOperator(task_id="batch", photos=photos, prompts=["Blue", "Red"], poll_interval=0.1)
    assert [one["request"]["prompt"] for one in tasks.run(each)] == ["Blue", "Red", "Blue", "Red"]
    assert sandbox.accepted == 4


def test_many_records_go_to_a_file_that_the_download_takes(
    sandbox: Any, tasks: Any, batch: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_aluo.batch.results.MOST_IN_XCOM", 2_000)
    parts = tasks.run(batch(9, results_path=tmp_path / "results"))
    assert [part["edits"] for part in parts] == [9]
    summary = tasks.ti.xcoms["batch", "summary"]
    assert summary["path"] == parts[0]["results"]
    assert [one["request"]["prompt"] for one in expanded(parts)] == [f"number {n}." for n in range(9)]
    tasks.next_try()
    assert tasks.run(batch(9, results_path=tmp_path / "results")) == parts
    few = [parts[0]["results"]]
    assert few == [str(path) for path in (tmp_path / "results").iterdir()]
    landing = PhotoDownloadOperator(task_id="land", edits=parts, destination=tmp_path / "pictures")
    assert len(expanded(tasks.run(landing))) == 9
    assert sandbox.accepted == 9


def test_nothing_is_sent_for_more_credits_than_allowed(sandbox: Any, tasks: Any, batch: Make) -> None:
    with pytest.raises(AirflowFailException, match=r"max_credits: 159; expected 160 or more for 4 edits"):
        tasks.run(batch(max_credits=159))
    assert sandbox.calls == []
    assert len(tasks.run(batch(max_credits=160))) == 4


def test_one_wrong_edit_stops_all_before_anything_is_sent(sandbox: Any, tasks: Any) -> None:
    edits = "{{ params.edits }}"
    wrong = [*listed(2, sandbox.photo), {"prompt": "", "image_urls": []}]
    with pytest.raises(AirflowFailException, match=r"edits\[2\]\.prompt"):
        tasks.run(PhotoEditBatchOperator(task_id="batch", edits=edits), edits=json.dumps(wrong))
    assert sandbox.calls == []


def test_all_files_that_are_not_there_are_named_before_anything_is_sent(
    sandbox: Any, tasks: Any, tmp_path: Path
) -> None:
    edits = [{"prompt": "x", "image_files": [str(tmp_path / f"{number}.jpg")]} for number in range(12)]
    (tmp_path / "1.jpg").write_bytes(b"there, whatever it is")
    with pytest.raises(
        AirflowFailException, match="batch of photo edits cannot be used, nothing was sent"
    ) as caught:
        tasks.run(PhotoEditBatchOperator(task_id="batch", edits=[*listed(2, sandbox.photo), *edits]))
    said = str(caught.value)
    assert [place for place in range(14) if f"[{place}] image_files[0]: " in said] == [2, *range(4, 13)]
    assert "and 1 more: not named here" in said
    assert said.count("there is none") == 10
    assert sandbox.calls == []


def test_one_edit_is_told_in_the_singular(tasks: Any, batch: Make, logs: list[str]) -> None:
    tasks.run(batch(1))
    assert [line for line in logs if "estimated" in line] == [
        "info: 1 edit, estimated at 40 credits (40 each)"
    ]


def test_progress_is_told_when_something_has_changed(
    sandbox: Any, tasks: Any, batch: Make, logs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_aluo.batch.run.FIRST", 0.05)
    sandbox.settings(durations=1_500)
    tasks.run(batch(5))
    lines = [line for line in logs if " of 5 done" in line]
    assert lines[-1] == "info: 5 of 5 done"
    assert any("5 running, about" in line for line in lines)
    assert len(lines) == len(set(lines)) < 10
    assert not any("edit_" in line for line in logs)  # not per edit


# --- the pace --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_refusals_for_going_too_fast_are_waited_out_and_nothing_is_sent_twice(
    sandbox: Any, tasks: Any, batch: Make, connections: Any, *, deferrable: bool
) -> None:
    """The connection says more than the plan allows: 10 calls, here in a second instead of a minute."""
    sandbox.control("PUT", f"accounts/{connections.key}", {"plan": "free"})
    sandbox.settings(rate_limit=True, rate_window=1.0)
    found = tasks.run(batch(12, deferrable=deferrable))
    assert [one["status"] for one in found] == ["SUCCESS"] * 12
    ledger = sandbox.ledger
    assert (ledger["totals"]["accepted"], ledger["twice"]) == (12, 0)
    assert any(one["http_status"] == 429 for one in ledger["requests"])


def test_looks_and_submits_go_on_side_by_side(sandbox: Any, tasks: Any, batch: Make) -> None:
    sandbox.fault("latency", seconds=0.1, times=None)
    tasks.run(batch(12, max_in_flight=2))
    calls = sandbox.calls
    assert calls.index("GET status") < len(calls) - 1 - calls[::-1].index("POST generate")


def test_a_batch_takes_about_as_long_as_its_slowest_edit(sandbox: Any, tasks: Any, batch: Make) -> None:
    sandbox.settings(durations=1_000)
    began = time.monotonic()
    tasks.run(batch(20))
    assert time.monotonic() - began < 15  # one after the other they take 20 seconds, and more


# --- when the DAG is parsed ------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to edit": ({"edits": []}, "edits: none"),
    "neither": ({"edits": None}, "nothing given"),
    "both": ({"photos": ["https://a.example/b"], "prompts": ["p"]}, "either edits, or photos and prompts"),
    "an unknown parameter": ({"edits": [{"prompt": "p", "image_url": "x"}]}, "image_url"),
    "no time": ({"timeout": -1}, "timeout"),
    "no submit at all": ({"max_in_flight": 0}, "max_in_flight: 0; expected a whole number, 1 or more"),
    "no credits": ({"max_credits": 0}, "max_credits"),
    "another word": (
        {"on_partial_failure": "skip"},
        "on_partial_failure: 'skip'; expected one of fail, return",
    ),
    "another clear": ({"on_clear": "never"}, "on_clear"),
    "another outcome": ({"on_unknown_outcome": "ignore"}, "on_unknown_outcome"),
    "a shared parameter": ({"aspect_ratio": "7:1"}, "aspect_ratio"),
    "no folder": ({"destination": " "}, "destination: ' '; expected a local folder"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_can_be_known_is_checked_when_the_dag_is_parsed(name: str) -> None:
    kwargs, match = WRONG[name]
    with pytest.raises(AluoRequestInvalid, match=f"(?s)^batch of photo edits cannot be used.*{match}"):
        PhotoEditBatchOperator(**{"task_id": "batch", "edits": listed(1)} | kwargs)


#: Without edits, they may be mapped over.
IN_COMMON = [name for name, (kwargs, _) in WRONG.items() if kwargs != {"edits": None}]


@pytest.mark.parametrize("name", IN_COMMON)
def test_what_mapped_batches_have_in_common_is_checked_then_too(name: str) -> None:
    kwargs, match = WRONG[name]
    with pytest.raises(AluoRequestInvalid, match=match):
        PhotoEditBatchOperator.partial(**{"task_id": "batch", "edits": listed(1)} | kwargs)


def test_a_destination_of_which_a_template_makes_nothing_is_an_error_before_anything_is_sent(
    sandbox: Any, tasks: Any, batch: Make
) -> None:
    for folder in ("", None):
        with pytest.raises(AirflowFailException, match=r"destination: .*; expected a local folder"):
            tasks.run(batch(destination="{{ params.folder }}"), folder=folder)
    assert sandbox.calls == []
    assert len(tasks.run(batch(destination=None))) == 4


def test_mapped_batches_do_not_write_over_each_others_results() -> None:
    with pytest.raises(AluoRequestInvalid, match=r"results_path: '/a/b\.JSONL'; expected a folder"):
        PhotoEditBatchOperator.partial(task_id="batch", results_path=Path("/a/b.JSONL"))
    with DAG("a_dag", schedule=None):
        for number, path in enumerate(("/a/b", "/a/{{ ti.map_index }}.jsonl", None)):
            many = PhotoEditBatchOperator.partial(task_id=f"batch_{number}", results_path=path)
            many.expand(edits=[listed(1)])
        PhotoEditBatchOperator(task_id="batch", edits=listed(1), results_path="/a/b.jsonl")


def test_batches_are_mapped_and_made_of_what_other_tasks_return() -> None:
    with DAG("a_dag", schedule=None):

        @task
        def albums() -> Any:
            return [listed(2), listed(3)]

        of_each = PhotoEditBatchOperator.partial(task_id="each", destination="/a").expand(edits=albums())
        PhotoEditBatchOperator(task_id="one", edits=albums(), output_format="png")
        PhotoEditBatchOperator.partial(task_id="by", prompts=["Blue"]).expand(photos=albums())
        PhotoDownloadOperator(task_id="land", edits=of_each.output, destination="/a")


def test_an_upstream_that_sent_nothing_is_named(tasks: Any, connections: Any) -> None:
    connections.set("http://127.0.0.1:9")
    with DAG("a_dag", schedule=None):

        @task
        def album() -> Any:
            return listed(2)

        batch = PhotoEditBatchOperator(task_id="batch", edits=album())
    with pytest.raises(AirflowFailException, match="an edit record from task 'album'"):
        tasks.run(batch)
