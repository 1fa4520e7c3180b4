"""What Aluo says of an edit, and of a POST: words that nobody documents, failures, refusals."""

from typing import Any

from harness.row import Row

from table.connections import NOBODY_KNOWS, NOTHING_ACCEPTED, post
from table.looks import UNFINISHED, look

MODES = ("poke", "reschedule", "defer")
FOR_EVER = look(kind="word", word="MYSTERY", times=None)
NO_PICTURE = look(kind="success_without_pictures", times=None)
#: How a wait for an edit that never ends ends.
TIMED_OUT: dict[str, Any] = {
    "ends": {"edit": "failed"},
    "says": "AluoEditTimedOut[^\n]*was not finished by the deadline[^\n]*'MYSTERY'",
    "lost": "Aluo never says that it has ended",
}
WAIT_FAILED = {"submit": "success", "wait": "failed"}
#: What a sensor's timeout says.
SENSOR_TIMED_OUT = "(?s)AirflowSensorTimeout: [^\n]*'MYSTERY'.*AluoEditTimedOut"

WORDS = (
    Row(case="PENDING, then SUCCESS", faults=look(kind="word", word="PENDING", times=5)),
    Row(
        case="processing, then SUCCESS",
        dag="edit_in_triggerer",
        faults=look(kind="word", word="processing", times=5),
    ),
    Row(
        case="unknown words, then SUCCESS",
        dag="edit_and_defer",
        ends={"submit": "success", "wait": "success"},
        faults=look(kind="word", word="UPSCALING", times=3) + look(kind="word", word="ŝtato №7", times=3),
    ),
    Row(case="an unknown word for ever", dag="hasty_edit", faults=FOR_EVER, **TIMED_OUT),
    Row(
        case="deferrable: an unknown word for ever",
        dag="hasty_edit_in_triggerer",
        faults=FOR_EVER,
        **TIMED_OUT,
    ),
    *(
        Row(
            case=f"sensor ({mode}): an unknown word for ever",
            dag=f"edit_and_soon_{mode}",
            faults=FOR_EVER,
            ends=WAIT_FAILED,
            says=SENSOR_TIMED_OUT,
            lost=TIMED_OUT["lost"],
        )
        for mode in MODES
    ),
    *(
        Row(
            case=f"sensor with soft_fail ({mode}): an unknown word for ever skips",
            dag=f"edit_and_softly_{mode}",
            faults=FOR_EVER,
            ends={"submit": "success", "wait": "skipped"},
        )
        for mode in MODES
    ),
)

ENDS = (
    Row(
        case="SUCCESS without pictures, for ever",
        dag="hasty_edit",
        faults=NO_PICTURE,
        ends={"edit": "failed"},
        says="names no picture",
        lost="Aluo never shows the pictures",
    ),
    Row(
        case="sensor (defer): SUCCESS without pictures, for ever",
        dag="edit_and_soon_defer",
        faults=NO_PICTURE,
        ends=WAIT_FAILED,
        says="names no picture",
        lost="Aluo never shows the pictures",
    ),
    Row(
        case="SUCCESS without pictures at first",
        dag="edit_in_triggerer",
        faults=look(kind="success_without_pictures", times=10),
    ),
    Row(
        case="FAILED with a reason: a retry submits anew",
        faults=post(kind="edit_fails", message="The photo is too dark"),
        accepted=2,
        tells="AluoEditFailed[^\n]*The photo is too dark",
        tries=2,
    ),
    Row(
        case="deferrable: FAILED without a reason: a retry submits anew",
        dag="edit_in_triggerer",
        faults=post(kind="edit_fails", message=""),
        accepted=2,
        tells="AluoEditFailed[^\n]*no reason given",
        tries=2,
    ),
    Row(
        case="FAILED each time: nothing is charged",
        faults=post(kind="edit_fails", times=None),
        accepted=3,
        charged=0,
        ends={"edit": "failed"},
        tries=3,
        says="AluoEditFailed",
    ),
    *(
        Row(
            case=f"sensor ({mode}): FAILED ends the wait without a retry",
            dag=f"edit_and_{mode}",
            faults=post(kind="edit_fails", message="The photo is too dark"),
            charged=0,
            ends=WAIT_FAILED,
            says="too dark[^\n]*clear the task that submitted it",
        )
        for mode in MODES
    ),
    Row(
        case="sensor with soft_fail (reschedule): FAILED skips nothing",
        dag="edit_and_softly_reschedule",
        faults=post(kind="edit_fails"),
        charged=0,
        ends=WAIT_FAILED,
    ),
    *(
        Row(
            case=f"sensor with soft_fail ({mode}): 401 skips nothing",
            dag=f"edit_and_softly_{mode}",
            faults=UNFINISHED + look(kind="http_status", status=401),
            ends=WAIT_FAILED,
            says="AluoUnauthorized",
            lost="Aluo refused to say how it stands",
        )
        for mode in ("poke", "defer")
    ),
)

ANSWERS_TO_THE_POST = (
    Row(
        case="success: false with HTTP 200 on the POST: refused, no retry",
        faults=post(kind="success_false_200"),
        accepted=0,
        charged=0,
        posts=1,
        ends={"edit": "failed"},
        says="AluoRequestRejected",
        never_tells="nobody knows",
    ),
    Row(
        case="-1 with HTTP 500 on the POST: refused, a retry submits",
        faults=post(kind="http_status", status=500, code=-1),
        posts=2,
        tries=2,
        never_tells="nobody knows",
    ),
    Row(
        case="503 with a gateway's page on the POST: accepted",
        faults=post(kind="html", status=503, when="after"),
        **NOBODY_KNOWS,
    ),
    Row(
        case="503 with a gateway's page on the POST: not accepted",
        faults=post(kind="html", status=503),
        **NOTHING_ACCEPTED,
    ),
    Row(
        case="the POST is sent elsewhere: nobody follows",
        faults=post(kind="redirect", status=307, location="http://127.0.0.1:9/elsewhere"),
        **NOTHING_ACCEPTED,
    ),
    Row(
        case="429 on the POST: sent again by itself",
        faults=post(kind="http_status", status=429, retry_after="2"),
        posts=2,
    ),
)

ROWS = (*WORDS, *ENDS, *ANSWERS_TO_THE_POST)
