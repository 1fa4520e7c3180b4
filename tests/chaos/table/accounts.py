"""Accounts that run dry, keys that are changed, requests that change."""

from harness.play import Play
from harness.rig import key
from harness.row import Row

from table.connections import post
from table.looks import RUNNING
from table.scripts import clear, going_on, held, lifting

FIVE = {f"edit_{number}": "success" for number in range(1, 6)}


def topped_up(play: Play) -> None:
    """Let five edits be asked of an account that can pay two; then fill it, and clear what failed."""
    play.start(aluo_conn_id="aluo_poor")
    play.until_ended()
    play.rig.aluo.account(key("poor"))
    play.clear(only_failed=True)


def rotate(play: Play, name: str) -> None:
    """Change a key at Aluo; the old one is worthless at once."""
    new = {"new_key": key(f"{name}-new")}
    play.rig.aluo.control("POST", f"accounts/{key(f'{name}-old')}/rotate", new)


def begin_with_an_old_key(play: Play) -> str:
    """Start with a key that is going to be changed; return its name, which is the connection's."""
    name = play.row.conf["aluo_conn_id"]
    play.rig.aluo.account(key(f"{name}-old"))
    play.connect(name, f"{name}-old")
    play.start()
    return str(name)


def rotated_in_a_wait(play: Play) -> None:
    """Change the key while an edit is waited for; then tell Airflow, and clear the task that failed."""
    name = begin_with_an_old_key(play)
    play.until_looked_at()
    rotate(play, name)
    play.until_ended()
    play.connect(name, f"{name}-new")
    lifting(going_on(clear("edit")))(play)


def rotated_and_killed(play: Play) -> None:
    """Change the key, at Aluo and in Airflow, and kill the worker that knows the old one."""
    hold = play.hold("PUT aluo_edit accepted", side="reply")
    name = begin_with_an_old_key(play)
    hold.wait(60)
    rotate(play, name)
    play.connect(name, f"{name}-new")
    play.kill_worker()
    hold.drop()


ROWS = (
    Row(
        case="402 on the third of five edits: a retry submits it",
        dag="five_edits",
        faults=[{"on": "generate", "kind": "http_status", "status": 402, "more": " no. 3"}],
        accepted=5,
        charged=175,
        asked=5,
        posts=6,
        ends=FIVE,
        tries=2,
        patience=240,
    ),
    Row(
        case="five edits of an account that pays two; topped up, what failed is cleared",
        dag="five_edits",
        script=topped_up,
        accepted=5,
        charged=175,
        asked=5,
        posts=8,
        ends=FIVE,
        tries=4,
        tells="AluoOutOfCredits",
        patience=240,
    ),
    *(
        Row(
            case=f"a key changed while an edit is waited for: found again after a clear ({dag})",
            dag=dag,
            conf={"aluo_conn_id": f"rotated_{dag}"},
            faults=RUNNING,
            script=rotated_in_a_wait,
            tells="AluoUnauthorized",
            tries=2,
        )
        for dag in ("edit_in_worker", "edit_in_triggerer")
    ),
    Row(
        case="a key changed while the worker dies: found again by the retry",
        conf={"aluo_conn_id": "rotated_killed"},
        script=rotated_and_killed,
        tries=2,
    ),
    Row(
        case="a prompt that changes with each try, before anything was accepted",
        dag="changing_prompt",
        faults=post(kind="http_status", status=402),
        posts=2,
        tries=2,
    ),
    Row(
        case="a prompt that changes with each try, after the worker died: not paid again",
        dag="changing_prompt",
        script=held("PUT aluo_edit accepted", Play.kill_worker, "reply"),
        ends={"edit": "failed"},
        tries=2,
        says="AluoUnknownOutcome[^\n]*another prompt",
        lost="the retry asks for another edit",
    ),
)
