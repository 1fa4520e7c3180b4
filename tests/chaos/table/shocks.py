"""Airflow as a whole is shaken: triggerers, schedulers and API servers die, stop, freeze and go away."""

from typing import Any

from harness.play import SOON, Play
from harness.row import Row

from table.looks import RUNNING, WAYS
from table.scripts import going_on, lifting, waiting

DEFERRED = ("edit_in_triggerer", "edit_and_defer")

#: Be ready, and let the edit end once its wait is seen to go on after the shock.
shaken = lifting(going_on(Play.ready))
#: Likewise; the wait must not be over by the middle of the shock.
shaken_long = lifting(going_on(lambda play: play.ready(play.note_that_it_runs)))


def between_acceptance_and_storing(play: Play) -> None:
    """Be ready once Aluo has accepted, and its answer is about to be stored."""
    hold = play.hold("PUT aluo_edit accepted")
    play.start()
    hold.wait(SOON)
    play.ready(hold.drop)


def rows(shock: str, dags: tuple[str, ...], **more: Any) -> list[Row]:
    """Return a row for each of these ways to wait."""
    return [
        Row(
            case=f"{shock} ({dag})",
            shock=shock,
            dag=dag,
            **{
                "script": waiting(shaken),
                "ends": WAYS[dag],
                "faults": RUNNING,
                "tries": None,
                "patience": 240,
            }
            | more,
        )
        for dag in dags
    ]


ROWS = (
    *(
        Row(
            case=f"api server away for 20 s between acceptance and storing ({dag})",
            shock="api server away",
            dag=dag,
            script=between_acceptance_and_storing,
            tries=None,
            patience=240,
        )
        for dag in ("edit_in_worker", "edit_in_triggerer", "edit_and_let_go")
    ),
    *rows("scheduler and api server restarted", tuple(WAYS)),
    *rows("scheduler killed", ("edit_in_worker", "edit_in_triggerer", "edit_and_reschedule")),
    *rows("triggerer killed", DEFERRED, tries=1),
    *rows("triggerer stopped", DEFERRED, tries=1),
    *rows("triggerer frozen", DEFERRED, tries=1, script=waiting(shaken_long)),
)
