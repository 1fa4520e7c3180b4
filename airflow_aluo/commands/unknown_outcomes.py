"""Finds edits with an unknown outcome in Airflow's metadata database."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow.models.renderedtifields import RenderedTaskInstanceFields as Rendered
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import TaskInstanceState
from sqlalchemy import and_, func, or_, select

from airflow_aluo.batch.remembered import HEAD, SHARD, shard_key
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.remembered import KEY, Entry, Stage
from airflow_aluo.protocol.schemas import validator

try:
    from airflow.models.task_state_store import TaskStateStoreModel as Store
except (
    ImportError
):  # pragma: no cover  # Airflow 3.1 and 3.2 have none: the command says so, and asks nothing
    Store = None  # type: ignore[assignment,misc]

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

#: What every entry with an intent holds, whatever blanks its JSON has; quotes in a text are escaped there.
_INTENT: Final = f'"{Stage.INTENT}"'
#: What Airflow stores in the place of a value that a state backend of the workers' keeps.
_ELSEWHERE: Final = "__airflow_state_ref__"
#: Rows that are fetched at a time: a hundred edits of a batch are up to 64 KB.
_AT_A_TIME: Final = 100

#: What names a task instance.
_TASK: Final = ("dag_id", "run_id", "task_id", "map_index")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownOutcome:
    """A task with edits of which nobody knows whether Aluo accepted them."""

    dag_id: str
    run_id: str
    task_id: str
    #: -1 for a task that is not mapped.
    map_index: int
    #: Airflow's state of the task instance, ``None`` where there is none.
    state: str | None
    #: How many such edits …
    edits: int
    #: … of how many: a batch has more than one.
    of: int
    #: When the first of them was about to be submitted: UTC, ISO 8601.
    submitted_at: str
    #: What was asked for, where that is one edit and Airflow still has the task's rendered fields.
    prompt: str | None
    #: A person was told, by the error with which the task failed.
    reported: bool
    #: The task runs, and so looks every submit until its answer is remembered.
    being_submitted: bool

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


@dataclass(slots=True)
class Found:
    """What a look at the database finds."""

    outcomes: list[UnknownOutcome]
    #: Values of ours that cannot be read here: a state backend of the workers' has them, or they are broken.
    unreadable: int


def find(session: Session, dag_id: str | None = None) -> Found:
    """Return the edits with an unknown outcome, the oldest first.

    :param dag_id: of this DAG only.
    """
    found = Found([], _kept_elsewhere(session, dag_id))
    _find_edits(session, dag_id, found)
    _find_batches(session, dag_id, found)
    found.outcomes.sort(key=lambda one: (one.submitted_at, one.run_id, one.task_id, one.map_index))
    return found


def _kept_elsewhere(session: Session, dag_id: str | None) -> int:
    ours = or_(Store.key == KEY, Store.key.startswith(HEAD, autoescape=True))
    where = (ours, Store.value.contains(_ELSEWHERE, autoescape=True), *_of(dag_id))
    return session.execute(select(func.count()).select_from(Store).where(*where)).scalar_one()


def _find_edits(session: Session, dag_id: str | None, found: Found) -> None:
    wanted = (
        _values(Rendered.rendered_fields)
        .outerjoin(Rendered, _same_task(Rendered))
        .where(Store.key == KEY, Store.value.contains(_INTENT, autoescape=True), *_of(dag_id))
    )
    for row in session.execute(wanted.execution_options(yield_per=_AT_A_TIME)):
        try:
            entry = Entry.from_json(_json(row.value))
        except AluoRequestInvalid:
            found.unreadable += 1
            continue
        # A person who marks the task success has decided.
        if entry.stage is Stage.INTENT and row.state != TaskInstanceState.SUCCESS:
            prompt = (row.rendered_fields or {}).get("prompt")
            one = _outcome(row, [entry.to_json()], of=1, prompt=prompt if isinstance(prompt, str) else None)
            found.outcomes.append(one)


def _find_batches(session: Session, dag_id: str | None, found: Found) -> None:
    heads, intents = _batches(session, dag_id, found), dict[tuple[Any, ...], list[dict[str, Any]]]()
    rows: dict[tuple[Any, ...], Any] = {}
    # A broken shard that names no intent is the task's own trouble.
    shards = Store.key.startswith(f"{HEAD}_", autoescape=True)
    wanted = _values().where(shards, Store.value.contains(_INTENT, autoescape=True), *_of(dag_id))
    for row in session.execute(wanted.execution_options(yield_per=_AT_A_TIME)):
        head = heads.get(task := _task(row))
        if head is None or row.key not in _valid(head):
            continue
        if (value := _of_batch(row.value)) is None:
            found.unreadable += 1
            continue
        rows[task] = row
        entries = value["entries"].values()
        intents.setdefault(task, []).extend(one for one in entries if one["stage"] == Stage.INTENT)
    for task, row in rows.items():
        # A batch may return what succeeded; else, a person who marks the task success has decided.
        if intents[task] and (row.state != TaskInstanceState.SUCCESS or heads[task]["returned"]):
            found.outcomes += _outcomes_of_batch(row, intents[task], heads[task]["edits"])


def _outcomes_of_batch(row: Any, intents: list[dict[str, Any]], of: int) -> list[UnknownOutcome]:
    """Return those that are unknown, and those that are being submitted: a running batch may have both."""
    if row.state != TaskInstanceState.RUNNING:
        return [_outcome(row, intents, of=of)]
    told = [one for one in intents if one.get("reported")]
    under_way = [one for one in intents if not one.get("reported")]
    return [_outcome(row, some, of=of) for some in (told, under_way) if some]


def _batches(session: Session, dag_id: str | None, found: Found) -> dict[tuple[Any, ...], Any]:
    heads = {}
    for row in session.execute(_values().where(Store.key == HEAD, *_of(dag_id))):
        if (value := _of_batch(row.value)) is None:
            found.unreadable += _ELSEWHERE not in row.value
        else:
            heads[_task(row)] = value
    return heads


def _outcome(
    row: Any, intents: list[dict[str, Any]], *, of: int, prompt: str | None = None
) -> UnknownOutcome:
    reported = all(one.get("reported") for one in intents)
    return UnknownOutcome(
        dag_id=row.dag_id,
        run_id=row.run_id,
        task_id=row.task_id,
        map_index=row.map_index,
        state=None if row.state is None else str(row.state),
        edits=len(intents),
        of=of,
        submitted_at=min(one["intended_at"] for one in intents),
        prompt=prompt,
        reported=reported,
        being_submitted=row.state == TaskInstanceState.RUNNING and not reported,
    )


def _values(*more: Any) -> Select[Any]:
    """Return the question for values of the store, each with the state of its task instance."""
    task = (getattr(Store, name) for name in _TASK)
    wanted = select(*task, Store.dag_run_id, Store.key, Store.value, TaskInstance.state, *more)
    return wanted.select_from(Store).outerjoin(TaskInstance, _same_task(TaskInstance))


def _same_task(model: Any) -> ColumnElement[bool]:
    return and_(*(getattr(model, name) == getattr(Store, name) for name in _TASK))


def _of(dag_id: str | None) -> list[ColumnElement[bool]]:
    return [] if dag_id is None else [Store.dag_id == dag_id]


def _task(row: Any) -> tuple[Any, ...]:
    return row.dag_run_id, row.task_id, row.map_index


def _valid(head: Mapping[str, Any]) -> set[str]:
    """Return the keys that hold a batch's edits now; others were left behind."""
    edits = head["edits"] + head.get("kept", 0)
    return {shard_key(head["generation"], shard) for shard in range(-(-edits // SHARD))}


def _of_batch(text: str) -> Any:
    """Return a value of a batch, ``None`` for anything else."""
    value = _json(text)
    return value if validator("stored_batch").is_valid(value) else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
