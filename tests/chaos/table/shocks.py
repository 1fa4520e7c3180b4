"""Airflow as a whole is shaken: triggerers, schedulers and API servers die, stop, freeze and go away."""

from typing import Any

from harness.play import SOON, Play
from harness.row import Row

from table.looks import WAYS, look

#: An edit that seems to run for so many looks; rescheduled ones are rarer.
SLOWLY = look(kind="word", word="PROCESSING", times=35)
SLOWLY_ENOUGH = look(kind="word", word="PROCESSING", times=15)
SLOWLY_SEEN_RARELY = look(kind="word", word="PROCESSING", times=6)
#: All edits of a batch share these looks, and the first of them is looked at each second.
SLOWLY_ALL_OF_THEM = look(kind="word", word="PROCESSING", times=70)
#: An edit that is looked at while one triggerer is frozen, and still when it goes on.
VERY_SLOWLY = {
    "edit_in_triggerer": look(kind="word", word="PROCESSING", times=80),
    "edit_and_defer": look(kind="word", word="PROCESSING", times=55),
}
SLOWLY_OF = {"edit_and_reschedule": SLOWLY_SEEN_RARELY, "batch": SLOWLY_ALL_OF_THEM}
DEFERRED = ("edit_in_triggerer", "edit_and_defer")


def in_a_wait(play: Play) -> None:
    """Be ready once the edit is being waited for."""
    play.start()
    play.until_looked_at()
    play.ready()


def in_a_long_wait(play: Play) -> None:
    """Likewise; the wait must not be over by the middle of the shock."""
    play.start()
    play.until_looked_at()
    play.ready(play.note_that_it_runs)


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
                "script": in_a_wait,
                "ends": WAYS[dag],
                "faults": SLOWLY_OF.get(dag, SLOWLY),
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
    *rows("triggerer killed", DEFERRED, tries=1, faults=SLOWLY_ENOUGH),
    *rows("triggerer stopped", DEFERRED, tries=1, faults=SLOWLY_ENOUGH),
    *(
        row
        for dag in DEFERRED
        for row in rows("triggerer frozen", (dag,), tries=1, faults=VERY_SLOWLY[dag], script=in_a_long_wait)
    ),
)
