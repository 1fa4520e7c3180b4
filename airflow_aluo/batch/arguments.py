"""What the author of a DAG wrote for a batch, judged when the DAG is parsed: as much of it as is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_aluo.arguments import (
    OnClear,
    OnUnknownOutcome,
    amount,
    choice,
    count,
    folder,
    known_at_run_time,
    positive,
    seconds,
    seconds_or_none,
    told_of,
)
from airflow_aluo.batch import asked
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OnPartialFailure = Literal["fail", "return"]

#: Parameters that hold for every edit that does not name them itself.
SHARED: Final = ("aspect_ratio", "output_format", "num_images")


def known_later(value: Any) -> bool:
    """Tell whether a value is known only when the task runs."""
    return known_at_run_time(value, template_ext=())


def check_common(arguments: Mapping[str, Any]) -> None:
    """Check what several batches have in common; what else they need comes when each of them is made.

    :param arguments: any of the operator's.
    :raises AluoRequestInvalid: with what is wrong already.
    """
    with told_of("batch of photo edits"):
        for name, check in _CHECKS.items():
            if name in arguments:
                check(name, arguments[name])
    given = {name: arguments.get(name, "{{ later }}") for name in ("edits", "photos", "prompts")}
    shared = {name: arguments.get(name) for name in SHARED}
    asked.check_known(given.pop("edits"), **given, shared=shared, pending=known_later)


def _of_many(parameter: str, value: Any) -> None:
    """Make sure that mapped tasks do not write their records over each other's."""
    if str(value).lower().endswith(".jsonl") and not known_later(value):
        expected = "a folder: each of the mapped tasks writes a file of its own"
        raise AluoRequestInvalid("batch of photo edits", [Problem(parameter, shown(str(value)), expected)])


#: What can be judged of an argument by itself.
_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "timeout": seconds,
    "poll_interval": seconds_or_none,
    "tolerated_failures": count,
    "max_in_flight": positive,
    "max_credits": amount,
    "max_bytes": positive,
    "on_unknown_outcome": choice(OnUnknownOutcome),
    "on_clear": choice(OnClear),
    "on_partial_failure": choice(OnPartialFailure),
    "results_path": _of_many,
    "destination": lambda name, value: None if value is None else folder(name, value),
}
