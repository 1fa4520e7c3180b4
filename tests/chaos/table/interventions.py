"""A person ends a task that has a paid edit under way: the log says what becomes of the edit."""

import re
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from harness.play import SOON, Play
from harness.row import Row

from table.looks import RUNNING
from table.scripts import GOES_ON, Script, lifting, waiting

#: Seconds after which a worker surely asks Airflow whether its task should still run: it does so each five.
HEARTBEAT = 5.5

#: What is done, and how it ends.
ACTS: dict[str, tuple[Script, dict[str, Any]]] = {
    "marked failed": (
        lambda play: play.mark_task("failed"),
        {"ends": {"edit": "failed"}, "lost": "a person marked it failed"},
    ),
    "marked success": (
        lambda play: play.mark_task("success"),
        {"bare": "a person marked it success"},
    ),
    "cleared": (lambda play: play.clear("edit"), {"tries": 2}),
    "its run marked failed": (
        lambda play: play.mark_run("failed"),
        {"ends": {"edit": "failed"}, "lost": "a person marked its run failed"},
    ),
    # Airflow makes the task instance anew, and runs it; its store is still there. Or it ends the run first.
    "deleted": (lambda play: play.delete_task(), {"tries": None, "may_vanish": True}),
}


def just_resumed(act: Script) -> Script:
    """Act while the resumed task tells Airflow that it is going to return its edit."""

    def script(play: Play) -> None:
        hold = play.hold("PUT aluo_edit returned")
        play.start()
        hold.wait(SOON)
        act(play)
        time.sleep(HEARTBEAT)  # else the task has ended before its worker hears of it
        told(lambda _: hold.release())(play)

    return script


def told(act: Script) -> Script:
    """Act, and wait until the task's log says what becomes of its edit: the triggerer takes some seconds.

    The log is read again and again: after a delete Airflow 3.3.2 writes the new trigger's log over the old
    one's, which has the same name.
    """

    def script(play: Play) -> None:
        act(play)
        with suppress(TimeoutError):
            play.look_until(lambda: bool(re.search(GOES_ON, play.everything_told())), SOON, "the line")

    return script


#: When: in which DAG, and how that moment is met.
MOMENTS: dict[str, tuple[str, Callable[[Script], Script]]] = {
    "running": ("edit_in_worker", lambda act: waiting(lifting(told(act)), 2)),
    "deferred": ("edit_in_triggerer", lambda act: waiting(lifting(told(act)), 2)),
    "just resumed": ("edit_in_triggerer", just_resumed),
}

ROWS = tuple(
    Row(
        case=f"{moment}, then {what}",
        dag=dag,
        faults=() if moment == "just resumed" else RUNNING,
        script=meet(act),
        tells=GOES_ON,
        **must,
    )
    for moment, (dag, meet) in MOMENTS.items()
    for what, (act, must) in ACTS.items()
)
