"""The operator that submits: what it asks, what it pays, and how it goes on from there."""

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, task
from jinja2 import UndefinedError

import airflow_aluo
from airflow_aluo.airflow_names import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowTaskTimeout,
)
from airflow_aluo.hooks.aluo import AluoHook
from airflow_aluo.operators.photo_download import PhotoDownloadOperator
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.protocol import record
from airflow_aluo.protocol.errors import (
    AluoConnectionError,
    AluoEditFailed,
    AluoEditTimedOut,
    AluoOutOfCredits,
    AluoRateLimited,
    AluoRequestInvalid,
    AluoUnauthorized,
    AluoUnknownOutcome,
    dump,
)
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.storage import load_photos
from airflow_aluo.transport.sharing import shared
from tests.which_airflow import TaskDeferred

PHOTO = Path(airflow_aluo.__file__).parent / "sandbox" / "photos" / "coffee.jpg"
PROMPT = "Change the product color to blue"
URL = "https://photos.example/a%20cup.png?signature=of-the-photo"

ACCEPTED = {"code": 0, "success": True, "data": {"taskId": "edit_1"}}

WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])


def edit(**kwargs: Any) -> PhotoEditOperator:
    return PhotoEditOperator(**{"task_id": "edit", "prompt": PROMPT, "poll_interval": 0.1} | kwargs)


# --- what is asked, and what is returned -----------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("source", ["addresses", "files"])
def test_an_edit_is_submitted_waited_for_and_returned(
    sandbox: Any, tasks: Any, *, deferrable: bool, source: str
) -> None:
    images = {"image_urls": [sandbox.photo]} if source == "addresses" else {"image_files": [PHOTO]}
    asked = {"aspect_ratio": "1:1", "output_format": "jpeg", "poll_interval": 1.5}
    found = tasks.run(edit(**images, **asked, deferrable=deferrable))
    validator("edit_record").validate(json.loads(json.dumps(found)))
    (entry,) = sandbox.ledger["entries"]
    assert entry["parameters"] == {"aspectRatio": "1:1", "outputFormat": "jpeg", "numImages": 1}
    assert (entry["inputs"][0]["name"] is None) == (source == "addresses")
    assert (found["status"], found["aluo_task_id"]) == ("SUCCESS", entry["aluo_task_id"])
    assert len(tasks.left) == deferrable
    assert sandbox.ledger["totals"] == {
        "accepted": 1,
        "succeeded": 1,
        "failed": 0,
        "charged": 35,
        "refused": 0,
    }


@WAYS
def test_id_urls_and_the_submitted_record_are_xcoms_of_their_own(
    sandbox: Any, tasks: Any, *, deferrable: bool
) -> None:
    found = tasks.run(edit(image_urls=sandbox.photo, deferrable=deferrable))
    assert tasks.ti.xcoms["edit", "aluo_task_id"] == found["aluo_task_id"]
    assert tasks.ti.xcoms["edit", "result_urls"] == found["result_urls"]
    submitted = tasks.ti.xcoms["edit", "submitted"]
    assert (submitted["status"], submitted["aluo_task_id"]) == ("SUBMITTED", found["aluo_task_id"])


@WAYS
def test_without_a_wait_the_record_is_returned_at_once(sandbox: Any, tasks: Any, *, deferrable: bool) -> None:
    sandbox.settings(durations=100_000)
    found = tasks.start(edit(image_urls=sandbox.photo, wait_for_completion=False, deferrable=deferrable))
    assert (found["status"], found["result_urls"]) == ("SUBMITTED", [])
    assert sandbox.calls == ["POST generate"]
    assert tasks.ti.xcoms["edit", "aluo_task_id"] == found["aluo_task_id"]


def test_a_finished_slow_submit_is_two_calls_and_no_deferral(played: Any, tasks: Any, clock: Any) -> None:
    played.reply(200, ACCEPTED, meanwhile=lambda: clock.shift(6))
    played.status("SUCCESS", "https://cdn.example/a.png")
    found = tasks.start(edit(image_urls=URL, deferrable=True))
    assert found["result_urls"] == ["https://cdn.example/a.png"]
    assert [what.partition("?")[0] for what, _ in played.requests] == [
        "POST /photo-editor/generate",
        "GET /photo-editor/status",
    ]


def test_a_slow_submit_whose_look_finds_it_running_is_waited_for(played: Any, tasks: Any, clock: Any) -> None:
    played.reply(200, ACCEPTED, meanwhile=lambda: clock.shift(6))
    played.status("WORKING")
    played.status("SUCCESS", "https://cdn.example/a.png")
    assert tasks.run(edit(image_urls=URL, deferrable=True))["status"] == "SUCCESS"
    assert len(tasks.left) == 1


@pytest.mark.parametrize("interval", [0.1, None])
def test_a_slow_submit_whose_look_is_limited_is_left_alone_as_long_as_that_asks(
    played: Any, tasks: Any, clock: Any, interval: float | None
) -> None:
    played.reply(200, ACCEPTED, meanwhile=lambda: clock.shift(6))
    played.refuse(429, -1, headers={"Retry-After": "300"})
    rule = deferral(tasks, edit(image_urls=URL, deferrable=True, poll_interval=interval)).trigger.rule
    assert rule.first_look_at == pytest.approx(time.time() + 300, abs=5)
    assert rule.looked_at == 0


def test_a_fast_submit_is_not_looked_at_at_once(sandbox: Any, tasks: Any) -> None:
    with pytest.raises(TaskDeferred):
        tasks.start(edit(image_urls=sandbox.photo, deferrable=True, poll_interval=10))
    assert sandbox.calls == ["POST generate"]


def test_the_triggerer_is_told_all_by_plain_json(sandbox: Any, connections: Any, tasks: Any) -> None:
    task = edit(image_urls=sandbox.photo, deferrable=True, timeout=timedelta(minutes=2), poll_interval=7)
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(task)
    deferred = caught.value
    again = tasks.trigger(deferred)
    assert again.serialize() == deferred.trigger.serialize()
    assert again.aluo_task_id == tasks.ti.xcoms["edit", "aluo_task_id"]
    assert again.rule.poll_interval == 7
    assert deferred.method_name == "execute_complete"
    assert deferred.timeout.total_seconds() == pytest.approx(120 + 600, abs=5)
    assert connections.key not in str(deferred.trigger.serialize())


# --- templates -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("native", [False, True])
def test_templates_are_rendered_and_read_back(sandbox: Any, tasks: Any, *, native: bool) -> None:
    with DAG("a_dag", schedule=None, render_template_as_native_obj=native):
        task = edit(
            prompt="Make it {{ params.colour }}",
            image_urls="{{ params.photos }}",
            aspect_ratio="{{ params.ratio }}",
            output_format="{{ params.format }}",
            num_images="{{ params.n }}",
            aluo_conn_id="{{ params.account }}",
            wait_for_completion=False,
        )
    photos = [sandbox.photo, f"{sandbox.base_url}/photos/rocket.jpg"]
    chosen = {"colour": "blue", "photos": photos, "ratio": None, "format": "webp", "n": 2}
    found = tasks.start(task, **chosen, account="aluo_default")
    assert found["request"] == {
        "prompt": "Make it blue",
        "image_urls": photos,
        "image_files": [],
        "aspect_ratio": None,
        "output_format": "webp",
        "num_images": 2,
    }


def test_templates_within_a_list_are_rendered(sandbox: Any, tasks: Any) -> None:
    task = edit(image_urls=[sandbox.photo, "{{ params.second }}"], wait_for_completion=False)
    found = tasks.start(task, second=sandbox.photo)
    assert found["request"]["image_urls"] == [sandbox.photo] * 2


@pytest.mark.parametrize("name", ["prompt.txt", "prompt.jinja"])
def test_a_prompt_may_come_from_a_file(sandbox: Any, tasks: Any, tmp_path: Path, name: str) -> None:
    tmp_path.joinpath(name).write_text("Make it {{ params.colour }}\n")
    with DAG("a_dag", schedule=None, template_searchpath=str(tmp_path)):
        task = edit(prompt=name, image_urls=sandbox.photo, wait_for_completion=False)
    assert tasks.start(task, colour="blue")["request"]["prompt"] == "Make it blue"


def test_photos_may_come_from_another_task(sandbox: Any, tasks: Any) -> None:
    with DAG("a_dag", schedule=None):
        first = edit(task_id="first", image_urls=sandbox.photo)
        second = edit(image_urls=first.output["result_urls"], wait_for_completion=False)
    assert second.upstream_task_ids == {"first"}
    tasks.run(first)
    found = tasks.start(second)
    assert found["request"]["image_urls"] == tasks.ti.xcoms["first", "result_urls"]


# --- edits of edits --------------------------------------------------------------------------------------


def run(tasks: Any, one: Any, **params: Any) -> Any:
    """Run a task as Airflow does: what it returns is an XCom."""
    found = tasks.run(one, **params)
    tasks.ti.xcom_push("return_value", found)
    return found


@WAYS
def test_the_record_of_an_edit_is_the_next_ones_photo(sandbox: Any, tasks: Any, *, deferrable: bool) -> None:
    with DAG("a_dag", schedule=None):
        first = edit(task_id="first", image_urls=sandbox.photo)
        second = edit(image_urls=first.output, deferrable=deferrable)
    assert second.upstream_task_ids == {"first"}
    before, found = run(tasks, first), run(tasks, second)
    assert found["request"]["image_urls"] == before["result_urls"]


def test_landed_pictures_are_uploaded_and_only_their_paths_are_kept(
    sandbox: Any, tasks: Any, tmp_path: Path
) -> None:
    with DAG("a_dag", schedule=None):
        first = edit(task_id="first", image_urls=sandbox.photo, num_images=2)
        land = PhotoDownloadOperator(task_id="land", edits=first.output, destination=str(tmp_path))
        second = edit(image_files=land.output)
    landed = [run(tasks, one) for one in (first, land)][-1]
    found = run(tasks, second)
    validator("edit_record").validate(found)
    paths = [one["path"] for one in landed["files"]]
    assert (found["request"]["image_urls"], found["request"]["image_files"]) == ([], paths)
    stored = tasks.store.values["edit/aluo_edit"]
    assert "sha256" not in stored
    assert [one["name"] for one in sandbox.ledger["entries"][-1]["inputs"]] == [
        Path(one).name for one in paths
    ]


def test_a_template_of_a_record_is_understood(sandbox: Any, tasks: Any) -> None:
    before = tasks.run(edit(task_id="first", image_urls=sandbox.photo))
    found = tasks.start(edit(image_urls="{{ params.before }}", wait_for_completion=False), before=before)
    assert found["request"]["image_urls"] == before["result_urls"]


def test_edits_can_be_mapped_over_the_records_of_mapped_edits(sandbox: Any, tasks: Any) -> None:
    before = tasks.run(edit(task_id="first", image_urls=sandbox.photo))
    with DAG("a_dag", schedule=None):
        first = edit(task_id="first", image_urls=sandbox.photo)
        second: Any = PhotoEditOperator.partial(task_id="edit", prompt=PROMPT, wait_for_completion=False)
        mapped = second.expand(image_urls=first.output)
    one = mapped.unmap({"image_urls": before})
    assert one.photo_name == sandbox.photo.rpartition("/")[2]  # the photo at the start of the chain
    assert tasks.start(one)["request"]["image_urls"] == before["result_urls"]


def test_an_upstream_task_that_returned_nothing_is_named_and_nothing_is_sent(
    sandbox: Any, tasks: Any
) -> None:
    with DAG("a_dag", schedule=None):
        first = edit(task_id="first", image_urls=sandbox.photo)
        second = edit(image_files=first.output)
    with pytest.raises(AirflowFailException, match="nothing came; expected an edit record from task 'first'"):
        tasks.start(second)
    assert sandbox.calls == []


def test_an_upstream_edit_that_never_landed_is_no_file_and_nothing_is_sent(sandbox: Any, tasks: Any) -> None:
    with DAG("a_dag", schedule=None):
        first = edit(task_id="first", image_urls=sandbox.photo, wait_for_completion=False)
        second = edit(image_files=first.output)
    run(tasks, first)
    with pytest.raises(AirflowFailException, match="is SUBMITTED; expected a finished edit"):
        tasks.start(second)
    assert sandbox.calls == ["POST generate"]


@pytest.mark.parametrize("land", [False, True], ids=["addresses", "landed"])
def test_a_chain_whose_fourth_edit_is_cleared_pays_again_for_that_and_what_follows_only(
    sandbox: Any, tasks: Any, tmp_path: Path, *, land: bool
) -> None:
    steps: list[BaseOperator] = []
    with DAG("a_dag", schedule=None):
        photo: Any = sandbox.photo
        for number in range(1, 6):
            steps.append(edit(task_id=f"edit_{number}", prompt=f"Change {number}", image_urls=photo))
            photo = steps[-1].output
            if land:
                steps.append(
                    PhotoDownloadOperator(task_id=f"land_{number}", edits=photo, destination=tmp_path)
                )
                photo = steps[-1].output
    first_time = {one.task_id: run(tasks, one) for one in steps}
    assert sandbox.accepted == 5
    cleared = steps[6 if land else 3 :]  # with downstream, as Airflow's UI does
    tasks.next_try(cleared=True)
    second_time = {one.task_id: run(tasks, one) for one in cleared}
    asked = [entry["prompt"] for entry in sandbox.ledger["entries"]]
    assert asked == [f"Change {number}" for number in (1, 2, 3, 4, 5, 4, 5)]
    assert sandbox.ledger["totals"]["charged"] == 7 * 35
    third, fourth, fifth = first_time["edit_3"], second_time["edit_4"], second_time["edit_5"]
    assert fourth["aluo_task_id"] != first_time["edit_4"]["aluo_task_id"]
    if not land:
        assert fourth["request"]["image_urls"] == third["result_urls"]
        assert fifth["request"]["image_urls"] == fourth["result_urls"]
    else:
        assert fifth["request"]["image_files"] == [one["path"] for one in second_time["land_4"]["files"]]


# --- looks that are taken when they are likely to pay ----------------------------------------------------


def planned(**kwargs: Any) -> PhotoEditOperator:
    return edit(**{"image_urls": URL, "poll_interval": None} | kwargs)


def deferral(tasks: Any, one: PhotoEditOperator) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(one)
    return caught.value


def learned(tasks: Any, left: TaskDeferred) -> tuple[Any, int]:
    """Return what the triggerer saw, and of how many edits it learned."""

    async def waits() -> tuple[Any, int]:
        event = await anext(tasks.trigger(left).run())
        pace = shared().turns(await AluoHook().aaccount()).pace
        return event.payload, pace._planner.durations.seen

    return asyncio.run(waits())


def test_looks_are_planned_unless_an_interval_is_given() -> None:
    assert PhotoEditOperator(task_id="edit", prompt=PROMPT, image_urls=URL).poll_interval is None


def test_the_plan_is_the_triggerers_not_the_workers_and_it_learns_from_a_first_look(
    played: Any, tasks: Any, clock: Any
) -> None:
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", "https://cdn.example/a.png")
    left = deferral(tasks, planned(deferrable=True))
    rule = left.trigger.rule
    assert (rule.poll_interval, rule.fresh, rule.first_look_at, rule.looked_at) == (None, True, 0.0, 0.0)
    assert rule.born_at == pytest.approx(time.time(), abs=5)
    assert len(played.requests) == 1
    clock.shift(14)  # the vendor says 10 to 30 seconds
    payload, seen = learned(tasks, left)
    assert (payload["snapshot"]["status"], seen) == ("SUCCESS", 1)
    assert len(played.requests) == 2


def test_a_triggerer_that_comes_late_learns_nothing(played: Any, tasks: Any, clock: Any) -> None:
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", "https://cdn.example/a.png")
    left = deferral(tasks, planned(deferrable=True))
    clock.shift(300)
    payload, seen = learned(tasks, left)
    assert (payload["snapshot"]["status"], seen) == ("SUCCESS", 0)


def test_the_triggerer_is_told_that_the_edit_was_found_running(played: Any, tasks: Any, clock: Any) -> None:
    played.reply(200, ACCEPTED, meanwhile=lambda: clock.shift(6))
    played.status("WORKING")
    rule = deferral(tasks, planned(deferrable=True)).trigger.rule
    assert (rule.fresh, rule.first_look_at) == (False, 0.0)
    assert rule.looked_at - rule.born_at == pytest.approx(6, abs=1)
    assert len(played.requests) == 2


def test_a_worker_that_waits_plans_its_looks_too(played: Any, tasks: Any, clock: Any) -> None:
    played.reply(200, ACCEPTED)
    played.status("WORKING")
    played.status("SUCCESS", "https://cdn.example/a.png")
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.shift(seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", sleep)
        assert tasks.run(planned())["status"] == "SUCCESS"
    assert 10 < sum(slept) < 30
    assert len(played.requests) == 3


# --- what is wrong with it is found early ----------------------------------------------------------------

WRONG = [
    ({"aspect_ratio": "7:3"}, "aspect_ratio: '7:3'; expected one of 1:1, "),
    ({"output_format": "gif"}, "output_format: 'gif'"),
    ({"num_images": 0}, "num_images: 0"),
    ({"num_images": "some"}, "num_images: 'some'"),
    ({"prompt": " "}, "prompt: "),
    ({"image_urls": []}, "no image given"),
    ({"image_urls": None}, "no image given"),
    ({"image_urls": [URL] * 6}, "image_urls: 6 given; expected 1 to 5"),
    ({"image_urls": ["a cup.png"]}, r"image_urls\[0\]: 'a cup.png'"),
    ({"image_urls": None, "image_files": ["a.png"] * 6}, "image_files: 6 given"),
    ({"image_files": [PHOTO]}, "both given"),
    ({"image_files": PHOTO}, "both given"),
    ({"image_urls": None, "image_files": [PHOTO], "num_images": 2}, "num_images: 2"),
]


@pytest.mark.parametrize(("wrong", "said"), WRONG)
def test_what_is_wrong_is_said_when_the_dag_is_parsed(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(AluoRequestInvalid, match=said):
        edit(**{"image_urls": [URL]} | wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"timeout": "600"}, "timeout: '600'; expected seconds"),
        ({"timeout": -1}, "timeout: -1"),
        ({"timeout": float("inf")}, "timeout: inf"),
        ({"timeout": float("nan")}, "timeout: nan"),
        ({"poll_interval": "10"}, "poll_interval: '10'; expected seconds"),
        ({"poll_interval": timedelta(days=-1)}, "poll_interval: "),
        ({"tolerated_failures": -1}, "tolerated_failures: -1"),
        ({"tolerated_failures": True}, "tolerated_failures: True"),
        ({"on_clear": "nwe"}, "on_clear: 'nwe'; expected one of auto, reuse, new"),
        ({"on_unknown_outcome": "retry"}, "on_unknown_outcome: 'retry'; expected one of fail, resubmit"),
    ],
)
def test_a_time_that_would_break_the_wait_is_refused_before_money_is_spent(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(AluoRequestInvalid, match=said):
        edit(image_urls=URL, **wrong)
    with pytest.raises(AluoRequestInvalid, match=said):
        PhotoEditOperator.partial(task_id="edit", image_urls=URL, **wrong)


def test_times_may_be_given_as_timedeltas() -> None:
    task = edit(image_urls=URL, timeout=timedelta(minutes=2), poll_interval=timedelta(seconds=3))
    assert (task.timeout, task.poll_interval) == (120.0, 3.0)


@pytest.mark.parametrize(
    "later",
    [
        {"prompt": "{{ params.prompt }}"},
        {"prompt": "{% if 1 %}Make it blue{% endif %}"},
        {"prompt": "prompt.txt"},
        {"prompt": "prompt.jinja"},
        {"image_urls": "{{ params.photos }}"},
        {"image_urls": ["{{ params.first }}", URL]},
        {"image_files": "{{ params.files }}"},
        {"aspect_ratio": "{{ params.ratio }}"},
        {"output_format": "{{ params.format }}"},
        {"num_images": "{{ params.n }}"},
    ],
)
def test_what_a_template_will_make_is_not_judged_when_the_dag_is_parsed(later: dict[str, Any]) -> None:
    assert edit(**{"image_urls": URL} | later)


def test_what_another_task_will_send_is_not_judged_when_the_dag_is_parsed() -> None:
    with DAG("a_dag", schedule=None):
        first = edit(task_id="first", image_urls=URL)
        assert edit(image_urls=first.output["result_urls"], aspect_ratio="1:1")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [one for one in WRONG if one[1] != "no image given"],  # it may be mapped over
)
def test_what_all_mapped_edits_have_in_common_is_judged_when_the_dag_is_parsed(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(AluoRequestInvalid, match=said):
        PhotoEditOperator.partial(**{"task_id": "edit", "image_urls": [URL]} | wrong)


@pytest.mark.parametrize(
    "mapped",
    [
        {"prompt": ["Make it blue", "Make it red"]},
        {"image_urls": [[URL], [URL, URL]]},
        {"image_files": [[str(PHOTO)], [str(PHOTO)]]},
        {"aspect_ratio": ["1:1", "16:9"]},
        {"output_format": ["png", "webp"]},
        {"num_images": [1, 2]},
        {"aluo_conn_id": ["aluo_default", "aluo_other"]},
        {"deferrable": [True, False]},
        {"timeout": [60, 600]},
        {"poll_interval": [1, 2]},
        {"wait_for_completion": [True, False]},
    ],
    ids=lambda mapped: next(iter(mapped)),
)
def test_every_parameter_can_be_mapped_over(mapped: Mapping[str, list[Any]]) -> None:
    (name,) = mapped
    common = {"task_id": "edit", "prompt": PROMPT, "image_urls": [URL]}
    if name == "image_files":
        del common["image_urls"]
    common.pop(name, None)
    with DAG("a_dag", schedule=None):
        found = PhotoEditOperator.partial(**common).expand(**mapped)
    for value in mapped[name]:
        assert getattr(found.unmap({name: value}), name) == value


@pytest.mark.parametrize("way", ["expand", "expand_kwargs"])
def test_a_wrong_value_among_mapped_ones_is_refused_by_its_own_task_only(way: str) -> None:
    """Airflow makes the mapped tasks when they run, so the DAG is parsed: nothing is sent all the same."""
    with DAG("a_dag", schedule=None):
        partial = PhotoEditOperator.partial(task_id="edit", prompt=PROMPT, image_urls=[URL])
        if way == "expand":
            found = partial.expand(aspect_ratio=["1:1", "7:3"])
        else:
            found = partial.expand_kwargs([{"aspect_ratio": "1:1"}, {"aspect_ratio": "7:3"}])
    assert found.unmap({"aspect_ratio": "1:1"})
    with pytest.raises(AluoRequestInvalid, match="aspect_ratio: '7:3'"):
        found.unmap({"aspect_ratio": "7:3"})


@pytest.mark.parametrize(
    ("rendered", "said"),
    [
        ({"prompt": ""}, "prompt"),
        ({"urls": []}, "no image given"),
        ({"urls": [URL] * 6}, "6 given"),
        ({"files": ["/no/such/photo.png"]}, "both given"),
        ({"urls": None, "files": ["/no/such/photo.png"]}, r"image_files\[0\]: '/no/such/photo.png'"),
        ({"urls": None, "files": [__file__]}, "not a picture"),
        ({"urls": None, "files": [str(PHOTO)], "n": 2}, "num_images: 2"),
        ({"urls": ["ftp://photos.example/a.png"]}, r"image_urls\[0\]"),
        ({"ratio": "7:3"}, "aspect_ratio: '7:3'"),
        ({"format": "gif"}, "output_format: 'gif'"),
        ({"n": 0}, "num_images: 0"),
    ],
)
def test_what_a_template_made_wrong_fails_at_once_and_nothing_is_sent(
    sandbox: Any, tasks: Any, rendered: dict[str, Any], said: str
) -> None:
    task = edit(
        prompt="{{ params.prompt }}",
        image_urls="{{ params.urls }}",
        image_files="{{ params.files }}",
        aspect_ratio="{{ params.ratio }}",
        output_format="{{ params.format }}",
        num_images="{{ params.n }}",
    )
    good = {"prompt": PROMPT, "urls": [URL], "files": None, "ratio": None, "format": None, "n": None}
    with pytest.raises(AirflowFailException, match=said) as caught:
        tasks.start(task, **good | rendered)
    assert isinstance(caught.value.__cause__, AluoRequestInvalid)
    assert sandbox.calls == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"password": ""}, "password: empty"),
        ({"extra": {"headers": {}}}, "extra 'headers': not known"),
        ({"host": "ftp://aluo.example"}, "host"),
    ],
)
def test_a_connection_that_cannot_be_used_fails_at_once_and_nothing_is_sent(
    sandbox: Any, connections: Any, tasks: Any, fields: dict[str, Any], said: str
) -> None:
    connections.set_raw(**{"host": sandbox.api_url, "password": connections.key} | fields)
    with pytest.raises(AirflowFailException, match=said):
        tasks.start(edit(image_urls=URL))
    assert sandbox.calls == []


def test_an_extra_that_is_no_json_object_sends_nothing(sandbox: Any, connections: Any, tasks: Any) -> None:
    connections.set_raw(host=sandbox.api_url, password=connections.key, extra="{broken")
    # An older Airflow does not take such a connection for one.
    with pytest.raises((AirflowFailException, AirflowNotFoundException), match="aluo_default"):
        tasks.start(edit(image_urls=URL))
    assert sandbox.calls == []


def test_a_connection_that_is_not_there_sends_nothing(sandbox: Any, tasks: Any) -> None:
    with pytest.raises(AirflowNotFoundException, match="aluo_elsewhere"):
        tasks.start(edit(image_urls=URL, aluo_conn_id="aluo_elsewhere"))
    assert sandbox.calls == []


def test_a_host_that_does_not_answer_leaves_it_to_the_tasks_retries(
    connections: Any, tasks: Any, clock: Any, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.set(nobody)
    monkeypatch.setattr("time.sleep", clock.shift)
    with pytest.raises(AluoConnectionError, match="nothing was sent") as caught:
        tasks.start(edit(image_urls=URL))
    assert not caught.value.sent


# --- what Aluo refuses -----------------------------------------------------------------------------------


def test_a_refused_key_fails_at_once(sandbox: Any, connections: Any, tasks: Any) -> None:
    sandbox.control("DELETE", f"accounts/{connections.key}")
    with pytest.raises(AirflowFailException, match="check the API key") as caught:
        tasks.start(edit(image_urls=sandbox.photo))
    assert isinstance(caught.value.__cause__, AluoUnauthorized)


def test_missing_credits_leave_it_to_the_tasks_retries(sandbox: Any, connections: Any, tasks: Any) -> None:
    sandbox.control("PUT", f"accounts/{connections.key}", {"balance": 0})
    with pytest.raises(AluoOutOfCredits):
        tasks.start(edit(image_urls=sandbox.photo))
    assert sandbox.accepted == 0


def test_a_limit_beyond_patience_leaves_it_to_the_tasks_retries(sandbox: Any, tasks: Any) -> None:
    sandbox.fault("http_status", status=429, retry_after="3600")
    with pytest.raises(AluoRateLimited) as caught:
        tasks.start(edit(image_urls=sandbox.photo))
    assert caught.value.retry_after == 300
    assert sandbox.calls == ["POST generate"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop_after"},
        {"kind": "drop_before"},
        {"kind": "html", "when": "after"},
        {"kind": "half_json", "when": "after"},
        {"kind": "empty", "when": "after"},
        {"kind": "html", "status": 504, "when": "after"},
        {"kind": "redirect", "when": "after"},
        {"kind": "wrong_shape", "when": "after"},
        {"kind": "success_without_task_id"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
def test_an_unknown_outcome_fails_at_once_and_is_sent_once(
    sandbox: Any, tasks: Any, fault: dict[str, Any]
) -> None:
    sandbox.fault(**fault)
    with pytest.raises(AirflowFailException, match="may have been charged") as caught:
        tasks.start(edit(image_urls=sandbox.photo))
    assert isinstance(caught.value.__cause__, AluoUnknownOutcome)
    assert sandbox.calls == ["POST generate"]


def test_an_execution_timeout_during_the_submit_is_an_unknown_outcome(
    sandbox: Any, tasks: Any, played: Any, connections: Any
) -> None:
    def strike() -> None:
        raise AirflowTaskTimeout("Timeout, PID: 1")

    connections.set(played.url)
    played.reply(200, ACCEPTED)
    task = edit(image_urls=sandbox.photo)
    with pytest.MonkeyPatch.context() as patch:
        # The signal of Airflow's execution_timeout finds the worker where it waits for the reply.
        patch.setattr("http.client.HTTPConnection.getresponse", lambda *_: strike())
        with pytest.raises(
            AirflowFailException, match="AirflowTaskTimeout struck during the submit"
        ) as caught:
            tasks.start(task)
    assert isinstance(caught.value.__cause__, AluoUnknownOutcome)


# --- after the acceptance --------------------------------------------------------------------------------


@WAYS
def test_only_an_edit_that_failed_may_be_tried_again(sandbox: Any, tasks: Any, *, deferrable: bool) -> None:
    sandbox.fault("edit_fails", message="no subject found")
    task = edit(image_urls=sandbox.photo, deferrable=deferrable)
    with pytest.raises(AluoEditFailed, match="no subject found"):
        tasks.run(task)
    assert sandbox.ledger["totals"]["charged"] == 0
    assert tasks.run(task)["status"] == "SUCCESS"


@WAYS
@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        ((401, -2), "AluoUnauthorized: .*edit edit_1 goes on at Aluo"),
        ((400, -1), "AluoRequestRejected: .*edit edit_1 goes on at Aluo"),
        ((404, -1), "AluoRequestRejected: .*Aluo knows this edit no more"),
    ],
)
def test_a_refused_look_fails_at_once_and_names_the_edit(
    played: Any, tasks: Any, clock: Any, *, deferrable: bool, refusal: tuple[int, int], error: str
) -> None:
    played.reply(200, ACCEPTED)
    played.refuse(*refusal, meanwhile=lambda: clock.shift(61))  # a fresh edit may not be known yet
    with pytest.raises(AirflowFailException, match=error):
        tasks.run(edit(image_urls=URL, deferrable=deferrable))


@pytest.mark.usefixtures("no_store")
@WAYS
def test_a_timeout_fails_at_once_and_says_how_to_go_on(played: Any, tasks: Any, *, deferrable: bool) -> None:
    played.reply(200, ACCEPTED)
    played.status("WORKING")
    with pytest.raises(AirflowFailException) as caught:
        tasks.run(edit(image_urls=URL, deferrable=deferrable, timeout=0.3))
    assert "PhotoEditStatusSensor(aluo_task_id='edit_1')" in str(caught.value)
    assert isinstance(caught.value.__cause__, AluoEditTimedOut)
    assert caught.value.__cause__.last_status == "WORKING"


@pytest.mark.usefixtures("no_store")
@WAYS
@pytest.mark.parametrize("status", [500, 200], ids=["server-error", "garbage"])
def test_an_aluo_that_is_gone_fails_at_once_and_names_the_edit(
    played: Any, tasks: Any, clock: Any, *, deferrable: bool, status: int
) -> None:
    played.reply(200, ACCEPTED)
    played.reply(status, b"", meanwhile=lambda: clock.shift(25))
    with pytest.raises(AirflowFailException, match="edit edit_1 goes on at Aluo"):
        tasks.run(edit(image_urls=URL, deferrable=deferrable, poll_interval=0.2))
    assert len(played.requests) == 7


@WAYS
def test_looks_without_an_answer_are_survived(played: Any, tasks: Any, *, deferrable: bool) -> None:
    played.reply(200, ACCEPTED)
    played.reply(502, b"<html>")
    played.refuse(429, -1, headers={"Retry-After": "0"})
    played.reply(200, b"{")
    played.status("SUCCESS", "https://cdn.example/a.png")
    assert tasks.run(edit(image_urls=URL, deferrable=deferrable))["status"] == "SUCCESS"


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize("key", ["submitted", "aluo_task_id", "result_urls"])
def test_an_xcom_that_cannot_be_stored_fails_at_once_and_names_the_edit(
    sandbox: Any, tasks: Any, key: str
) -> None:
    push = tasks.ti.xcom_push

    def broken(key: str, value: Any, *, bad: str = key) -> None:
        if key == bad:
            raise OSError("the API server is gone")
        push(key, value)

    tasks.ti.xcom_push = broken
    with pytest.raises(AirflowFailException, match=r"OSError: the API server is gone.*edit_[0-9]"):
        tasks.start(edit(image_urls=sandbox.photo))
    assert sandbox.accepted == 1


@pytest.mark.usefixtures("no_store")
def test_an_execution_timeout_during_the_wait_fails_at_once_and_names_the_edit(
    played: Any, tasks: Any
) -> None:
    def strike(_: float) -> None:
        raise AirflowTaskTimeout("Timeout, PID: 1")

    played.reply(200, ACCEPTED)
    task = edit(image_urls=URL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", strike)
        with pytest.raises(AirflowFailException, match=r"AirflowTaskTimeout: Timeout.*edit_1"):
            tasks.start(task)


# --- back from the triggerer -----------------------------------------------------------------------------

SUCCEEDED = {
    "snapshot": {
        "status": "SUCCESS",
        "result_urls": ["https://cdn.example/a.png"],
        "reason": None,
        "credits": {"deducted": 35, "remaining": 100},
    }
}


@pytest.fixture
def deferred(sandbox: Any, tasks: Any) -> PhotoEditOperator:
    """A task whose edit was accepted and goes on."""
    sandbox.settings(durations=100_000)
    task = edit(image_urls=sandbox.photo, wait_for_completion=False)
    tasks.start(task)
    return task


def test_a_good_event_completes_the_record(deferred: PhotoEditOperator, tasks: Any) -> None:
    found = tasks.resume(deferred, "execute_complete", {"event": SUCCEEDED})
    assert found["aluo_task_id"] == tasks.ti.xcoms["edit", "aluo_task_id"]
    assert found["result_urls"] == ["https://cdn.example/a.png"]
    assert found["credits"] == {"estimated": 40, "deducted": 35, "remaining": 100}
    assert found["request"]["prompt"] == PROMPT


def test_an_event_of_a_failed_edit_may_be_tried_again(deferred: PhotoEditOperator, tasks: Any) -> None:
    event = {"error": dump(AluoEditFailed("edit edit_1 ended FAILED", aluo_task_id="edit_1"))}
    with pytest.raises(AluoEditFailed):
        tasks.resume(deferred, "execute_complete", {"event": event})


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize(
    "event",
    [
        {"error": dump(AluoEditTimedOut("late", aluo_task_id="edit_1", last_status="WORKING"))},
        {"error": dump(AluoConnectionError("no reply", sent=True))},
        {"error": {"type": "AluoNewerError", "message": "?", "facts": {}}},
        {"error": {"type": "AluoEditFailed", "message": "?", "facts": {}}},
        {"snapshot": {"status": "SUCCESS"}},
        {"snapshot": SUCCEEDED["snapshot"] | {"status": "WORKING"}},
        {"snapshot": SUCCEEDED["snapshot"] | {"result_urls": []}},
        {"snapshot": SUCCEEDED["snapshot"] | {"result_urls": ["javascript:alert(1)"]}},
        SUCCEEDED | {"error": {}},
        {"status": "success"},
        "success",
        "failed",
        None,
        [],
        17,
    ],
    ids=lambda event: str(event)[:40],
)
def test_any_other_event_fails_at_once_and_names_the_edit(
    deferred: PhotoEditOperator, tasks: Any, event: Any
) -> None:
    aluo_task_id = tasks.ti.xcoms["edit", "aluo_task_id"]
    with pytest.raises(AirflowFailException, match=f"edit {aluo_task_id} goes on at Aluo"):
        tasks.resume(deferred, "execute_complete", {"event": event})


@pytest.fixture
def waiting(played: Any, tasks: Any, connections: Any) -> PhotoEditOperator:
    """A task that was deferred."""
    connections.set(played.url)
    played.reply(200, ACCEPTED)
    task = edit(image_urls=URL, deferrable=True)
    with pytest.raises(TaskDeferred):
        tasks.start(task)
    return task


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize("reason", ["Trigger timeout", "Trigger failure"])
def test_a_triggerer_that_gave_up_fails_at_once_and_names_the_edit(
    waiting: PhotoEditOperator, played: Any, tasks: Any, reason: str
) -> None:
    played.status("PROCESSING")
    with pytest.raises(AirflowFailException, match=r"the triggerer gave up.*edit edit_1 goes on at Aluo"):
        tasks.resume(waiting, "__fail__", {"error": reason})


@pytest.mark.parametrize("reason", ["Trigger timeout", "Trigger failure"])
def test_an_edit_that_has_succeeded_is_not_lost_with_its_trigger(
    waiting: PhotoEditOperator, played: Any, tasks: Any, reason: str
) -> None:
    played.status("SUCCESS", "https://cdn.example/a.png")
    finished = tasks.resume(waiting, "__fail__", {"error": reason})
    assert finished["result_urls"] == ["https://cdn.example/a.png"]


def test_a_task_killed_before_the_submit_has_nothing_to_say(logs: list[str]) -> None:
    edit(image_urls=URL).on_kill()
    assert not [line for line in logs if "told to end" in line]


@pytest.mark.usefixtures("no_store")
def test_a_template_that_cannot_be_rendered_again_fails_at_once_and_names_the_edit(tasks: Any) -> None:
    task = edit(prompt="{{ prompt_of_the_day() }}", image_urls=URL)
    context = tasks.context(task)
    with pytest.raises(UndefinedError):  # nothing was submitted yet: the next try may
        task.render_template_fields(context)
    tasks.ti.xcoms["edit", "submitted"] = record.of_edit("edit_1", aluo_conn_id="aluo_default")
    with pytest.raises(AirflowFailException, match=r"cannot be rendered again .*edit edit_1 goes on at Aluo"):
        task.render_template_fields(context)


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize("method", ["execute_complete", "__fail__"])
def test_an_edit_whose_record_is_gone_fails_at_once(
    deferred: PhotoEditOperator, tasks: Any, method: str
) -> None:
    tasks.ti.xcoms.clear()
    arguments = {"event": SUCCEEDED} if method == "execute_complete" else {"error": "Trigger failure"}
    with pytest.raises(AirflowFailException, match="nothing tells which edit this task waits for"):
        tasks.resume(deferred, method, arguments)


# --- the rest --------------------------------------------------------------------------------------------


def test_a_killed_task_says_what_becomes_of_its_edit(played: Any, tasks: Any, logs: list[str]) -> None:
    running: list[PhotoEditOperator] = []

    class Killed(PhotoEditOperator):
        def execute(self, context: Any) -> Any:
            running.append(self)
            return super().execute(context)

    def kill() -> None:
        running[0].on_kill()

    played.reply(200, ACCEPTED, meanwhile=kill)
    played.status("SUCCESS", "https://cdn.example/a.png", meanwhile=kill)
    tasks.start(Killed(task_id="edit", prompt=PROMPT, image_urls=URL, poll_interval=0.1))
    while_submitting, while_waiting = [line for line in logs if "told to end" in line]
    assert while_submitting.startswith("warning: the task is told to end while it submits. nobody knows")
    assert while_waiting.startswith("warning: the task is told to end. edit edit_1 goes on at Aluo, where")
    assert while_waiting.endswith(
        "may cost 40 credits; clear this task to go on with it, if it still asks for the same"
    )


@pytest.mark.parametrize(
    ("images", "name"),
    [
        ({"image_urls": [URL]}, "a%20cup.png"),
        ({"image_urls": URL}, "a%20cup.png"),
        ({"image_urls": (URL, "https://x.example/b.png")}, "a%20cup.png"),
        ({"image_urls": "['https://x.example/b.png', 'https://x.example/c.png']"}, "b.png"),
        ({"image_urls": '["https://x.example/b.png"]'}, "b.png"),
        ({"image_urls": "https://x.example/folder/"}, "folder"),
        ({"image_files": PHOTO}, "coffee.jpg"),
        ({"image_files": [PHOTO]}, "coffee.jpg"),
        ({"image_files": "coffee.jpg"}, "coffee.jpg"),
        ({"image_urls": "None", "image_files": [PHOTO]}, "coffee.jpg"),
        ({"image_urls": "None"}, ""),
    ],
)
def test_a_mapped_edit_is_named_by_its_first_photo(images: dict[str, Any], name: str) -> None:
    task = edit(image_urls=URL)
    for parameter in ("image_urls", "image_files"):
        setattr(task, parameter, images.get(parameter))
    assert task.photo_name == name


@pytest.mark.parametrize("mapped", [False, True])
def test_edits_are_named_by_their_photo_unless_the_dag_names_them(*, mapped: bool) -> None:
    def template(**own: Any) -> str | None:
        with DAG("a_dag", schedule=None):
            if not mapped:
                return edit(image_urls=URL, **own).map_index_template
            partial = PhotoEditOperator.partial(task_id="edit", image_urls=URL, **own)
            return partial.expand(prompt=[PROMPT]).map_index_template

    assert template() == "{{ task.photo_name }}"
    assert template(map_index_template="{{ task.prompt }}") == "{{ task.prompt }}"
    assert template(map_index_template=None) == "{{ task.photo_name }}"
    assert template(default_args={"map_index_template": "{{ task.prompt }}"}) == "{{ task.prompt }}"


def test_a_decorated_task_and_the_operator_live_in_one_dag(sandbox: Any) -> None:
    with DAG("a_dag", schedule=None) as dag:

        @task
        def photos() -> list[str]:
            return [sandbox.photo]

        edit(image_urls=photos())
    assert isinstance(dag.get_task("edit"), BaseOperator)
    assert dag.get_task("edit").upstream_task_ids == {"photos"}


@pytest.mark.parametrize("name", ["notes.txt", "notes.jinja"])
def test_only_the_prompt_may_name_a_templates_file(
    tasks: Any, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    tmp_path = tmp_path_factory.mktemp("p")  # messages cut long names
    (tmp_path / "blue.jinja").write_text("Change the {{ params.what }} to blue")
    (tmp_path / name).write_text("no picture")
    with DAG("a_dag", schedule=None, template_searchpath=str(tmp_path)):
        task = PhotoEditOperator(task_id="edit", prompt="blue.jinja", image_files=[str(tmp_path / name)])
    task.resolve_template_files()
    task.render_template_fields(tasks.context(task, what="cup"))
    assert task.prompt == "Change the cup to blue"
    assert task.image_files == [str(tmp_path / name)]
    with pytest.raises(AluoRequestInvalid, match=rf"image_files\[0\]: .*{name}.*not a picture"):
        load_photos(task.image_files)
