"""A person clears tasks: what is asked anew is paid anew, and nothing else."""

import time

from harness.play import SOON, Play
from harness.row import Row

from table.connections import post
from table.looks import RUNNING, UNFINISHED, look
from table.scripts import Script, clear, ended, going_on, held, lifting, waiting

#: No look finds the edit finished until the script lifts the fault.
MYSTERIOUS = look(kind="word", word="MYSTERY", times=None)


def killed_at(text: str) -> Script:
    """Kill the worker when the run says this the next time."""

    def script(play: Play) -> None:
        hold = play.hold(text)
        play.clear("edit")
        hold.wait(SOON)
        play.kill_worker()
        hold.drop()

    return script


def killed_while_waiting(play: Play) -> None:
    """Clear the task, and kill the worker that waits for the new edit."""
    moment, looks = time.time(), play.looks
    play.fault(**RUNNING[0])
    play.clear("edit")
    play.until("PUT aluo_edit accepted", after=moment)
    play.until_looked_at(looks + 1)
    lifting(going_on(Play.kill_worker))(play)


def waited_anew(task_id: str, looks: int = 2) -> Script:
    """Clear the task, and let its edit end after so many looks: under the old deadline there would be one."""

    def script(play: Play) -> None:
        before = play.looks
        play.clear(task_id)
        play.until_looked_at(before + looks)
        play.lift()

    return script


def deferred_anew(play: Play) -> None:
    """Clear the task, and wait until it is deferred again."""
    moment = time.time()
    play.clear("edit")
    play.until("state deferred", after=moment)


def sibling_cleared(play: Play) -> None:
    """Clear one edit while the next is being waited for, whose worker then dies."""
    hold = play.hold("PUT aluo_edit accepted", side="reply")  # of the first
    play.start()
    hold.wait(SOON)
    second = play.hold("PUT aluo_edit accepted", side="reply")
    hold.release()
    second.wait(SOON)
    pid = play.pid()  # the cleared one may start before this one is killed
    play.clear("edit_1")
    play.kill_worker(pid)
    second.drop()


ROWS = (
    Row(
        case="a failed submit cleared: submitted",
        faults=post(kind="http_status", status=402, times=3),
        script=ended(clear("edit")),
        posts=4,
        tries=4,
    ),
    Row(
        case="an unheard submit (nothing accepted) cleared: submitted",
        faults=post(kind="html", status=503),
        script=ended(clear("edit")),
        posts=2,
        tries=2,
    ),
    Row(
        case="a wait that was refused (401) cleared: the same edit",
        faults=UNFINISHED + look(kind="http_status", status=401),
        script=ended(clear("edit")),
        tries=2,
    ),
    Row(
        case="a wait that timed out cleared: the same edit, a fresh deadline",
        dag="hasty_edit",
        faults=MYSTERIOUS,
        script=ended(waited_anew("edit")),
        tries=2,
    ),
    Row(
        case="deferrable: a wait that timed out cleared: the same edit, a fresh deadline",
        dag="hasty_edit_in_triggerer",
        faults=MYSTERIOUS,
        script=ended(waited_anew("edit")),
        tries=2,
    ),
    *(
        Row(
            case=f"a sensor's wait ({mode}) that timed out cleared: the same edit, a fresh timeout",
            dag=f"edit_and_soon_{mode}",
            faults=MYSTERIOUS,
            script=ended(waited_anew("wait", looks)),
            ends={"submit": "success", "wait": "success"},
            tries=2,
        )
        for mode, looks in (("poke", 2), ("reschedule", 1), ("defer", 2))
    ),
    Row(
        case="a reported unknown outcome cleared: submitted anew",
        faults=post(kind="drop_after"),
        script=ended(clear("edit")),
        accepted=2,
        charged=70,
        asked=2,
        tries=2,
    ),
    Row(
        case="a succeeded edit cleared: a new one",
        script=ended(clear("edit")),
        accepted=2,
        charged=70,
        asked=2,
        tries=2,
    ),
    Row(
        case="a succeeded edit cleared, then the worker dies: no third charge",
        script=ended(killed_while_waiting),
        accepted=2,
        charged=70,
        asked=2,
        tries=3,
    ),
    Row(
        case="deferrable: a succeeded edit cleared, then the worker dies: no third charge",
        dag="edit_in_triggerer",
        script=ended(killed_at("PUT aluo_edit returned")),
        accepted=2,
        charged=70,
        asked=2,
        tries=3,
    ),
    Row(
        case="a succeeded edit cleared with on_clear=reuse: the same edit",
        dag="edit_or_reuse",
        script=ended(clear("edit")),
        tries=2,
    ),
    Row(
        case="an unfinished edit cleared with on_clear=new: a new one",
        dag="edit_or_renew",
        faults=UNFINISHED + look(kind="http_status", status=401),
        script=ended(clear("edit")),
        accepted=2,
        charged=70,
        asked=2,
        tries=2,
    ),
    Row(
        case="a sensor cleared: its edit stays",
        dag="edit_and_poke",
        script=ended(clear("wait")),
        ends={"submit": "success", "wait": "success"},
        tries=2,
    ),
    Row(
        case="an edit that FAILED under a sensor, cleared with downstream: a new one",
        dag="edit_and_defer",
        faults=post(kind="edit_fails"),
        script=ended(clear("submit", downstream=True)),
        accepted=2,
        ends={"submit": "success", "wait": "success"},
        tries=2,
    ),
    Row(
        case="a sibling cleared while an edit's worker dies: a new edit for the sibling only",
        dag="five_edits",
        script=sibling_cleared,
        accepted=6,
        charged=210,
        asked=6,
        ends={f"edit_{number}": "success" for number in range(1, 6)},
        tries=2,
        patience=240,
    ),
    Row(
        case="ten mapped edits of which three failed, these cleared: seven untouched",
        dag="ten_mapped",
        faults=[
            {"on": "generate", "kind": "success_false_200", "more": f" no. {number}"}
            for number in ("02", "05", "08")
        ],
        script=ended(clear("edit", only_failed=True)),
        accepted=10,
        charged=350,
        asked=10,
        posts=13,
        ends={f"edit[{number}]": "success" for number in range(10)},
        tries=2,
        patience=240,
    ),
    Row(
        case="a deferred edit cleared: the same edit",
        dag="edit_in_triggerer",
        faults=RUNNING,
        script=waiting(lifting(deferred_anew), 2),
        tries=2,
    ),
    Row(
        case="an edit cleared while its id is being stored: the same edit",
        script=held("PUT aluo_edit accepted", clear("edit"), "reply"),
        tries=2,
    ),
)
