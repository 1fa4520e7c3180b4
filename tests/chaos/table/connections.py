"""Connections to Aluo that break: before, in and after a POST."""

import time

from harness.play import Play
from harness.proxy import ExecutionProxy
from harness.rig import key
from harness.row import Row

from table.scripts import NO_ID, UNKNOWN

#: How a row ends whose POST nobody knows the outcome of: at once, without a retry.
NOBODY_KNOWS = {"ends": {"edit": "failed"}, "says": UNKNOWN, "lost": NO_ID}
#: Likewise, and Aluo has not accepted it.
NOTHING_ACCEPTED = {**NOBODY_KNOWS, "accepted": 0, "charged": 0, "posts": 1}


def somebody_listens_later(play: Play) -> None:
    """Let nobody listen at Aluo's address for some seconds."""
    play.start(aluo_conn_id="aluo_late")
    play.until("PUT aluo_edit intent")
    time.sleep(4)
    with ExecutionProxy(play.rig.late_port) as door:
        door.upstream = play.rig.aluo.root
        play.until_ended()


def post(**fault: object) -> list[dict[str, object]]:
    """Return the fault as a row's only one."""
    return [{"on": "generate", **fault}]


ROWS = (
    Row(
        case="a POST that takes 100 seconds",
        faults=post(kind="latency", seconds=100, when="after"),
        patience=240,
    ),
    Row(
        case="nobody listens at Aluo's address",
        dag="edit_once",
        conf={"aluo_conn_id": "aluo_never"},
        accepted=0,
        charged=0,
        ends={"edit": "failed"},
        says="AluoConnectionError",
        never_tells=UNKNOWN,
        patience=200,
    ),
    Row(case="nobody listens at first, then somebody does", script=somebody_listens_later),
    Row(
        case="connection lost in the middle of the upload",
        dag="upload_in_worker",
        conf={"aluo_conn_id": "aluo_cut"},
        faults=post(kind="drop_upload", key=key("cut")),
        **{**NOTHING_ACCEPTED, "posts": 0},
    ),
    Row(
        case="connection lost after the upload, before the reply: accepted",
        faults=post(kind="drop_after"),
        **NOBODY_KNOWS,
    ),
    Row(
        case="connection lost after the upload, before the reply: not accepted",
        faults=post(kind="drop_before"),
        **NOTHING_ACCEPTED,
    ),
    Row(
        case="connection lost after the upload, and the author lets it resubmit",
        dag="edit_or_resubmit",
        faults=post(kind="drop_after"),
        accepted=2,
        charged=70,
        asked=2,
        tries=2,
    ),
    Row(case="half a reply", faults=post(kind="half_reply", when="after"), **NOBODY_KNOWS),
    Row(case="a reply of half JSON", faults=post(kind="half_json", when="after"), **NOBODY_KNOWS),
    Row(case="an acceptance without an id", faults=post(kind="success_without_task_id"), **NOBODY_KNOWS),
    Row(
        case="a POST that takes longer than submit_timeout",
        conf={"aluo_conn_id": "aluo_impatient"},
        faults=post(kind="latency", seconds=8, when="after"),
        **NOBODY_KNOWS,
    ),
    Row(
        case="submit only: connection lost after the upload, before the reply",
        dag="edit_and_let_go",
        faults=post(kind="drop_after"),
        **NOBODY_KNOWS,
    ),
)
