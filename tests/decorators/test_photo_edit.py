"""``@task.photo_edit``: what its function may return, and when it is asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task

import airflow_aluo
from airflow_aluo.airflow_names import AirflowFailException
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.protocol.errors import AluoEditFailed, AluoRequestInvalid
from tests.which_airflow import DagSerialization, TaskDeferred

PHOTO = Path(airflow_aluo.__file__).parent / "sandbox" / "photos" / "coffee.jpg"
PROMPT = "Change the product color to blue"
URL = "https://photos.example/cup.png"
PICTURE = "https://cdn.example/a.png"
ACCEPTED = {"code": 0, "success": True, "data": {"taskId": "edit_1"}}


def edit_by(function: Any, *args: Any, **arguments: Any) -> Any:
    """Return the task that a decorated function makes in a DAG."""
    with DAG("a_dag", schedule=None):
        return task.photo_edit(**{"poll_interval": 0.1} | arguments)(function)(*args).operator


def returning(value: Any, **arguments: Any) -> Any:
    def describe() -> Any:
        return value

    return edit_by(describe, **arguments)


# --- what the function returns


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_a_function_returns_the_prompt(sandbox: Any, tasks: Any, *, deferrable: bool) -> None:
    found = tasks.run(returning(PROMPT, image_urls=sandbox.photo, deferrable=deferrable, poll_interval=0.3))
    assert (found["status"], found["request"]["prompt"]) == ("SUCCESS", PROMPT)
    assert len(tasks.left) == deferrable
    assert sandbox.accepted == 1


def test_a_dictionary_overrides_the_decorators_arguments(sandbox: Any, tasks: Any) -> None:
    said = {"prompt": PROMPT, "output_format": "webp", "num_images": 2}
    arguments = {"prompt": "Blue", "image_urls": sandbox.photo, "output_format": "png", "aspect_ratio": "1:1"}
    found = tasks.start(returning(said, wait_for_completion=False, **arguments))
    assert found["request"] == {
        "prompt": PROMPT,
        "image_urls": [sandbox.photo],
        "image_files": [],
        "aspect_ratio": "1:1",
        "output_format": "webp",
        "num_images": 2,
    }


def test_the_function_may_name_the_photos_and_the_decorator_the_prompt(sandbox: Any, tasks: Any) -> None:
    found = tasks.start(returning({"image_urls": [sandbox.photo]}, prompt=PROMPT, wait_for_completion=False))
    assert (found["request"]["prompt"], found["request"]["image_urls"]) == (PROMPT, [sandbox.photo])


@pytest.mark.usefixtures("sandbox")
def test_photos_of_one_kind_replace_the_decorators_of_the_other(tasks: Any) -> None:
    said = {"prompt": PROMPT, "image_files": [PHOTO]}
    found = tasks.start(returning(said, image_urls=URL, wait_for_completion=False))
    assert (found["request"]["image_urls"], found["request"]["image_files"]) == ([], [str(PHOTO)])


def test_the_function_may_return_the_record_of_an_earlier_edit(sandbox: Any, tasks: Any) -> None:
    first = tasks.run(PhotoEditOperator(task_id="first", prompt=PROMPT, image_urls=sandbox.photo))
    assert "{{" not in str(first)
    second = returning({"prompt": "Make it red", "image_urls": first}, wait_for_completion=False)
    assert tasks.start(second)["request"]["image_urls"] == first["result_urls"]


@pytest.mark.parametrize("returned", [None, "", " \n", "None", 17, True, {}, [], [PROMPT], b"Blue"])
def test_any_other_value_fails_at_once_and_names_the_function(
    sandbox: Any, tasks: Any, returned: Any
) -> None:
    with pytest.raises(AirflowFailException, match=r"what describe\(\) returned cannot be used") as caught:
        tasks.start(returning(returned, image_urls=sandbox.photo))
    assert isinstance(caught.value.__cause__, AluoRequestInvalid)
    (problem,) = caught.value.__cause__.problems
    assert problem.parameter == "describe()"
    assert "or a dictionary of prompt, image_urls, image_files" in problem.expected
    assert sandbox.calls == []


def test_an_unknown_parameter_lists_the_known_ones(sandbox: Any, tasks: Any) -> None:
    with pytest.raises(AirflowFailException, match=r"describe\(\) returned .*style: 'old'; expected one of"):
        tasks.start(returning({"prompt": PROMPT, "style": "old"}, image_urls=URL))
    assert sandbox.calls == []


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ({"aspect_ratio": "7:3", "prompt": PROMPT}, "aspect_ratio: '7:3'"),
        ({"aspect_ratio": "1:1"}, "prompt: ''; expected a sentence"),
        ({"prompt": None}, "prompt: ''; expected a sentence"),
        ({"image_urls": [], "prompt": PROMPT}, "no image given"),
    ],
)
def test_what_is_wrong_with_what_it_returned_fails_at_once_and_nothing_is_sent(
    sandbox: Any, tasks: Any, returned: Any, said: str
) -> None:
    images = {} if "image_urls" in returned else {"image_urls": URL}
    with pytest.raises(AirflowFailException, match=said):
        tasks.start(returning(returned, **images))
    assert sandbox.calls == []


def test_a_function_that_names_no_photo_where_the_decorator_does_not_either_says_so(tasks: Any) -> None:
    with pytest.raises(AirflowFailException, match="no image given"):
        tasks.start(returning(PROMPT))


def test_what_the_function_raises_is_left_to_the_tasks_retries(sandbox: Any, tasks: Any) -> None:
    def describe() -> str:
        raise OSError("the catalogue is gone")

    with pytest.raises(OSError, match="the catalogue is gone"):
        tasks.start(edit_by(describe, image_urls=sandbox.photo))
    assert sandbox.calls == []


# --- its arguments, and templates


def test_the_function_gets_its_arguments_rendered_and_what_it_names_of_the_context(
    sandbox: Any, tasks: Any
) -> None:
    def describe(colour: str, ds: str, params: dict[str, Any]) -> str:
        return f"Make the {params['what']} {colour} on {ds}"

    with DAG("a_dag", schedule=None):
        decorated = task.photo_edit(image_urls=sandbox.photo, wait_for_completion=False)(describe)
        one = decorated(colour="{{ params.colour }}").operator
    found = tasks.start(one, colour="blue", what="cup")
    assert found["request"]["prompt"] == "Make the cup blue on 2026-11-22"


def test_arguments_by_place_and_all_of_the_context_are_given(sandbox: Any, tasks: Any) -> None:
    def describe(params: str, **context: Any) -> str:
        return f"{params} on {context['ds']}"

    found = tasks.start(edit_by(describe, "Blue", image_urls=sandbox.photo, wait_for_completion=False))
    assert found["request"]["prompt"] == "Blue on 2026-11-22"


@pytest.mark.parametrize(
    ("returned", "prompt"),
    [
        ("Write {{ conn.aluo_default.password }}", "Write {{ conn.aluo_default.password }}"),
        ({"prompt": "Make it {{ params.colour }}"}, "Make it {{ params.colour }}"),
        ("Write what stands in notes.txt", "Write what stands in notes.txt"),
        ("notes.jinja", "notes.jinja"),
    ],
)
def test_returned_text_is_no_template_and_names_no_file(
    sandbox: Any, tasks: Any, returned: Any, prompt: str
) -> None:
    one = returning(returned, image_urls=[sandbox.photo], wait_for_completion=False)
    assert tasks.start(one, colour="blue")["request"]["prompt"] == prompt


def test_the_decorators_arguments_are_rendered_and_may_come_from_another_task(
    sandbox: Any, tasks: Any
) -> None:
    with DAG("a_dag", schedule=None):
        first = PhotoEditOperator(task_id="first", prompt=PROMPT, image_urls=sandbox.photo, poll_interval=0.1)

        @task.photo_edit(
            image_urls=first.output, output_format="{{ params.kind }}", wait_for_completion=False
        )
        def second(said: str) -> str:
            return said

        one = second("Make it red").operator
    assert one.upstream_task_ids == {"first"}
    tasks.ti.xcom_push("return_value", tasks.run(first))
    request = tasks.start(one, kind="webp")["request"]
    assert (request["image_urls"], request["output_format"]) == (
        tasks.ti.xcoms["first", "result_urls"],
        "webp",
    )


# --- when the function is asked


def counting(value: Any, seen: list[int]) -> Any:
    def describe() -> Any:
        seen.append(len(seen))
        return value() if callable(value) else value

    return describe


def test_the_function_runs_once_in_a_try_and_not_again_when_the_task_is_resumed(
    played: Any, tasks: Any
) -> None:
    seen: list[int] = []
    played.reply(200, ACCEPTED)
    played.status("SUCCESS", PICTURE)
    one = edit_by(counting({"prompt": PROMPT, "image_urls": URL}, seen), deferrable=True, poll_interval=0.3)
    with pytest.raises(TaskDeferred) as caught:
        tasks.start(one)
    event = {"event": tasks.event(caught.value)}
    resumed = one.prepare_for_execution()  # as another worker has it
    resumed.render_template_fields(tasks.context(resumed))
    found = tasks.resume(resumed, caught.value.method_name, event)
    assert (found["result_urls"], seen) == ([PICTURE], [0])
    assert (resumed.prompt, resumed.photo_name) == (PROMPT, "cup.png")


def test_a_retry_asks_again_and_goes_on_with_the_edit_if_it_hears_the_same(sandbox: Any, tasks: Any) -> None:
    seen: list[int] = []
    one = edit_by(counting(PROMPT, seen), image_urls=sandbox.photo)
    first = tasks.run(one)
    tasks.next_try()
    assert tasks.run(one)["aluo_task_id"] == first["aluo_task_id"]
    assert (len(seen), sandbox.accepted) == (2, 1)


def test_a_function_that_changes_its_mind_over_an_edit_under_way_pays_nothing_more(
    played: Any, tasks: Any
) -> None:
    seen: list[int] = []
    one = edit_by(counting(lambda: f"{PROMPT} {len(seen)}", seen), image_urls=URL)
    played.reply(200, ACCEPTED)
    played.status("WORKING")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.sleep", lambda _: (_ for _ in ()).throw(SystemExit(9)))  # the worker dies
        with pytest.raises(SystemExit):
            tasks.run(one)
    tasks.next_try()
    with pytest.raises(AirflowFailException, match="this try asks with another prompt"):
        tasks.run(one)
    assert [what for what, _ in played.requests].count("POST /photo-editor/generate") == 1


def test_an_edit_that_failed_is_asked_for_anew_with_what_the_function_says_then(
    sandbox: Any, tasks: Any
) -> None:
    seen: list[int] = []
    sandbox.fault("edit_fails", message="no subject found")
    one = edit_by(counting(lambda: f"{PROMPT} {len(seen)}", seen), image_urls=sandbox.photo)
    with pytest.raises(AluoEditFailed):
        tasks.run(one)
    tasks.next_try()
    assert tasks.run(one)["request"]["prompt"] == f"{PROMPT} 2"


# --- in a DAG


def test_airflow_finds_it_by_its_name_with_and_without_arguments() -> None:
    with DAG("a_dag", schedule=None):

        @task.photo_edit
        def bare() -> dict[str, Any]:
            """Say what to change."""
            return {"prompt": PROMPT, "image_urls": URL}

        @task.photo_edit(image_urls=URL, task_id="named", retries=3)
        def full() -> str:
            return PROMPT

        first, second = bare().operator, full().operator
    assert (first.task_id, first.doc_md) == ("bare", "Say what to change.")
    assert (second.task_id, second.retries) == ("named", 3)
    assert isinstance(first, PhotoEditOperator)


def test_the_edit_record_is_one_xcom_whatever_the_functions_annotation_says() -> None:
    def describe() -> dict[str, Any]:
        return {"prompt": PROMPT}

    assert not edit_by(describe, image_urls=URL).multiple_outputs
    assert edit_by(describe, image_urls=URL, multiple_outputs=True).multiple_outputs


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"aspect_ratio": "7:3"}, "aspect_ratio: '7:3'"),
        ({"image_urls": URL, "image_files": "a.png"}, "both given"),
        ({"image_files": "a.png", "num_images": 2}, "num_images: 2"),
        ({"timeout": "600"}, "timeout: '600'"),
        ({"on_clear": "nwe"}, "on_clear: 'nwe'"),
        ({"prompt": ""}, "prompt: ''"),
    ],
)
def test_what_is_wrong_in_the_decorator_is_said_when_the_dag_is_parsed(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(AluoRequestInvalid, match=said):

        @task.photo_edit(**wrong)
        def describe(colour: str) -> str:
            return colour


def mapped(**arguments: Any) -> Any:
    with DAG("a_dag", schedule=None):

        @task.photo_edit(wait_for_completion=False, **arguments)
        def paint(what: str, colour: str) -> str:
            return f"Make the {what} {colour}"

        return paint.partial(what="cup").expand(colour=["blue", "red"]).operator


def test_the_functions_arguments_can_be_mapped_over(sandbox: Any, tasks: Any) -> None:
    operator = mapped(image_urls=sandbox.photo, task_id="paint")
    for colour in ("blue", "red"):
        one = operator.unmap({"op_kwargs": {"colour": colour}})
        assert tasks.start(one)["request"]["prompt"] == f"Make the cup {colour}"
        tasks.store.values.clear()
    assert sandbox.accepted == 2


def test_a_mapped_edit_is_named_by_what_the_function_said(sandbox: Any, tasks: Any) -> None:
    operator = mapped(image_urls=sandbox.photo)
    assert operator.partial_kwargs["map_index_template"] == "{{ task.prompt_in_short }}"
    one = operator.unmap({"op_kwargs": {"colour": "blue"}})
    assert one.prompt_in_short == ""
    context = tasks.context(one)
    one._take(one._read(one._call(context)))
    assert one.prompt_in_short == "Make the cup blue"
    named = mapped(image_urls=URL, map_index_template="{{ task.photo_name }}")
    assert named.partial_kwargs["map_index_template"] == "{{ task.photo_name }}"


def test_it_survives_airflows_serialization_and_tells_no_function() -> None:
    with DAG("a_dag", schedule=None) as dag:

        @task.photo_edit(image_urls=URL)
        def describe() -> str:
            return PROMPT

        describe()
    stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
    again: Any = DagSerialization.from_dict(stored).get_task("describe")
    assert (again.task_type, again.operator_name) == ("_PhotoEditDecoratedOperator", "@task.photo_edit")
    assert again.prompt == "(what the function returns)"


@pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "triggerer"])
def test_an_edit_of_an_edit_names_the_photo_at_the_start(
    sandbox: Any, tasks: Any, *, deferrable: bool
) -> None:
    first = tasks.run(returning("Cut it out", image_urls=f"{sandbox.photo}?signature=secret"))
    said = {"prompt": PROMPT, "image_urls": first}
    second = tasks.run(returning(said, image_urls=URL, task_id="second", deferrable=deferrable))
    assert (second["source"], second["request"]["image_urls"]) == (sandbox.photo, first["result_urls"])
    third = tasks.run(returning(PROMPT, image_urls=second, task_id="third", deferrable=deferrable))
    assert third["source"] == sandbox.photo
