"""What Airflow asks is what the task asks, whatever Airflow has kept."""

import uuid
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CreateHITLDetailPayload, HITLDetailRequestResult

from airflow_aluo import question
from airflow_aluo.protocol.errors import AluoRequestInvalid

MARK = "[edits]: #1"


def asks(
    *options: str, prompt: str = "Blue", body: str = "Look", mark: str = MARK, **more: Any
) -> HITLOperator:
    return HITLOperator(
        task_id="review",
        subject="Approve",
        options=list(options),
        params={"prompt": prompt},
        body=f"{body}\n\n{mark}",
        **more,
    )


class Supervisor:
    """Keeps what was asked first, as Airflow does; or answers with whatever a test says."""

    def __init__(self) -> None:
        self.sent: list[CreateHITLDetailPayload] = []
        self.answer: Any = None

    def send(self, msg: CreateHITLDetailPayload) -> Any:
        self.sent.append(msg)
        return self.answer or HITLDetailRequestResult(**self.sent[0].model_dump(exclude={"type"}))


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    found = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", found, raising=False)
    return found


def put(task: HITLOperator, mark: str = MARK) -> None:
    question.put(task, uuid.UUID(int=1), mark)


ANNA: Any = {"id": "7", "name": "anna"}
BERT: Any = {"id": "8", "name": "bert"}


def test_a_question_is_put_with_all_that_belongs_to_it(supervisor: Supervisor) -> None:
    put(asks("Yes", "No", defaults=["No"], multiple=True, assigned_users=[ANNA]))
    (sent,) = supervisor.sent
    assert (sent.ti_id, sent.subject, sent.body) == (uuid.UUID(int=1), "Approve", f"Look\n\n{MARK}")
    assert (sent.options, sent.defaults, sent.multiple) == (["Yes", "No"], ["No"], True)
    assert (sent.params or {})["prompt"]["value"] == "Blue"
    assert [(one.id, one.name) for one in sent.assigned_users or []] == [("7", "anna")]


def test_the_same_question_is_put_again_without_a_word(supervisor: Supervisor, logs: list[str]) -> None:
    for people in ([ANNA, BERT], [BERT, ANNA | {"name": "Anna B."}]):
        put(asks("Yes", "No", defaults="No", assigned_users=people))
    assert len(supervisor.sent) == 2
    assert logs == []


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"options": ["No"]}, r"options: \['Yes', 'No'\]; expected \['No'\]"),
        ({"prompt": "Red"}, "prompt: 'Blue'; expected 'Red'"),
        ({"defaults": None}, r"defaults \(on_timeout\): \['No'\]; expected None"),
        ({"defaults": "Yes"}, r"defaults \(on_timeout\): \['No'\]; expected \['Yes'\]"),
        ({"multiple": True}, "multiple: False; expected True"),
        ({"assigned_users": [BERT]}, r"assigned_users: \['7'\]; expected \['8'\]"),
        ({"assigned_users": None}, r"assigned_users: \['7'\]; expected \[\]"),
        ({"mark": "[edits]: #2"}, "edits: others are asked about; expected those that came to this task now"),
    ],
)
def test_another_question_in_its_place_is_an_error_that_says_what_to_do(
    supervisor: Supervisor, other: dict[str, Any], said: str
) -> None:
    usual: dict[str, Any] = {"defaults": "No", "assigned_users": [ANNA]}
    put(asks("Yes", "No", **usual))
    now = {"options": ["Yes", "No"], "mark": MARK} | usual | other
    with pytest.raises(AluoRequestInvalid, match=f"{said}; Airflow goes on asking.*so start a new run"):
        put(asks(*now.pop("options"), **now), now["mark"])
    assert len(supervisor.sent) == 2


def test_all_that_differs_is_told_at_once(supervisor: Supervisor) -> None:
    put(asks("Yes", "No", defaults="Yes"))
    with pytest.raises(AluoRequestInvalid) as refused:
        put(asks("Yes", "No", assigned_users=[ANNA], mark="[edits]: #2"), "[edits]: #2")
    assert [one.parameter for one in refused.value.problems] == [
        "defaults (on_timeout)",
        "assigned_users",
        "edits",
    ]
    assert len(supervisor.sent) == 2


def test_another_text_is_only_said(supervisor: Supervisor, logs: list[str]) -> None:
    put(asks("Yes", body="One"))
    assert logs == []
    put(asks("Yes", body="Two"))
    assert [one.body for one in supervisor.sent] == [f"One\n\n{MARK}", f"Two\n\n{MARK}"]
    assert logs == ["warning: Airflow goes on showing the text that it showed before this task was cleared"]


def test_an_airflow_that_does_not_say_what_it_asks_is_believed(
    supervisor: Supervisor, logs: list[str]
) -> None:
    supervisor.answer = object()
    put(asks("Yes"))
    put(asks("No"))
    assert [one.options for one in supervisor.sent] == [["Yes"], ["No"]]
    assert logs == []


def test_a_form_of_bare_values_is_compared_too(supervisor: Supervisor) -> None:
    put(asks("Yes"))
    kept = supervisor.sent[0].model_dump(exclude={"type", "params"})
    supervisor.answer = HITLDetailRequestResult(**kept, params={"prompt": "Red"})
    with pytest.raises(AluoRequestInvalid, match="prompt: 'Red'; expected 'Blue'"):
        put(asks("Yes"))
