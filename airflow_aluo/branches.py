"""Which tasks directly after a review run, and which are skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow_aluo.airflow_names import DownstreamTasksSkipped
from airflow_aluo.protocol import review
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow_aluo.protocol.decision import Decision

_NOT_ITS_OWN: Final = " (of its mapped task group, for others belong to all instances)"


class Branches:
    """The tasks directly after a review, and for which decision each is meant.

    :param task: the review, as it runs.
    :param ti: its instance.
    :param given: task ids by decision, as the DAG's author wrote them; ``None`` for none.
    :raises AluoRequestInvalid: an id is none of a task directly after the review.
    """

    def __init__(self, task: Any, ti: Any, given: Mapping[str, Any] | None) -> None:
        self.is_mapped = ti.map_index is not None and ti.map_index >= 0
        after = [one for one in task.get_direct_relatives(upstream=False) if not one.is_teardown]
        if self.is_mapped:
            group = task.get_closest_mapped_task_group()
            after = [one for one in after if group and one.get_closest_mapped_task_group() is group]
        #: Those that this instance may skip, by id.
        self.after: dict[str, Any] = {one.task_id: one for one in after}
        self._ids = None if given is None else self._resolved(task, review.branches(given))

    def skipped(self, taken: Collection[Decision]) -> list[Any]:
        """Return the tasks that are not to run after these decisions, in order of their ids."""
        if self._ids is None:
            return [] if "approved" in taken else [self.after[one] for one in sorted(self.after)]
        run = {one for key, ids in self._ids.items() if review.BRANCHES[key] in taken for one in ids}
        # What comes after a task that runs, too, is left to its trigger rule, as Airflow's branches do.
        run |= {later for one in run for later in self.after[one].get_flat_relative_ids(upstream=False)}
        return [self.after[one] for one in sorted({one for ids in self._ids.values() for one in ids} - run)]

    def _resolved(self, task: Any, given: Mapping[str, tuple[str, ...]]) -> dict[str, set[str]]:
        """Return the ids of each branch's tasks, with a task group's first tasks in its place."""
        groups = task.dag.task_group_dict
        found, problems = {}, []
        expected = (
            f"a task directly after {task.task_id!r}: {', '.join(sorted(self.after)) or 'there is none'}"
        )
        expected += _NOT_ITS_OWN if self.is_mapped else ""
        for key, ids in given.items():
            tasks = [one for name in ids for one in (_roots(groups[name]) if name in groups else [name])]
            strangers = [one for one in tasks if one not in self.after]
            problems += [Problem(f"branches[{key!r}]", shown(one), expected) for one in strangers]
            found[key] = set(tasks)
        if problems:
            raise AluoRequestInvalid("review", problems)
        return found


def skip_in_group(ti: Any, task_ids: Sequence[str], result: Any) -> NoReturn:
    """Skip tasks of this instance of a mapped task group, at once.

    Airflow 3.3.2 looks in the wrong place for the XCom that says so: it takes such a task for unmapped.

    :param result: what the task returns; it would be lost.
    """
    if result is not None:
        ti.xcom_push(key="return_value", value=result)
    skipped = [(task_id, ti.map_index) for task_id in task_ids]
    raise DownstreamTasksSkipped(tasks=skipped)  # type: ignore[no-untyped-call]  # Airflow's


def _roots(group: Any) -> list[str]:
    return [task.task_id for task in group.roots]
