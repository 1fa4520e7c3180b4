"""Six edits in one task: its worker dies, Airflow is shaken, a person clears it."""

from harness.play import SOON, Play
from harness.row import Row

from table.scripts import NO_ID, UNKNOWN, clear, ended, held, waiting
from table.shocks import SLOWLY, SLOWLY_ALL_OF_THEM, SLOWLY_ENOUGH, in_a_wait

EDITS = 6
#: What a batch costs, however often it is tried.
SIX = {"dag": "batch", "accepted": EDITS, "charged": 35 * EDITS, "asked": EDITS}
LOOSE = {"tries": None, "patience": 240}


def killed_while_posting(play: Play) -> None:
    """Kill the worker while Aluo's replies to two submits are on their way."""
    play.fault(on="generate", kind="latency", seconds=6, when="after", times=2)
    play.start()
    play.rig.aluo.wait_for_post(play.mark, SOON)
    play.kill_worker()


def killed_with_intents_then_cleared(play: Play) -> None:
    """Kill the worker before what is intended was sent; clear the task once it has said so."""
    held("PUT aluo_batch_0_000 intent", Play.kill_worker, "reply")(play)
    play.until_ended()
    play.clear("edit")


ROWS = (
    Row(
        case="batch: worker killed before the first intents are stored",
        script=held("PUT aluo_batch_0_000 intent", Play.kill_worker),
        tries=2,
        **SIX,
    ),
    Row(
        case="batch: worker killed after the first intents are stored, before their POSTs; cleared",
        script=killed_with_intents_then_cleared,
        tells=UNKNOWN,
        tries=3,
        **SIX,
    ),
    Row(
        case="batch: worker killed during two POSTs: accepted, replies lost",
        script=killed_while_posting,
        ends={"edit": "failed"},
        tries=2,
        says=UNKNOWN,
        lost=NO_ID,
        **SIX | {"accepted": None, "charged": None},  # as many as had been sent
    ),
    Row(
        case="batch: worker killed while its edits run",
        script=waiting(Play.kill_worker, looks=14),  # by then all ids are stored
        faults=SLOWLY,
        tries=2,
        **SIX,
    ),
    Row(
        case="batch: one edit fails, the retry submits that one",
        faults=({"on": "generate", "kind": "edit_fails", "times": 1},),
        tries=2,
        **SIX | {"accepted": EDITS + 1, "asked": EDITS + 1},
    ),
    Row(
        case="batch: cleared after it was returned",
        script=ended(clear("edit")),
        tries=2,
        **SIX | {"accepted": 2 * EDITS, "charged": 70 * EDITS, "asked": 2 * EDITS},
    ),
    *(
        Row(
            case=f"{shock} (batch)",
            shock=shock,
            script=in_a_wait,
            faults=SLOWLY_ALL_OF_THEM,
            **SIX | LOOSE,
        )
        for shock in ("api server away", "scheduler and api server restarted")
    ),
    *(
        Row(
            case=f"{shock} (batch in the triggerer)",
            shock=shock,
            script=in_a_wait,
            faults=SLOWLY_ENOUGH,
            **SIX | {"dag": "batch_in_triggerer", "tries": 1, "patience": 240},
        )
        for shock in ("triggerer killed", "triggerer stopped")
    ),
)
