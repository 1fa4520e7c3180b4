"""The operator that asks a person: what it asks, what it makes of the answer, what it never does."""

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.standard.exceptions import HITLTimeoutError, HITLTriggerEventError
from airflow.sdk import DAG
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CreateHITLDetailPayload, HITLDetailRequestResult

from airflow_aluo.airflow_names import AirflowFailException
from airflow_aluo.batch.results import returned
from airflow_aluo.operators.photo_edit import PhotoEditOperator
from airflow_aluo.operators.photo_publish import PhotoPublishOperator
from airflow_aluo.operators.photo_review import PhotoReviewOperator
from airflow_aluo.protocol import photo_edit, record
from airflow_aluo.protocol.errors import AluoEditFailed, AluoRequestInvalid
from airflow_aluo.protocol.schemas import schema
from tests.which_airflow import TaskAwaitingInput

RECORD = schema("edit_record")["examples"][0]
ANNA = {"id": "7", "name": "anna"}
AT = datetime(2026, 11, 29, 17, tzinfo=UTC)


def edit(number: int = 1, prompt: str = "Blue", **more: Any) -> Any:
    urls = [f"https://x.example/photo{number}.jpg"]
    request = RECORD["request"] | {"prompt": prompt, "image_urls": urls}
    return RECORD | {"aluo_task_id": f"edit_{number}", "request": request} | more


class Supervisor:
    """Stands between a task and Airflow's API server: keeps questions as that does."""

    def __init__(self) -> None:
        self.asked: list[CreateHITLDetailPayload] = []

    def send(self, msg: CreateHITLDetailPayload) -> HITLDetailRequestResult:
        self.asked.append(msg)
        kept = self.asked[0].model_dump(exclude={"type"})  # it goes on asking what was asked first
        return HITLDetailRequestResult(**kept)

    @property
    def question(self) -> CreateHITLDetailPayload:
        return self.asked[-1]


class Asked:
    """Runs reviews as Airflow does: asks in one process, goes on with the answer in another."""

    def __init__(self, tasks: Any, supervisor: Supervisor) -> None:
        self.tasks, self.supervisor = tasks, supervisor
        self.tasks.ti.id = uuid.uuid4()

    def ask(self, make: Callable[[], Any], **params: Any) -> CreateHITLDetailPayload:
        with pytest.raises(TaskAwaitingInput) as waiting:
            self.tasks.start(make(), **params)
        assert waiting.value.method_name == "execute_complete"
        return self.supervisor.question

    def answer(
        self, make: Callable[[], Any], *chosen: str, prompt: Any = None, by: Any = ANNA, **more: Any
    ) -> Any:
        event = {
            "chosen_options": list(chosen),
            "params_input": {} if prompt is None else {"prompt": prompt},
            "responded_at": AT,
            "responded_by_user": by,
            "timedout": by is None,
        }
        task = make().prepare_for_execution()
        task.render_template_fields(self.tasks.context(task))
        return self.tasks.resume(task, "execute_complete", {"event": event | more})

    def xcom(self, key: str) -> Any:
        return self.tasks.ti.xcoms["review", key]


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    found = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", found, raising=False)
    return found


@pytest.fixture
def asked(tasks: Any, supervisor: Supervisor) -> Asked:
    return Asked(tasks, supervisor)


def review(edits: Any, **more: Any) -> Callable[[], PhotoReviewOperator]:
    """Return a function that makes the task as a process that parses its DAG does."""

    def make() -> PhotoReviewOperator:
        with DAG("a_dag", schedule=None):
            task = PhotoReviewOperator(task_id="review", edits="{{ edits }}", **more)
            publish = PhotoPublishOperator(task_id="publish", edits=RECORD, destination="/tmp")  # noqa: S108
            again = PhotoEditOperator(task_id="again", prompt="x", image_urls="https://x.example/a.png")
            task >> [publish, again]
        task.edits = edits
        return task

    return make


class LazySequence(Sequence[Any]):
    """Looks like the XComs of a mapped task: neither a list nor read before it is asked."""

    def __init__(self, *items: Any) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]


# --- what it asks ----------------------------------------------------------------------------------------


def test_a_person_is_shown_the_pictures_of_this_review_and_asked_for_a_decision(asked: Asked) -> None:
    question = asked.ask(review(edit()))
    assert (question.subject, question.options, question.multiple) == (
        "Approve photo1.jpg: Blue",
        ["Approve", "Redo", "Reject"],
        False,
    )
    where = "aluo/api/dags/a_dag/runs/a_run/tasks/review/-1/pictures/0"
    assert question.body is not None
    assert f"![before]({where}/before/0?size=large)" in question.body
    assert f"![after]({where}/after/0?size=large)" in question.body
    assert question.params is not None
    assert question.params["prompt"]["value"] == "Blue"
    assert question.params["prompt"]["description"] == "What a redo asks for."
    assert asked.xcom("reviewed") == [edit()]


def test_a_set_is_one_question_with_an_option_for_each_edit(asked: Asked) -> None:
    question = asked.ask(review([edit(1), edit(2, "Red")], assigned_users=[ANNA]))
    assert question.options == ["1: photo1.jpg", "2: photo2.jpg", "Redo the others", "Reject all"]
    assert (question.multiple, question.subject) == (True, "Approve 2 photo edits: photo1.jpg, photo2.jpg")
    assert question.params is not None
    assert question.params["prompt"]["value"] == ""
    assert question.assigned_users is not None
    assert [one.name for one in question.assigned_users] == ["anna"]


def test_headline_and_introduction_are_templates(asked: Asked) -> None:
    make = review(edit(), subject="Of {{ ds }}", body="For **{{ params.shop }}**")
    question = asked.ask(make, shop="us")
    assert question.subject == "Of 2026-11-22"
    assert str(question.body).startswith("For **us**\n\nBlue\n\n|")


def test_an_introduction_that_grew_too_long_is_an_error_before_anybody_is_asked(asked: Asked) -> None:
    make = review(edit(), body="{{ 'a' * 20001 }}")
    with pytest.raises(AirflowFailException, match="body: 20,001 bytes; expected at most 20,000"):
        asked.tasks.start(make())
    assert asked.supervisor.asked == []


def test_a_prompt_of_a_dags_own_is_not_hidden_by_the_form(asked: Asked) -> None:
    with DAG("a_dag", schedule=None, params={"prompt": "of the DAG"}):
        task = PhotoReviewOperator(task_id="review", edits=edit())
    question = asked.ask(lambda: task)
    assert question.params is not None
    assert list(question.params) == ["prompt"]
    assert question.params["prompt"]["value"] == "Blue"


@pytest.mark.parametrize(
    "many",
    [
        list,
        tuple,
        lambda items: LazySequence(*items),
        lambda items: LazySequence(*([one] for one in items)),
        json.dumps,
        str,
    ],
    ids=["list", "tuple", "mapped", "mapped-lists", "json", "python"],
)
def test_edits_come_in_every_shape_that_other_tasks_return(asked: Asked, many: Any) -> None:
    asked.ask(review(many([edit(1), edit(2)])))
    assert asked.xcom("reviewed") == [edit(1), edit(2)]


def test_pictures_that_were_no_edit_of_ours_can_be_approved_but_not_redone(asked: Asked) -> None:
    assert asked.ask(review(record.of_urls(["https://x.example/a.png"]))).options == ["Approve", "Reject"]


def test_references_to_a_batchs_results_are_read(asked: Asked, tmp_path: Any) -> None:
    many = [edit(number) for number in range(40)]
    parts = returned(many * 3, results_path=str(tmp_path), destination=None, name="a.jsonl", log=None).value
    assert len(parts) == 2
    asked.ask(review(parts[1]))
    assert len(asked.xcom("reviewed")) == 20


def failed(number: int) -> Any:
    error = AluoEditFailed("it ended", aluo_task_id=f"edit_{number}")
    return record.failed(edit(number, files=[], result_urls=[]), error, at=0.0)


def test_edits_that_failed_are_left_out(asked: Asked, logs: list[str]) -> None:
    question = asked.ask(review([failed(1), edit(2), edit(3)]))
    assert question.options[:2] == ["1: photo2.jpg", "2: photo3.jpg"]
    (warning,) = [line for line in logs if line.startswith("warning")]
    assert "edit_1" in warning
    assert "it ended" in warning


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([edit(1)] * 51, "51 edits; expected 1 to 50.*map the review over the edits, or split them"),
        ([], "0 edits; expected 1 to 50"),
        ([failed(1)], "edit_1.*it ended.*expected an edit that succeeded"),
        (edit(files=[], result_urls=[], status="SUBMITTED"), "edit_1 is SUBMITTED; expected finished edits"),
        ("https://x.example/a.png", "as another Aluo task returned it"),
        (None, "nothing came"),
        ("None", "nothing came"),
    ],
)
def test_what_cannot_be_judged_is_an_error_before_anybody_is_asked(
    asked: Asked, given: Any, said: str
) -> None:
    with pytest.raises(AirflowFailException, match=said):
        asked.tasks.start(review(given)())
    assert asked.supervisor.asked == []


def test_the_task_that_sent_nothing_is_named(asked: Asked) -> None:
    with DAG("a_dag", schedule=None):
        made = PhotoEditOperator(task_id="edit", prompt="Blue", image_urls="https://x.example/a.png")
        task = PhotoReviewOperator(task_id="review", edits=made.output)
    with pytest.raises(
        AirflowFailException, match="an edit record from task 'edit'; was it marked as success"
    ):
        asked.tasks.start(task)


# --- what it makes of the answer -------------------------------------------------------------------------


def test_an_approved_record_is_returned_as_it_came_with_who_approved_it(asked: Asked) -> None:
    make = review(edit(), branches={})
    asked.ask(make)
    said = {"decision": "approved", "by": "anna", "at": "2026-11-29T17:00:00+00:00", "prompt": None}
    assert asked.answer(make, "Approve", prompt="Blue") == edit() | {"review": said}
    assert asked.xcom("redo") == asked.xcom("rejected") == []
    assert asked.xcom("prompt") is None
    assert asked.xcom("reviewed") == [edit() | {"review": said}]


def test_a_list_of_one_gives_a_list_back(asked: Asked) -> None:
    make = review([edit()], branches={})
    assert asked.ask(make).options == ["Approve", "Redo", "Reject"]
    assert [one["aluo_task_id"] for one in asked.answer(make, "Approve")] == ["edit_1"]
    assert asked.answer(make, "Reject") == []


def test_what_is_to_be_redone_is_ready_for_the_next_edit(asked: Asked) -> None:
    make = review(edit(), branches={})
    asked.ask(make)
    assert asked.answer(make, "Redo", prompt="Green {{ 1 }}") is None
    (wanted,) = asked.xcom("redo")
    assert photo_edit.read(wanted).to_json() == edit()["request"] | {"prompt": "Green {{ 1 }}"}
    assert asked.xcom("prompt") == "Green {{ 1 }}"


def test_of_a_set_some_are_approved_and_the_others_redone(asked: Asked, logs: list[str]) -> None:
    make = review([edit(1), edit(2), edit(3)], branches={})
    asked.ask(make)
    result = asked.answer(make, "2: photo2.jpg", "Redo the others", prompt="")
    assert [one["aluo_task_id"] for one in result] == ["edit_2"]
    assert [one["image_urls"] for one in asked.xcom("redo")] == [
        ["https://x.example/photo1.jpg"],
        ["https://x.example/photo3.jpg"],
    ]
    assert "info: anna approved 1 of 3 edits; 2 are to be redone, 0 were rejected" in logs


def test_a_contradiction_is_said_and_approves_nothing(asked: Asked, logs: list[str]) -> None:
    make = review([edit(1), edit(2)], branches={})
    asked.ask(make)
    assert asked.answer(make, "1: photo1.jpg", "Reject all") == []
    assert len(asked.xcom("rejected")) == 2
    assert [line for line in logs if line.startswith("warning")]


def test_what_the_person_saw_is_decided_whatever_has_been_returned_since(asked: Asked) -> None:
    asked.ask(review(edit(1)))
    result = asked.answer(review(edit(2)), "Approve")
    assert result["aluo_task_id"] == "edit_1"


def test_where_what_the_person_saw_is_gone_nothing_else_is_approved_in_its_place(asked: Asked) -> None:
    make = review(edit(1))
    asked.ask(make)
    del asked.tasks.ti.xcoms["review", "reviewed"]
    with pytest.raises(AirflowFailException, match=r"nothing was decided: XCom 'reviewed'.*clear this task"):
        asked.answer(make, "Approve")
    assert ("review", "rejected") not in asked.tasks.ti.xcoms


@pytest.mark.parametrize(
    ("on_timeout", "given", "defaults", "approved"),
    [
        ("approve", [edit(1), edit(2)], ["1: photo1.jpg", "2: photo2.jpg"], 2),
        ("reject", [edit(1), edit(2)], ["Reject all"], 0),
        ("approve", [edit(1)], ["Approve"], 1),
        ("reject", [edit(1)], ["Reject"], 0),
    ],
)
def test_when_the_time_is_over_that_holds_which_was_said(
    asked: Asked, on_timeout: Any, given: Any, defaults: list[str], approved: int
) -> None:
    make = review(given, on_timeout=on_timeout, response_timeout=timedelta(hours=1), branches={})
    assert asked.ask(make).defaults == defaults
    result = asked.answer(make, *defaults, prompt="Blue", by=None)
    assert len(result) == approved
    assert {one["review"]["by"] for one in asked.xcom("reviewed")} == {None}


def test_without_a_word_on_it_the_task_fails_when_the_time_is_over(asked: Asked) -> None:
    make = review(edit(), response_timeout=timedelta(hours=1))
    assert asked.ask(make).defaults is None
    with pytest.raises(
        AirflowFailException, match=r"nobody answered within 1:00:00.*clear this task"
    ) as ended:
        asked.answer(make, error="The timeout has passed", error_type="timeout")
    assert isinstance(ended.value.__cause__, HITLTimeoutError)


def test_another_error_of_airflows_is_left_to_the_retries(asked: Asked) -> None:
    make = review(edit())
    asked.ask(make)
    with pytest.raises(HITLTriggerEventError):
        asked.answer(make, error="no", error_type="unknown")


# --- branches --------------------------------------------------------------------------------------------

BOTH: Mapping[str, Any] = {"approve": "publish", "redo": ["again"]}


def skipped(asked: Asked) -> list[str]:
    found: Any = asked.tasks.ti.xcoms.get(("review", "skipmixin_key"), {"skipped": []})
    return sorted(found["skipped"])


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["1: photo1.jpg"], ["again"]),
        (["Redo the others"], ["publish"]),
        (["1: photo1.jpg", "Redo the others"], []),
        (["Reject all"], ["again", "publish"]),
    ],
)
def test_tasks_of_decisions_that_nobody_took_are_skipped_and_the_result_is_returned_all_the_same(
    asked: Asked, chosen: list[str], expected: list[str]
) -> None:
    make = review([edit(1), edit(2)], branches=BOTH)
    asked.ask(make)
    assert len(asked.answer(make, *chosen)) == sum(one.startswith("1") for one in chosen)
    assert skipped(asked) == expected


@pytest.mark.parametrize(("chosen", "expected"), [("Approve", []), ("Redo", ["again", "publish"])])
def test_without_branches_what_follows_is_skipped_where_nothing_was_approved(
    asked: Asked, chosen: str, expected: list[str]
) -> None:
    make = review(edit())
    asked.ask(make)
    asked.answer(make, chosen)
    assert skipped(asked) == expected


def test_a_branch_to_a_task_that_does_not_follow_fails_before_anybody_is_asked(asked: Asked) -> None:
    with pytest.raises(
        AirflowFailException, match=r"branches\['redo'\]: 'agian'.*after 'review': again, publish"
    ):
        asked.tasks.start(review(edit(), branches={"redo": "agian"})())
    assert asked.supervisor.asked == []


# --- tries and clears ------------------------------------------------------------------------------------


def test_a_retry_after_the_answer_does_not_ask_again(asked: Asked) -> None:
    make = review(edit(), branches={})
    asked.ask(make)
    asked.answer(make, "Redo", prompt="Green")
    asked.tasks.next_try()
    assert asked.tasks.start(make()) is None
    assert len(asked.supervisor.asked) == 2
    assert asked.xcom("prompt") == "Green"
    assert asked.xcom("reviewed")[0]["review"]["by"] == "anna"


def test_a_clear_asks_again(asked: Asked) -> None:
    make = review(edit(), branches={})
    asked.ask(make)
    asked.answer(make, "Approve")
    asked.tasks.next_try(cleared=True)
    assert asked.ask(make).options == ["Approve", "Redo", "Reject"]


REPAINTED = edit(1, files=[RECORD["files"][0] | {"sha256": "0" * 64}])


def test_an_answer_is_never_taken_for_another_edit_of_the_same_photo(asked: Asked) -> None:
    asked.ask(review(edit(1)))
    asked.answer(review(edit(1)), "Approve")
    asked.tasks.next_try()
    with pytest.raises(AirflowFailException, match=r"edits: others are asked about.*so start a new run"):
        asked.tasks.start(review(REPAINTED)())


@pytest.mark.parametrize("cleared", [True, False])
@pytest.mark.parametrize(
    "other",
    [[edit(1), edit(2)], edit(1, "Red"), edit(1, aluo_task_id="edit_again"), REPAINTED],
    ids=["more", "prompt", "another-edit", "another-picture"],
)
def test_people_are_never_asked_about_edits_that_they_are_not_shown(
    asked: Asked, other: Any, *, cleared: bool
) -> None:
    asked.ask(review(edit(1)))
    asked.tasks.next_try(cleared=cleared)
    with pytest.raises(
        AirflowFailException, match="Airflow goes on asking what it asked before this task was cleared"
    ):
        asked.tasks.start(review(other)())


HOUR = {"response_timeout": timedelta(hours=1)}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"on_timeout": "approve", **HOUR}, {}, r"\['Approve'\]; expected None"),
        (
            {"on_timeout": "approve", **HOUR},
            {"on_timeout": "reject", **HOUR},
            r"\['Approve'\]; expected \['Reject'\]",
        ),
        ({"assigned_users": [ANNA]}, {}, r"assigned_users: \['7'\]; expected \[\]"),
    ],
)
def test_what_airflow_would_go_on_doing_against_the_dag_fails_a_cleared_task(
    asked: Asked, before: Any, now: Any, said: str
) -> None:
    asked.ask(review(edit(1), **before))
    asked.tasks.next_try(cleared=True)
    with pytest.raises(AirflowFailException, match=f"{said}; Airflow goes on asking"):
        asked.tasks.start(review(edit(1), **now)())


def test_a_text_that_airflow_does_not_change_is_said(asked: Asked, logs: list[str]) -> None:
    asked.ask(review(edit(1), body="The first"))
    asked.tasks.next_try(cleared=True)
    asked.ask(review(edit(1), body="The second"))
    assert [line for line in logs if "goes on showing the text" in line]


def test_where_nothing_is_remembered_a_retry_asks_again(
    asked: Asked, no_store: None, logs: list[str]
) -> None:
    assert no_store is None
    make = review(edit())
    asked.ask(make)
    asked.answer(make, "Approve")
    asked.tasks.next_try()
    asked.ask(make)
    assert [line for line in logs if "no task state store" in line]


def test_a_store_that_cannot_be_asked_does_not_lose_an_answer(asked: Asked, logs: list[str]) -> None:
    make = review(edit())

    def broken(_: str) -> None:
        raise OSError("gone")

    asked.tasks.store.before = broken
    asked.ask(make)
    assert asked.answer(make, "Approve")["aluo_task_id"] == "edit_1"
    assert len([line for line in logs if line.startswith("warning")]) == 2


# --- when the DAG is parsed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"options": ["Yes"]}, r"options: \['Yes'\]; expected nothing, for it follows from the edits"),
        ({"multiple": True}, "multiple: True"),
        ({"defaults": ["Approve"]}, "on_timeout says what holds"),
        ({"branches": {"approved": "x"}}, "the keys 'approve', 'redo', 'reject'"),
        ({"body": "a" * 20_001}, "body: 20,001 bytes; expected at most 20,000"),
        ({"on_timeout": "redo"}, "on_timeout: 'redo'; expected one of approve, reject"),
    ],
)
def test_a_wrong_argument_is_an_error_when_the_dag_is_parsed(wrong: Any, said: str) -> None:
    with pytest.raises(AluoRequestInvalid, match=said):
        PhotoReviewOperator(task_id="review", edits=edit(), **wrong)
    with pytest.raises(AluoRequestInvalid):
        PhotoReviewOperator.partial(task_id="review", **wrong)


def test_a_mapped_review_takes_no_branches() -> None:
    with pytest.raises(
        AluoRequestInvalid, match="a mapped review shares the tasks after it; map a task group"
    ):
        PhotoReviewOperator.partial(task_id="review", branches={"approve": "publish"})


def test_a_mapped_review_is_named_after_its_photo() -> None:
    with DAG("a_dag", schedule=None) as dag:
        PhotoReviewOperator.partial(task_id="review").expand(edits=[edit(1), edit(2)])
    assert dag.get_task("review").map_index_template == "{{ task.photo_name }}"
    assert review(edit(3))().photo_name == "photo3.jpg"
    assert review([edit(1)])().photo_name == review("nonsense")().photo_name == ""


# --- what is judged when the DAG is parsed ---------------------------------------------------------------


def test_what_holds_on_a_timeout_needs_a_timeout() -> None:
    with pytest.raises(AluoRequestInvalid, match="on_timeout: 'approve'; expected response_timeout, too"):
        PhotoReviewOperator(task_id="review", edits=edit(), on_timeout="approve")


@pytest.mark.parametrize("given", ["soon", -1, True])
def test_a_time_to_answer_that_is_none_is_refused_when_the_dag_is_parsed(given: Any) -> None:
    with pytest.raises(AluoRequestInvalid, match=r"response_timeout: .*expected seconds, 0 or more"):
        PhotoReviewOperator(task_id="review", edits=edit(), response_timeout=given)


def test_a_time_to_answer_may_be_seconds() -> None:
    made = PhotoReviewOperator(task_id="review", edits=edit(), response_timeout=30, on_timeout="reject")
    assert made.response_timeout == timedelta(seconds=30)
