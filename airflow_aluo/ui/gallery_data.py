"""What the routes ask for: edits, records and approvals, without any of HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_aluo.ui import reading
from airflow_aluo.ui.answer import answer, filtered, in_scope
from airflow_aluo.ui.edits import of
from airflow_aluo.ui.pieces import Pieces
from airflow_aluo.ui.references import References, backend
from airflow_aluo.ui.remembered_edits import Lately
from airflow_aluo.ui.told import record_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from airflow_aluo.ui.answer import Asked
    from airflow_aluo.ui.edits import Edit, Edits
    from airflow_aluo.ui.told import Record

    #: Says of which of some DAGs the approvals may be read.
    Reviewers = Callable[[Iterable[str]], Collection[str]]


class Gallery:
    """Edits of Airflow's database. Whoever asks has the right to read them."""

    def __init__(self) -> None:
        self._pieces, self._lately = Pieces(), Lately()
        # A task instance tells two values at most, a review: what was reviewed, and what it returned.
        self._references = References(backend(), most_kept=2 * reading.MOST_OF_A_RUN)

    def of_run(self, dag_id: str, run_id: str, asked: Asked, reviewers: Reviewers) -> dict[str, Any] | None:
        """Return the answer for a run, ``None`` where there is no such run."""
        found = self._run(dag_id, run_id)
        return None if found is None else _answer(found, asked, reviewers, one_run=True)

    def of_dags(self, dag_ids: Collection[str], asked: Asked, reviewers: Reviewers) -> dict[str, Any]:
        """Return the answer for the newest runs of some DAGs."""
        found = self._lately.get(("dags", *sorted(dag_ids)), lambda: self._of(reading.of_dags(dag_ids)))
        return _answer(found, asked, reviewers, one_run=False)

    def edits(self, dag_id: str, run_id: str, asked: Asked) -> list[Edit] | None:
        """Return all edits of a run that were asked for, ``None`` where there is no such run."""
        found = self._run(dag_id, run_id)
        return None if found is None else filtered(in_scope(found, asked), asked)

    def record(self, dag_id: str, run_id: str, task_id: str, map_index: int, position: int) -> Record | None:
        """Return a record of exactly this task instance, ``None`` where there is none."""
        instance = reading.of_instance(dag_id, run_id, task_id, map_index)
        if instance is None:
            return None
        (instance,) = self._references.resolved([instance])
        return record_at(instance, position, self._pieces.reader())

    def _run(self, dag_id: str, run_id: str) -> Edits | None:
        def read() -> Edits | None:
            found = reading.of_run(dag_id, run_id)
            return None if found is None else self._of(found)

        return self._lately.get(("run", dag_id, run_id), read)

    def _of(self, found: reading.Found) -> Edits:
        instances = self._references.resolved(found.instances)
        return of(instances, self._pieces.reader(), truncated=found.truncated, cut=found.cut)


def _answer(found: Edits, asked: Asked, reviewers: Reviewers, *, one_run: bool) -> dict[str, Any]:
    asking = {one.dag_id for one in found.instances if one.subject is not None}
    allowed = reviewers(asking) if asking else ()
    return answer(found, asked, now=datetime.now(UTC), one_run=one_run, reviewers=allowed)
