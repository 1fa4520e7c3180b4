"""Six edits in one task: its worker dies, Airflow is shaken, a person clears it."""

from harness.play import SOON, Play
from harness.row import Row

from table.looks import RUNNING
from table.scripts import NO_ID, UNKNOWN, Script, clear, ended, going_on, held, lifting
from table.shocks import shaken

EDITS = 6
#: What a batch costs, however often it is tried.
SIX = {"dag": "batch", "accepted": EDITS, "charged": 35 * EDITS, "asked": EDITS}
LOOSE = {"tries": None, "patience": 240}


def ids(play: Play) -> set[str]:
    """Return the ids that were stored so far."""
    told = [said.value for said in play.rig.proxy.said(play.run_id) if said.verb == "PUT"]
    entries = [entry for value in told for entry in (value or {}).get("entries", {}).values()]
    return {entry["aluo_task_id"] for entry in entries if "aluo_task_id" in entry}


def all_waiting(act: Script) -> Script:
    """Act while the edits are waited for, once the ids of all are stored: none is of unknown outcome then."""

    def script(play: Play) -> None:
        play.start()
        play.look_until(lambda: len(ids(play)) == EDITS, SOON, "all ids in the store")
        play.until_looked_at()
        act(play)

    return script


def killed_while_posting(play: Play) -> None:
    """Kill the worker while Aluo's replies to two submits are on their way."""
    play.fault(on="generate", kind="latency", seconds=30, when="after", times=2)
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
        script=all_waiting(lifting(going_on(Play.kill_worker))),
        faults=RUNNING,
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
            script=all_waiting(shaken),
            faults=RUNNING,
            **SIX | LOOSE,
        )
        for shock in ("api server away", "scheduler and api server restarted")
    ),
    *(
        Row(
            case=f"{shock} (batch in the triggerer)",
            shock=shock,
            script=all_waiting(shaken),
            faults=RUNNING,
            **SIX | {"dag": "batch_in_triggerer", "tries": 1, "patience": 240},
        )
        for shock in ("triggerer killed", "triggerer stopped")
    ),
)
