"""Airflow's task state store refuses: what is not known is not taken for nothing."""

from harness.play import SOON, Play
from harness.row import Row

from table.scripts import Script


def refused(text: str, times: int = 1) -> Script:
    """Let Airflow refuse this, so many times."""

    def script(play: Play) -> None:
        holds = [play.hold(text) for _ in range(times)]
        play.start()
        for hold in holds:
            hold.wait(SOON)
            hold.refuse()

    return script


ROWS = (
    Row(
        case="the store cannot be read: nothing is sent, the next try looks again",
        script=refused("GET aluo_edit"),
        tries=2,
        tells="could not be read",
    ),
    Row(case="the intent cannot be stored: nothing is sent", script=refused("PUT aluo_edit intent"), tries=2),
    Row(
        case="the id cannot be stored at first: storing is tried again",
        script=refused("PUT aluo_edit accepted", 2),
        tells="error: edit edit_.* could not be remembered",
    ),
    Row(
        case="deferrable: the id cannot be stored at first",
        dag="edit_in_triggerer",
        script=refused("PUT aluo_edit accepted", 2),
        tells="error: edit edit_.* could not be remembered",
    ),
    Row(
        case="'returned' cannot be stored: the edit is returned all the same",
        script=refused("PUT aluo_edit returned"),
    ),
)
