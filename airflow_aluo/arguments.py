"""What the author of a DAG wrote, as far as it can be judged when the DAG is parsed."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import optional, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: What to do where a file has a picture's name already.
IfExists = Literal["skip_identical", "overwrite", "skip", "fail"]
OnClear = Literal["auto", "reuse", "new"]
OnUnknownOutcome = Literal["fail", "resubmit"]


@contextmanager
def told_of(subject: str | None, unharmed: str = "nothing was sent") -> Iterator[None]:
    """Let what is wrong be told of who asks: the checks below know only of values.

    :param subject: what cannot be used; ``None`` to leave that as it is told.
    :param unharmed: what has therefore not been done.
    """
    try:
        yield
    except AluoRequestInvalid as error:
        told = AluoRequestInvalid(subject or error.subject, error.problems, unharmed=unharmed)
        raise told from error.__cause__


def seconds(parameter: str, value: Any) -> float:
    """Return a time in seconds; checked early, for after the submit it is too late.

    :raises AluoRequestInvalid: it is none, or has no end.
    """
    given = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < 1e9:  # noqa: PLR2004  # infinity
        return float(given)
    raise AluoRequestInvalid("photo edit", [Problem(parameter, shown(value), "seconds, 0 or more")])


def seconds_or_none(parameter: str, value: Any) -> float | None:
    """Return a time in seconds, ``None`` where none is given. Raises what :func:`seconds` raises."""
    return None if value is None else seconds(parameter, value)


def count(parameter: str, value: Any) -> int:
    """Return a number of times.

    :raises AluoRequestInvalid: it is none.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise AluoRequestInvalid("photo edit", [Problem(parameter, shown(value), "a whole number, 0 or more")])


def positive(parameter: str, value: Any) -> int | None:
    """Return a number of things, ``None`` where none is given.

    :raises AluoRequestInvalid: it is not 1 or more.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise AluoRequestInvalid("photo edit", [Problem(parameter, shown(value), "a whole number, 1 or more")])


def amount(parameter: str, value: Any) -> float | None:
    """Return a number of credits, ``None`` where none is given.

    :raises AluoRequestInvalid: it is none.
    """
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0):
        return value
    raise AluoRequestInvalid("photo edit", [Problem(parameter, shown(value), "credits, more than 0")])


def folder(parameter: str, value: Any) -> None:
    """Make sure that a destination is named, as far as that is known: nothing is no folder.

    :raises AluoRequestInvalid: none is.
    """
    if isinstance(value, str | None) and optional(value) is None:
        expected = "a local folder, or an object-storage address such as s3://conn@bucket/folder"
        raise AluoRequestInvalid("destination", [Problem(parameter, shown(value), expected)])


def choice(literal: Any) -> Callable[[str, Any], Any]:
    """Return a function that returns a parameter's value if it is one of the literal's words.

    That function :raises AluoRequestInvalid: it is not.
    """
    allowed = get_args(literal)

    def check(parameter: str, value: Any) -> Any:
        if value in allowed:
            return value
        raise AluoRequestInvalid(
            "photo edit", [Problem(parameter, shown(value), f"one of {', '.join(allowed)}")]
        )

    return check


def known_at_run_time(value: Any, *, template_ext: Sequence[str]) -> bool:
    """Tell whether a value is known only when the task runs: a template, a template's file, an XCom."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value or value.endswith(tuple(template_ext))
    return hasattr(value, "iter_references")
