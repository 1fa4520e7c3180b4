"""Task instances that tell of edits, read from Airflow's database by one query, however many there are.

Only what our operators told is read, never what other people's tasks returned. Plain columns: to make
Airflow's objects of them would take longer than all the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from sqlalchemy import Text, and_, cast, exists, literal, or_, select, union
from sqlalchemy.orm import aliased

from airflow_aluo.announced import REVIEWED, SUBMITTED
from airflow_aluo.gallery import LINK
from airflow_aluo.ui.edits import ACTIVE, OPERATORS
from airflow_aluo.ui.told import Instance

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

try:
    from airflow.models.hitl import HITLDetail
except ImportError:  # pragma: no cover  # an Airflow without approvals
    HITLDetail = None  # type: ignore[assignment,misc]

#: Most runs that are shown together, and most task instances of them.
MOST_RUNS: Final = 25
MOST_OF_RUNS: Final = 10_000
#: Most task instances of one run that are shown.
MOST_OF_A_RUN: Final = 30_000


@dataclass(frozen=True, slots=True)
class Found:
    """Task instances of ours, the newest run first; those of a run follow each other."""

    instances: list[Instance]
    #: Older runs are left out.
    truncated: bool = False
    #: How many task instances of the only run are here, where it has more; else ``None``.
    cut: int | None = None


def of_run(dag_id: str, run_id: str) -> Found | None:
    """Return the task instances of a run, ``None`` where there is no such run."""
    with create_session(scoped=False) as session:
        there = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        if (number := session.scalar(there)) is None:
            return None
        return _found(session, DagRun.id == number, MOST_OF_A_RUN)


def of_dags(dag_ids: Collection[str]) -> Found:
    """Return the task instances of the newest runs of these DAGs that have edits."""
    with create_session(scoped=False) as session:
        numbers = session.scalars(_newest_runs(dag_ids).limit(MOST_RUNS + 1)).all()
        if not numbers:
            return Found([])
        found = _found(session, DagRun.id.in_(numbers[:MOST_RUNS]), MOST_OF_RUNS)
        older = len(numbers) > (MOST_RUNS if found.cut is None else 1)
        return replace(found, truncated=found.truncated or older)


def of_instance(dag_id: str, run_id: str, task_id: str, map_index: int) -> Instance | None:
    """Return a task instance, ``None`` where there is none of ours."""
    this = (
        DagRun.dag_id == dag_id,
        DagRun.run_id == run_id,
        TaskInstance.task_id == task_id,
        TaskInstance.map_index == map_index,
    )
    with create_session(scoped=False) as session:
        found = _found(session, and_(*this), 1)
    return found.instances[0] if found.instances else None


def dags_with_edits(dag_ids: Collection[str]) -> list[str]:
    """Return those of these DAGs that have edits."""
    with create_session(scoped=False) as session:
        found = select(DagRun.dag_id).where(DagRun.id.in_(_marked(dag_ids))).distinct()
        return list(session.scalars(found))


def _newest_runs(dag_ids: Collection[str]) -> Select[Any]:
    runs = select(DagRun.id).where(DagRun.id.in_(_marked(dag_ids)))
    return runs.order_by(DagRun.run_after.desc(), DagRun.id.desc())


def _marked(dag_ids: Collection[str]) -> Any:
    """Select the runs that have edits: by the link, or by what is going on. Both have an index.

    An operator of a user's own is known by its link, which Airflow keeps once a try has ended or waits.
    """
    marked = select(XComModel.dag_run_id.label("run")).where(
        XComModel.key == LINK, XComModel.dag_id.in_(dag_ids)
    )
    going_on = (
        select(DagRun.id.label("run"))
        .join(TaskInstance, _of_this_run())
        .where(
            TaskInstance.state.in_(ACTIVE),
            TaskInstance.operator.in_(OPERATORS),
            TaskInstance.dag_id.in_(dag_ids),
        )
    )
    return select(union(marked, going_on).subquery().c.run)


def _found(session: Session, runs: ColumnElement[bool], most: int) -> Found:
    """Return our task instances of these runs, the newest run first; of several, whole ones only."""
    rows = session.execute(_instances(runs).limit(most + 1)).all()
    instances = [Instance._make(row) for row in rows[:most]]
    if len(rows) <= most:
        return Found(instances)
    left_out = Instance._make(rows[most]).run
    if whole := [one for one in instances if one.run != left_out]:
        return Found(whole, truncated=True)
    return Found(instances, cut=most)


def _instances(runs: ColumnElement[bool]) -> Select[Any]:
    returned, submitted, reviewed = (aliased(XComModel) for _ in range(3))
    columns: list[Any] = [  # in the order of Instance
        TaskInstance.dag_id,
        TaskInstance.run_id,
        DagRun.run_after,
        DagRun.state,
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.rendered_map_index,
        TaskInstance.operator,
        TaskInstance.state,
        TaskInstance.try_number,
        TaskInstance.start_date,
        TaskInstance.end_date,
        # As text: to make objects of all would take longer than the rest.
        cast(returned.value, Text).label("returned"),
        cast(submitted.value, Text).label("submitted"),
        cast(reviewed.value, Text).label("reviewed"),
        *_approval(),
    ]
    query = (
        select(*columns)
        .select_from(DagRun)
        .join(TaskInstance, _of_this_run())
        .outerjoin(returned, _told(returned, "return_value"))
        # What was submitted matters only until the task returns: half of the values need not be loaded.
        .outerjoin(submitted, and_(_told(submitted, SUBMITTED), returned.key.is_(None)))
        .outerjoin(reviewed, _told(reviewed, REVIEWED))
    )
    if HITLDetail is not None:
        query = query.outerjoin(HITLDetail, HITLDetail.ti_id == TaskInstance.id)
    marked = exists().where(
        XComModel.dag_run_id == DagRun.id,
        XComModel.task_id == TaskInstance.task_id,
        XComModel.map_index == TaskInstance.map_index,
        XComModel.key == LINK,
    )
    ours = or_(TaskInstance.operator.in_(OPERATORS), marked)
    # Not by task as well: SQLite would then read all runs of the DAG, for an index that has this order.
    newest_first = DagRun.run_after.desc(), DagRun.id.desc()
    found: Select[Any] = query.where(runs, ours).order_by(*newest_first)
    return found


def _approval() -> list[ColumnElement[Any]]:
    names = ("subject", "options", "multiple", "params", "responded_at", "responded_by", "chosen_options")
    if HITLDetail is None:  # pragma: no cover  # an Airflow without approvals
        return [literal(None).label(name) for name in names]
    return [getattr(HITLDetail, name) for name in names]


def _of_this_run() -> ColumnElement[bool]:
    return and_(TaskInstance.dag_id == DagRun.dag_id, TaskInstance.run_id == DagRun.run_id)


def _told(xcom: Any, key: str) -> ColumnElement[bool]:
    """Join a task instance's XCom, by its primary key."""
    return and_(
        xcom.dag_run_id == DagRun.id,
        xcom.task_id == TaskInstance.task_id,
        xcom.map_index == TaskInstance.map_index,
        xcom.key == key,
    )
