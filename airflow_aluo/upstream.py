"""Which tasks a parameter's value comes from, to name them when it does not come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.sdk import XComArg

from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import optional

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a parameter's value comes from."""

    parameter: str
    #: The tasks whose XComs it is made of; none where it was written into the DAG.
    task_ids: tuple[str, ...]

    @classmethod
    def of(cls, parameter: str, value: Any) -> Upstream:
        """Note what a parameter is made of, while that can still be seen: when the DAG is parsed."""
        references = XComArg.iter_xcom_references(value)
        return cls(parameter, tuple(sorted({operator.task_id for operator, _ in references})))

    def check(self, value: Any, upstream_task_ids: Collection[str] = ()) -> None:
        """Make sure that a value came.

        :param upstream_task_ids: of the task, for mapped ones, whose values do not tell where they come from.
        :raises AluoRequestInvalid: none did; names the tasks that should have sent it.
        """
        if optional(value) is not None:
            return
        task_ids = self.task_ids or tuple(sorted(upstream_task_ids))
        who = f"task {' and '.join(map(repr, task_ids))}"
        hint = (
            "was it marked as success by hand, or did it return nothing? Clear it to run it again; one that "
            "submits then submits, and pays, anew, unless it remembers its edit"
        )
        expected = f"an edit record from {who}; {hint}" if task_ids else "an edit record or an edit's id"
        raise AluoRequestInvalid("task", [Problem(self.parameter, "nothing came", expected)])
