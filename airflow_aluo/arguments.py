"""What the author of a DAG wrote, as far as it can be judged when the DAG is parsed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import shown

if TYPE_CHECKING:
    from collections.abc import Sequence


def seconds(parameter: str, value: Any) -> float:
    """Return a time in seconds; checked early, for after the submit it is too late.

    :raises AluoRequestInvalid: it is none, or has no end.
    """
    given = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(given, int | float) and 0 <= given < 1e9:  # noqa: PLR2004  # beyond it lies infinity
        return float(given)
    raise AluoRequestInvalid("photo edit", [Problem(parameter, shown(value), "seconds, 0 or more")])


def known_at_run_time(value: Any, *, template_ext: Sequence[str]) -> bool:
    """Tell whether a value is known only when the task runs: a template, a template's file, an XCom."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value or value.endswith(tuple(template_ext))
    return hasattr(value, "iter_references")
