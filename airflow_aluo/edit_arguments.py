"""What the author of a DAG wrote for an edit, judged when the DAG is parsed: as much of it as is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.arguments import (
    OnClear,
    OnUnknownOutcome,
    choice,
    count,
    known_at_run_time,
    seconds,
    seconds_or_none,
)
from airflow_aluo.protocol import photo_edit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: How the name of a file ends that holds a prompt.
TEMPLATE_EXT: Final = (".txt", ".jinja")

#: What can be judged of an argument by itself.
_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "timeout": seconds,
    "poll_interval": seconds_or_none,
    "tolerated_failures": count,
    "on_unknown_outcome": choice(OnUnknownOutcome),
    "on_clear": choice(OnClear),
}


def known_later(value: Any) -> bool:
    """Tell whether a value is known only when the task runs."""
    return known_at_run_time(value, template_ext=TEMPLATE_EXT)


def check_common(arguments: Mapping[str, Any]) -> None:
    """Check what several edits have in common; what else they need comes when each of them is made.

    :param arguments: any of the operator's.
    :raises AluoRequestInvalid: with what is wrong already.
    """
    for name, check in _CHECKS.items():
        if name in arguments:
            check(name, arguments[name])
    given = {name: arguments[name] for name in photo_edit.PARAMETERS if name in arguments}
    later = dict.fromkeys(("prompt", "image_urls", "image_files"), "{{ later }}")
    photo_edit.check_known(later | given, pending=known_later)
