"""A worker is killed with SIGKILL, at each moment of an edit's life."""

from harness.play import SOON, Play
from harness.row import Row

from table.looks import RUNNING
from table.scripts import NO_ID, UNKNOWN, going_on, held, lifting, waiting

KILL, KILL_TASK = Play.kill_worker, Play.kill_task

#: How a row ends whose edit nobody can find again.
NOBODY_KNOWS = {"ends": {"edit": "failed"}, "tries": 2, "says": UNKNOWN, "lost": NO_ID}


def killed_while_posting(play: Play) -> None:
    """Kill the worker while Aluo's reply is on its way."""
    play.fault(on="generate", kind="latency", seconds=30, when="after")
    play.start()
    play.rig.aluo.wait_for_post(play.mark, SOON)
    play.kill_worker()


def task_killed_while_posting(play: Play) -> None:
    """Kill the task's process only, likewise."""
    play.fault(on="generate", kind="latency", seconds=30, when="after")
    play.start()
    play.rig.aluo.wait_for_post(play.mark, SOON)
    play.kill_task()


IN_WORKER = (
    Row(case="worker killed before the intent is stored", script=held("PUT aluo_edit intent", KILL), tries=2),
    Row(
        case="worker killed after the intent is stored, before the POST",
        script=held("PUT aluo_edit intent", KILL, "reply"),
        accepted=0,
        charged=0,
        **NOBODY_KNOWS,
    ),
    Row(
        case="worker killed during the POST: accepted, reply lost",
        script=killed_while_posting,
        **NOBODY_KNOWS,
    ),
    Row(
        case="worker killed after the POST, before the id is stored",
        script=held("PUT aluo_edit accepted", KILL),
        **NOBODY_KNOWS,
    ),
    Row(
        case="worker killed after the id is stored",
        script=held("PUT aluo_edit accepted", KILL, "reply"),
        tries=2,
    ),
    Row(
        case="worker killed while it waits",
        faults=RUNNING,
        script=waiting(lifting(going_on(KILL))),
        tries=2,
    ),
    Row(
        case="worker killed right before the result is returned",
        script=held("PUT aluo_edit returned", KILL),
        tries=2,
    ),
    Row(
        case="worker killed after 'returned' is stored",
        script=held("PUT aluo_edit returned", KILL, "reply"),
        tries=2,
    ),
    Row(
        case="worker killed during the POST, and the author lets it resubmit",
        dag="edit_or_resubmit",
        script=killed_while_posting,
        accepted=2,
        charged=70,
        asked=2,
        tries=2,
    ),
)

DEFERRED = (
    Row(
        case="deferrable: worker killed after the POST, before the id is stored",
        dag="edit_in_triggerer",
        script=held("PUT aluo_edit accepted", KILL),
        **NOBODY_KNOWS,
    ),
    Row(
        case="deferrable: worker killed after the id is stored, before it defers",
        dag="edit_in_triggerer",
        script=held("PUT aluo_edit accepted", KILL, "reply"),
        tries=2,
    ),
    Row(
        case="deferrable: worker killed as it defers",
        dag="edit_in_triggerer",
        script=held("state deferred", KILL),
        tries=2,
    ),
    Row(
        case="deferrable: resumed worker killed right before the result is returned",
        dag="edit_in_triggerer",
        script=held("PUT aluo_edit returned", KILL),
        tries=2,
    ),
    Row(
        case="deferrable: resumed worker killed after 'returned' is stored",
        dag="edit_in_triggerer",
        script=held("PUT aluo_edit returned", KILL, "reply"),
        tries=2,
    ),
)

SUBMIT_ONLY = (
    Row(
        case="submit only: worker killed before the id is stored",
        dag="edit_and_let_go",
        script=held("PUT aluo_edit accepted", KILL),
        **NOBODY_KNOWS,
    ),
    Row(
        case="submit only: worker killed before 'returned' is stored",
        dag="edit_and_let_go",
        script=held("PUT aluo_edit returned", KILL),
        tries=2,
    ),
    Row(
        case="submit only: worker killed after 'returned' is stored",
        dag="edit_and_let_go",
        script=held("PUT aluo_edit returned", KILL, "reply"),
        tries=2,
    ),
)

#: The task's process alone is killed; its worker lives, tells Airflow at once, and sends what it was told.
TASK_ONLY = (
    Row(case="task's process killed during the POST", script=task_killed_while_posting, **NOBODY_KNOWS),
    Row(
        case="task's process killed while its worker stores the id",
        script=held("PUT aluo_edit accepted", KILL_TASK),
        tries=2,
    ),
    Row(
        case="task's process killed while it waits",
        faults=RUNNING,
        script=waiting(lifting(going_on(KILL_TASK))),
        tries=2,
    ),
    Row(
        case="task's process killed after 'returned' is stored",
        script=held("PUT aluo_edit returned", KILL_TASK, "reply"),
        tries=2,
    ),
)

#: Deadlines go on where they were.
DEADLINES = (
    Row(
        case="worker killed in a wait that then is over its deadline",
        dag="hasty_edit",
        faults=[{"on": "status", "kind": "word", "word": "MYSTERY", "times": None}],
        script=waiting(KILL),
        ends={"edit": "failed"},
        tries=2,
        says="was not finished by the deadline[^\n]*'MYSTERY'",
        lost="Aluo never says that it has ended",
    ),
    *(
        Row(
            case=f"worker killed in a sensor's wait ({mode}) that then is over its timeout",
            dag=f"edit_and_soon_{mode}",
            faults=[{"on": "status", "kind": "word", "word": "MYSTERY", "times": None}],
            script=held("PUT aluo_wait", KILL, "reply"),
            ends={"submit": "success", "wait": "failed"},
            tries=2,
            says="(?s)AirflowSensorTimeout.*'MYSTERY'.*AluoEditTimedOut",
            lost="Aluo never says that it has ended",
        )
        for mode in ("poke", "defer")
    ),
)

ROWS = (*IN_WORKER, *DEFERRED, *SUBMIT_ONLY, *TASK_ONLY, *DEADLINES)
