"""What Airflow asks a person, held against what it should ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.standard.operators.hitl import HITLOperator

_KEPT: Final = (
    "Airflow goes on asking what it asked before this task was cleared or retried, "
    "so start a new run for another question; or, where it is not mapped, delete this task instance and set "
    "its run to queued, both by Airflow's API, which pays nothing anew"
)


def put(task: HITLOperator, ti_id: Any, mark: str) -> None:
    """Put a task's question, and make sure that Airflow asks it, and not what the task asked before.

    Airflow 3.3.2 keeps a question when the task is retried or cleared, and leaves it as it was, whatever is
    asked then: it goes on approving what nobody answers in time, and asking those people. The same question
    is simply asked again.

    :param mark: tells by the text's end what the question is about.
    :raises AluoRequestInvalid: people would be asked about other edits, or other people, or nobody's answer
        would mean something else.
    """
    from airflow.sdk.execution_time import task_runner
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload

    people: Any = task.assigned_users or []
    question = CreateHITLDetailPayload(
        ti_id=ti_id,
        options=task.options,
        subject=task.subject,
        body=task.body,
        defaults=task.defaults,
        multiple=task.multiple,
        params=task.serialized_params,
        assigned_users=people,
    )
    kept: Any = task_runner.SUPERVISOR_COMMS.send(msg=question)
    if getattr(kept, "options", None) is None:  # it does not say
        return
    asked, wanted = _essence(kept), _essence(question)
    problems = [
        Problem(name, shown(asked[name]), f"{shown(value)}; {_KEPT}")
        for name, value in wanted.items()
        if asked[name] != value
    ]
    if not (kept.body or "").endswith(mark):
        expected = f"those that came to this task now; {_KEPT}"
        problems.append(Problem("edits", "others are asked about", expected))
    if problems:
        raise AluoRequestInvalid("review", problems)
    if (kept.subject, kept.body) != (task.subject, task.body):
        task.log.warning("Airflow goes on showing the text that it showed before this task was cleared")


def _essence(question: Any) -> dict[str, Any]:
    """Return what makes an answer mean what it means."""
    return {
        "options": list(question.options),
        "prompt": _prefilled(question.params),
        "defaults (on_timeout)": question.defaults and list(question.defaults),
        "multiple": bool(question.multiple),
        "assigned_users": sorted(one.id for one in question.assigned_users or []),
    }


def _prefilled(params: Mapping[str, Any] | None) -> Any:
    """Return what stands in the form's field."""
    field = (params or {}).get("prompt")
    return field.get("value") if isinstance(field, dict) else field  # Airflow 3.1.0 keeps the bare value
