"""Looks at an edit that go wrong: most are survived, a refusal ends the wait at once."""

import time
from email.utils import formatdate
from itertools import cycle
from typing import Any

from harness.play import Play
from harness.row import Row

#: What may come instead of an answer.
TROUBLES: dict[str, dict[str, Any]] = {
    "a gateway's page": {"kind": "html", "status": 502},
    "a reset connection": {"kind": "drop_before"},
    "no answer in time": {"kind": "latency", "seconds": 5},
    "half JSON": {"kind": "half_json"},
    "an empty reply": {"kind": "empty"},
}
#: A wait in each way, and how its tasks end.
WAYS = {
    "edit_in_worker": {"edit": "success"},
    "edit_in_triggerer": {"edit": "success"},
    "edit_and_poke": {"submit": "success", "wait": "success"},
    "edit_and_reschedule": {"submit": "success", "wait": "success"},
    "edit_and_defer": {"submit": "success", "wait": "success"},
}
#: How a wait that is refused an answer ends.
REFUSED = {"ends": {"edit": "failed"}, "lost": "Aluo refused to say how it stands"}


def look(**fault: Any) -> list[dict[str, Any]]:
    """Return the fault as a row's only one."""
    return [{"on": "status", **fault}]


#: A 429 lets the whole account rest in a triggerer. So who meets one has an account of its own: those who are
#: asked for seconds, and the one who is asked for a day.
LIMITED, STOPPED = {"aluo_conn_id": "aluo_limited"}, {"aluo_conn_id": "aluo_stopped"}

#: One look that finds the edit unfinished.
UNFINISHED = look(kind="word", word="PROCESSING")
#: An edit that seems to run until the script lifts the fault.
RUNNING = look(kind="word", word="PROCESSING", times=None)


def survived() -> list[Row]:
    """Return one, four and six failed looks in a row of each kind, in the ways of waiting by turns."""
    ways = cycle(WAYS.items())
    rows = []
    for times in (1, 4, 6):
        for trouble, fault in TROUBLES.items():
            dag, ends = next(ways)
            case = f"{times} times {trouble} ({dag})"
            rows.append(Row(case=case, dag=dag, ends=ends, faults=look(times=times, **fault)))
        next(ways)  # else each kind would always meet the same way
    return rows


def asked_to_wait_until(play: Play) -> None:
    """Answer 429 with a date four seconds ahead."""
    date = formatdate(time.time() + 4, usegmt=True)
    play.fault(on="status", kind="http_status", status=429, retry_after=date)
    play.start()


def sent_elsewhere(play: Play) -> None:
    """Answer with redirects, and see whether anybody follows."""
    elsewhere = f"/elsewhere/{play.run_id}"
    location = f"{play.rig.aluo.url}{elsewhere}"
    play.fault(on="status", kind="redirect", location=location, times=None)
    play.start()
    play.until_ended()
    calls = play.rig.aluo.control("GET", "ledger")["requests"]
    assert not [call for call in calls if elsewhere in call["path"]], "the API was followed elsewhere"


REFUSALS = (
    *(
        Row(
            case=f"429 on a look, {case} ({dag})",
            dag=dag,
            conf=LIMITED,
            ends=WAYS.get(dag, {"edit": "success"}),
            faults=look(kind="http_status", status=429, **fault),
        )
        for case, dag, fault in (
            ("with seconds", "edit_in_triggerer", {"retry_after": "2"}),
            ("with seconds", "edit_and_reschedule", {"retry_after": "2"}),
            ("with a day: the deadline comes first", "hasty_edit", {"retry_after": "86400"}),
            ("without a header", "edit_and_defer", {}),
        )
    ),
    Row(case="429 on a look, with a date", conf=LIMITED, script=asked_to_wait_until),
    Row(
        case="429 with a day, far from any deadline: five minutes at most",
        dag="lazy_edit",
        conf=STOPPED,
        faults=look(kind="http_status", status=429, retry_after="86400"),
        patience=400,
    ),
    *(
        Row(
            case=f"401 in the middle of a wait ({dag})",
            dag=dag,
            faults=UNFINISHED + look(kind="http_status", status=401),
            says="AluoUnauthorized",
            lost=REFUSED["lost"],
            ends={
                task: "failed" if state and task in {"edit", "wait"} else state
                for task, state in ends.items()
            },
        )
        for dag, ends in WAYS.items()
    ),
    *(
        Row(
            case=f"404 at first, then found ({dag})",
            dag=dag,
            ends=ends,
            faults=look(kind="http_status", status=404, times=3),
        )
        for dag, ends in WAYS.items()
    ),
    Row(
        case="404 for ever: after a minute it is taken for true",
        dag="edit_in_triggerer",
        faults=look(kind="http_status", status=404, times=None),
        says="AluoRequestRejected[^\n]*404",
        **REFUSED,
    ),
    Row(
        case="a look is sent elsewhere once",
        faults=look(kind="redirect", location="http://127.0.0.1:9/elsewhere"),
        tells="sends us to",
    ),
    Row(
        case="a look is sent elsewhere for ever: nobody follows",
        dag="hasty_edit",
        script=sent_elsewhere,
        says="AluoEditTimedOut[^\n]*sends us to",
        **REFUSED,
    ),
    Row(
        case="success: false with HTTP 200 on a look",
        dag="edit_in_triggerer",
        faults=look(kind="success_false_200"),
        says="AluoRequestRejected",
        **REFUSED,
    ),
    Row(
        case="more failed looks than a wait survives, for over two minutes: a retry finds it",
        dag="lazy_edit",
        faults=look(kind="html", times=6),
        tries=2,
        patience=300,
    ),
)

ROWS = (*survived(), *REFUSALS)
