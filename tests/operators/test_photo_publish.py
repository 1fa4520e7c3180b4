"""The operator that publishes: what it takes, what it returns, what it tells the next DAG."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset, AssetAlias
from airflow.sdk.execution_time.context import OutletEventAccessors
from airflow.sdk.execution_time.task_runner import _serialize_outlet_events

from airflow_aluo.airflow_names import AirflowFailException
from airflow_aluo.batch.results import returned
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_edit_batch import PhotoEditBatchOperator
from airflow_aluo.operators.photo_publish import PhotoPublishOperator
from airflow_aluo.protocol import photo_edit, record
from airflow_aluo.protocol.errors import AluoEditFailed, AluoPictureError, AluoRequestInvalid
from airflow_aluo.protocol.schemas import schema, validator

RECORD = schema("edit_record")["examples"][0]
DAGS = Path(__file__).with_name("dags")


def landed(folder: Path, number: int, content: bytes = b"picture") -> Any:
    """Return the record of an edit whose picture lies in the folder."""
    folder.mkdir(exist_ok=True)
    path = folder / f"edit_{number}-0.png"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    file = RECORD["files"][0] | {"path": str(path), "sha256": sha256, "bytes": len(content)}
    request = RECORD["request"] | {"image_urls": [f"https://x.example/photo{number}.jpg?signature=secret"]}
    return RECORD | {"aluo_task_id": f"edit_{number}", "files": [file], "request": request}


@pytest.fixture
def edits(tmp_path: Path) -> list[Any]:
    return [landed(tmp_path / "landed", number) for number in (1, 2)]


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """A destination."""
    return tmp_path / "published"


def publish(edits: Any, destination: Any, **more: Any) -> PhotoPublishOperator:
    return PhotoPublishOperator(task_id="publish", edits=edits, destination=destination, **more)


def manifest(there: Path) -> Any:
    found = json.loads((there / "manifest.json").read_text())
    validator("manifest").validate(found)
    return found


def names(there: Path) -> list[str]:
    pictures = manifest(there)["pictures"]
    assert all((there / picture["path"]).is_file() for picture in pictures)
    return [picture["path"].split("/", 2)[2] for picture in pictures]


class LazySequence(Sequence[Any]):
    """Looks like the XComs of a mapped task: neither a list nor read before it is asked."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]


# --- what it takes ---------------------------------------------------------------------------------------


def test_edits_of_the_sandbox_are_landed_and_published(sandbox: Any, tasks: Any, tmp_path: Path) -> None:
    edit = PhotoEditOperator(task_id="edit", prompt="Blue", image_urls=sandbox.photo, num_images=2)
    edit.poll_interval = 0.1
    done = tasks.run(edit)
    pictures = tasks.run(
        PhotoDownloadOperator(task_id="land", edits=done, destination=str(tmp_path / "landed"))
    )
    there = tmp_path / "published"
    published = tasks.run(publish(pictures, there))
    assert names(there) == ["coffee-0.png", "coffee-1.png"]
    found = manifest(there)
    assert published == {
        "manifest": str(there / "manifest.json"),
        "set": found["set"],
        "pictures": 2,
        "credits": done["credits"]["deducted"],
        "prompts_sha256": found["prompts_sha256"],
        "changed": True,
    }
    assert (found["dag_id"], found["run_id"], found["task_id"]) == ("a_dag", "a_run", "publish")
    assert [one["prompt"] for one in found["pictures"]] == ["Blue", "Blue"]
    assert {one["source"] for one in found["pictures"]} == {sandbox.photo}
    for one, file in zip(found["pictures"], pictures["files"], strict=True):
        assert (there / one["path"]).read_bytes() == Path(file["path"]).read_bytes()


def test_what_a_batch_landed_is_published(sandbox: Any, tasks: Any, tmp_path: Path) -> None:
    batch = PhotoEditBatchOperator(
        task_id="batch",
        photos=[sandbox.photo, f"{sandbox.base_url}/photos/rocket.jpg"],
        prompts=["Red", "Blue"],
        destination=str(tmp_path / "landed"),
        poll_interval=0.1,
    )
    there = tmp_path / "published"
    published = tasks.run(publish(tasks.run(batch), there, name="{prompt}/{photo}.{ext}"))
    assert published["pictures"] == 4
    assert set(names(there)) == {"Red/coffee.png", "Blue/coffee.png", "Red/rocket.png", "Blue/rocket.png"}


@pytest.mark.parametrize("as_text", [json.dumps, str, None], ids=["json", "python", "object"])
def test_one_record_is_published(edits: list[Any], there: Path, tasks: Any, as_text: Any) -> None:
    assert tasks.run(publish(as_text(edits[0]) if as_text else edits[0], there))["pictures"] == 1
    assert names(there) == ["photo1-0.png"]


@pytest.mark.parametrize(
    "many",
    [
        list,
        tuple,
        lambda items: LazySequence(*items),
        lambda items: LazySequence(*([one] for one in items)),
        str,
    ],
    ids=["list", "tuple", "mapped", "mapped-lists", "text"],
)
def test_many_records_are_published_in_their_order(
    edits: list[Any], there: Path, tasks: Any, many: Any
) -> None:
    task = publish("{{ params.edits }}", there)
    task.edits = many([edits[1], edits[0]])
    tasks.run(task)
    assert names(there) == ["photo2-0.png", "photo1-0.png"]


def test_references_to_a_batchs_results_are_read(tmp_path: Path, there: Path, tasks: Any) -> None:
    many = [landed(tmp_path / "landed", number) for number in range(150)]
    parts = returned(many, results_path=str(tmp_path), destination=None, name="a.jsonl", log=None).value
    assert len(parts) == 2
    assert tasks.run(publish(parts, there))["pictures"] == 150


def test_what_another_task_returned_is_published_where_and_as_templates_say(
    edits: list[Any], there: Path, tasks: Any
) -> None:
    with DAG("a_dag", schedule=None):
        land = PhotoDownloadOperator(task_id="land", edits="https://x.example/a.png", destination="/tmp")  # noqa: S108
        task = publish(land.output, "{{ params.folder }}", name="{{ ds }}/{photo}.{ext}")
    assert task.upstream_task_ids == {"land"}
    tasks.ti.xcoms["land", "return_value"] = edits
    tasks.run(task, folder=str(there))
    assert names(there) == ["2026-11-22/photo1.png", "2026-11-22/photo2.png"]


def failed(aluo_task_id: str) -> Any:
    pending = record.of_edit(aluo_task_id, aluo_conn_id="aluo_default")
    return record.failed(pending, AluoEditFailed(f"{aluo_task_id} ended", aluo_task_id=aluo_task_id), at=0.0)


def lost(aluo_task_id: str) -> Any:
    """The record of an edit that succeeded and did not land."""
    error = AluoPictureError("too large", url="https://x.example/a.png")
    return record.failed(RECORD | {"aluo_task_id": aluo_task_id, "files": []}, error, at=0.0)


def test_edits_that_failed_are_left_out_and_the_others_keep_their_positions(
    edits: list[Any], there: Path, tasks: Any, logs: list[str]
) -> None:
    request = photo_edit.read({"prompt": "Blue", "image_urls": "https://x.example/a.png"})
    refused = record.not_accepted(request, OSError("no such photo"), aluo_conn_id="aluo_default")
    task = publish([edits[0], failed("edit_7"), refused, edits[1]], there, name="{position}.{ext}")
    assert tasks.run(task)["pictures"] == 2
    assert names(there) == ["0.png", "3.png"]
    (warning,) = [line for line in logs if line.startswith("warning")]
    assert "left out of 4 edits: edit_7 failed (edit_7 ended), one without an id failed (no" in warning


# --- what it does not take -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            RECORD | {"files": []},
            "edit_123456789 is SUCCESS without files; expected edits whose pictures were",
        ),
        ([RECORD | {"files": [], "status": "SUBMITTED"}], "is SUBMITTED without files"),
        (record.of_urls(["https://x.example/a.png"]), "one without an id is UNKNOWN without files"),
        ("https://x.example/a.png?signature=secret", "put a PhotoDownloadOperator before this task"),
        ([RECORD | {"files": []}] * 20, "and 15 more; expected"),
        (["https://x.example/a.png"], r"a\.png'; expected edits whose pictures were landed"),
        ([], "or give PhotoEditBatchOperator a destination"),
        ([failed("edit_7")], r"edits: edit_7 failed \(edit_7 ended\); expected an edit that succeeded"),
        (
            [failed("edit_7")] * 2,
            r"edits: none of 2 edits has pictures: edit_7 failed \(edit_7 ended\), edit_7",
        ),
        (
            lost("edit_8"),
            r"edit_8 did not land \(too large\); expected landed pictures; put a PhotoDownloadOp",
        ),
        (17, "edit record"),
        ({}, "edit record"),
        (None, "edits: None; expected edits whose pictures were landed"),
        ("None", "edits: 'None'; expected edits whose pictures were landed"),
        (RECORD, "is not there"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_published_is_said_clearly(tasks: Any, there: Path, given: Any, said: str) -> None:
    task = publish("{{ params.edits }}", there)
    task.edits = given
    with pytest.raises((AirflowFailException, AluoPictureError), match=said) as caught:
        tasks.run(task)
    assert "secret" not in str(caught.value)
    assert "nothing was sent" not in str(caught.value)
    assert not list(there.rglob("*.png"))
    assert not (there / "manifest.json").exists()


def test_two_pictures_of_one_name_are_an_error_before_anything_is_written(
    edits: list[Any], there: Path, tasks: Any
) -> None:
    with pytest.raises(
        AirflowFailException, match=r"edit_1 and edit_2 'same\.png'.*{position} or {aluo_task_id}"
    ):
        tasks.run(publish(edits, there, name="same.{ext}"))
    assert not there.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "{photos}"},
        {"name": "../{photo}"},
        {"name": ""},
        {"keep_sets": 0},
        {"keep_sets": True},
        {"destination": " "},
        {"destination": None},
    ],
)
def test_what_is_wrong_is_said_when_the_dag_is_parsed(there: Path, wrong: Any) -> None:
    (parameter,) = wrong
    said = f"^publish cannot be used, nothing was published: {parameter}: "
    with pytest.raises(AluoRequestInvalid, match=said):
        PhotoPublishOperator(**{"task_id": "publish", "edits": [], "destination": there} | wrong)
    with pytest.raises(AluoRequestInvalid, match=said):
        PhotoPublishOperator.partial(task_id="publish", **wrong)


def test_mapped_instances_may_each_have_a_destination(there: Path) -> None:
    with DAG("a_dag", schedule=None):
        partial = PhotoPublishOperator.partial(task_id="publish", edits=[], name="{{ params.name }}")
        mapped = partial.expand(destination=[str(there / "a"), str(there / "b")])
    assert mapped.operator_class is PhotoPublishOperator


def test_what_is_a_template_is_judged_when_it_is_known(edits: list[Any], there: Path, tasks: Any) -> None:
    with pytest.raises(AirflowFailException, match=r"name: '{nobody}'; expected a relative path"):
        tasks.run(publish(edits, there, name="{{ params.name }}"), name="{nobody}")


@pytest.mark.parametrize("folder", ["", None])
def test_a_destination_is_needed(edits: list[Any], tasks: Any, folder: Any) -> None:
    said = "nothing was published: destination: .*; expected a local folder"
    with pytest.raises(AirflowFailException, match=said):
        tasks.run(publish(edits, "{{ params.folder }}"), folder=folder)


def test_somebody_elses_manifest_fails_the_task_for_good(edits: list[Any], there: Path, tasks: Any) -> None:
    there.mkdir()
    (there / "manifest.json").write_text("{}")
    with pytest.raises(AirflowFailException, match="choose another destination, or remove it"):
        tasks.run(publish(edits, there))


def test_a_picture_that_changed_may_be_tried_again(edits: list[Any], there: Path, tasks: Any) -> None:
    Path(edits[0]["files"][0]["path"]).write_bytes(b"another")
    with pytest.raises(AluoPictureError, match="has changed since it landed"):
        tasks.run(publish(edits, there))
    assert not (there / "manifest.json").exists()


# --- what it tells ---------------------------------------------------------------------------------------


@pytest.fixture
def events(tasks: Any, monkeypatch: pytest.MonkeyPatch) -> OutletEventAccessors:
    """What the task tells its outlets, in Airflow's own hands."""
    found, context = OutletEventAccessors(), tasks.context
    monkeypatch.setattr(
        tasks, "context", lambda task, **params: context(task, **params) | {"outlet_events": found}
    )
    return found


def test_every_outlet_is_told_what_was_published(
    edits: list[Any], there: Path, tasks: Any, events: OutletEventAccessors
) -> None:
    album, alias = Asset("album"), AssetAlias("published")
    outlets = [album, Asset(name="other", uri="s3://bucket/other"), alias, "something else"]
    published = tasks.run(publish(edits, there, outlets=outlets))
    sent = json.loads(json.dumps(list(_serialize_outlet_events(events))))
    assert sent[2].pop("dest_asset_extra", {}) == {}  # older Airflows have none
    uri = (there / "manifest.json").as_uri()
    assert sent == [
        {"dest_asset_key": {"name": "album", "uri": "album"}, "extra": published},
        {"dest_asset_key": {"name": "other", "uri": "s3://bucket/other"}, "extra": published},
        {
            "source_alias_name": "published",
            "dest_asset_key": {"name": uri, "uri": uri},
            "extra": published,
        },
    ]
    extras = [events[album].extra, events[outlets[1]].extra, events[alias].asset_alias_events[0].extra]
    assert len({id(extra) for extra in extras}) == 3


def test_a_task_without_outlets_tells_nobody(
    edits: list[Any], there: Path, tasks: Any, events: OutletEventAccessors
) -> None:
    tasks.run(publish(edits, there))
    assert len(events) == 0


def test_a_set_that_was_published_before_is_told_again(
    edits: list[Any], there: Path, tasks: Any, events: OutletEventAccessors
) -> None:
    """A try that was killed after the manifest stood has told nobody."""
    alias = AssetAlias("published")
    first = tasks.run(publish(edits, there))
    tasks.run(publish(edits, there, outlets=[alias]))
    assert [event.extra for event in events[alias].asset_alias_events] == [first]


def test_an_alias_needs_an_address_that_can_be_an_assets(
    edits: list[Any], tmp_path: Path, tasks: Any, events: OutletEventAccessors
) -> None:
    there = tmp_path.joinpath(*["x" * 200] * 8)
    with pytest.raises(AirflowFailException, match="for this task has an AssetAlias"):
        tasks.run(publish(edits, there, outlets=[AssetAlias("published")]))
    assert len(events) == 0
    assert not there.exists()


RUN = """
import json
import sys
from pathlib import Path

from airflow.utils.db import initdb

initdb()
sys.path.insert(0, sys.argv[1])
import published_set
from airflow.models.asset import AssetDagRunQueue, AssetEvent
from airflow.utils.session import create_session
from sqlalchemy import select

run = published_set.publish.dag.test()
with create_session() as session:
    found = [
        [event.asset.name, event.asset.uri, event.extra, [alias.name for alias in event.source_aliases]]
        for event in session.scalars(select(AssetEvent).order_by(AssetEvent.id))
    ]
    queued = [one.target_dag_id for one in session.scalars(select(AssetDagRunQueue))]
Path(sys.argv[2]).write_text(json.dumps([str(run.state), found, queued]))
"""


def test_airflow_takes_the_events_and_lets_the_next_dags_start(
    edits: list[Any], there: Path, tmp_path: Path
) -> None:
    environment = os.environ | {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "ALUO_TEST_PHOTOS": "",  # another DAG there asks for it
        "ALUO_TEST_EDITS": json.dumps(edits),
        "ALUO_TEST_DESTINATION": str(there),
    }
    outcome = tmp_path / "outcome.json"
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(DAGS), str(outcome)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    state, events, queued = json.loads(outcome.read_text())
    assert state == "success"
    uri = (there / "manifest.json").as_uri()
    found = manifest(there)
    extra = {
        "manifest": str(there / "manifest.json"),
        "set": found["set"],
        "pictures": 2,
        "credits": 80,
        "prompts_sha256": found["prompts_sha256"],
        "changed": True,
    }
    assert sorted(events) == sorted([["album", "album", extra, []], [uri, uri, extra, ["published"]]])
    assert sorted(queued) == ["after_the_album", "after_the_alias"]
