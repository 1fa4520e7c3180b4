"""``airflow aluo unknown``: which edits wait for a person's decision, and what that person can do."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from airflow_aluo.commands import console
from airflow_aluo.commands.console import FAILED, UNKNOWN_OUTCOME, Stopped, result, result_as_json, say

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_aluo.commands.unknown_outcomes import Found, UnknownOutcome

_WHAT_TO_DO: Final = """\
What to do about each: look at the account's history at Aluo, around the time of the submit.
  It is not there    clear the task: it submits, and pays, anew.
  It is there        airflow aluo status ID --wait --output FOLDER  saves its pictures;
                     mark the task success, and those that would take its record; clearing it pays anew.
(A task that has told nobody yet fails once more when it is cleared, and says so; then clear it again.)"""


def unknown(args: Namespace) -> None:
    """Run the command."""
    with console.command():
        found = _found(args.dag_id)
        if found.unreadable:
            say(
                f"{_count(found.unreadable, 'remembered value')} cannot be read here: kept by a state "
                "backend of the workers', or changed by hand. What they tell is missing below."
            )
        if args.json:
            result_as_json([one.to_json() for one in found.outcomes])
        else:
            tell(found)
        if not all(one.being_submitted for one in found.outcomes):
            raise SystemExit(UNKNOWN_OUTCOME)
        if found.unreadable:
            raise SystemExit(FAILED)


def _found(dag_id: str | None) -> Found:
    """Ask Airflow's metadata database.

    :raises Stopped: it cannot be asked.
    """
    if find_spec("airflow.models.task_state_store") is None:
        raise Stopped(
            FAILED,
            "This Airflow has no task state store (3.3 and newer have), so unknown outcomes are remembered "
            "nowhere: the tasks' logs name them.",
        )
    from airflow.utils.session import create_session
    from sqlalchemy.exc import SQLAlchemyError

    from airflow_aluo.commands.unknown_outcomes import find

    try:
        with create_session() as session:
            return find(session, dag_id)
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise Stopped(
            FAILED,
            f"Airflow's metadata database cannot be asked: {why}. `airflow db check` tells whether it is "
            "reachable, `airflow db migrate` brings it up to date.",
        ) from error


def tell(found: Found) -> None:
    """Print what was found, for a person."""
    outcomes = [one for one in found.outcomes if not one.being_submitted]
    under_way = sum(one.edits for one in found.outcomes if one.being_submitted)
    if outcomes:
        edits = sum(one.edits for one in outcomes)
        result(f"{_count(edits)} with an unknown outcome, in {_count(len(outcomes), 'task')}:\n")
        for one in outcomes:
            result(_described(one))
        result(_WHAT_TO_DO)
    elif found.unreadable:
        values = _count(found.unreadable, "value")
        result(f"No edit has an unknown outcome, none that can be read here ({values} cannot).")
    else:
        result("No edit has an unknown outcome. All is well.")
    if under_way:
        more = _count(under_way, "more edit")
        result(f"{more} {'is' if under_way == 1 else 'are'} being submitted right now.")


def _described(one: UnknownOutcome) -> str:
    """Return some lines about a task's edits."""
    mapped = f"  map index {one.map_index}" if one.map_index >= 0 else ""
    lines = [f"{one.dag_id}  {one.run_id}  {one.task_id}{mapped}", f"  submitted  {one.submitted_at}"]
    if one.of > 1:
        lines.append(f"  edits      {one.edits} of {one.of}, the first at that time")
    if one.prompt is not None:
        lines.append(f"  prompt     {' '.join(one.prompt.split())}")
    told = "a person was told" if one.reported else "nobody was told yet"
    lines.append(f"  task       {one.state or 'gone'}, {told}\n")
    return "\n".join(lines)


def _count(number: int, what: str = "edit") -> str:
    return f"{number} {what}{'s' * (number != 1)}"
