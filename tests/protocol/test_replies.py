import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_aluo.protocol import replies
from airflow_aluo.protocol.envelope import EXCERPT, Reply
from airflow_aluo.protocol.errors import (
    AluoApiError,
    AluoError,
    AluoOutOfCredits,
    AluoPictureError,
    AluoRateLimited,
    AluoReplyError,
    AluoRequestRejected,
    AluoServerError,
    AluoUnauthorized,
    dump,
    load,
)
from airflow_aluo.protocol.replies import (
    Acceptance,
    Credits,
    Phase,
    Snapshot,
    read_acceptance,
    read_answer,
    read_picture,
    read_status,
)
from airflow_aluo.protocol.schemas import validator

Recorded = Callable[..., Reply]
#: HTTP statuses that say by themselves that nothing was accepted.
REFUSALS = {400, 401, 402, 429}
READERS = pytest.mark.parametrize("read", [read_acceptance, read_status])


def reply_of(content: Any, http_status: int = 200) -> Reply:
    return Reply(http_status, {}, json.dumps(content).encode(), 0.0)


def answer(read: Callable[[Reply], Any], reply: Reply) -> Any:
    try:
        return read(reply)
    except AluoError as error:
        return error


def test_the_vendors_accepted_reply_gives_the_id(recorded: Recorded) -> None:
    assert read_acceptance(recorded("accepted")) == Acceptance("edit_123456789", Credits(None, None))


def test_an_id_may_be_a_number(recorded: Recorded) -> None:
    assert read_acceptance(recorded("accepted_with_a_number")).aluo_task_id == "123456789"


@pytest.mark.parametrize(("sent", "read"), [("7.0", "7"), ("-0.0", "0"), ("1e3", "1000"), ('"07"', "07")])
def test_an_id_keeps_its_value_however_json_writes_it(sent: str, read: str) -> None:
    body = b'{"data": {"taskId": %s}}' % sent.encode()
    assert read_acceptance(Reply(200, {}, body, 0.0)).aluo_task_id == read


def test_credits_are_read_where_the_envelope_names_them(recorded: Recorded) -> None:
    assert read_acceptance(recorded("accepted_with_credits")).credits == Credits(8, 42)


@pytest.mark.parametrize("amount", [True, "8", None, [], {}, 10**400, -(10**400)])
def test_credits_that_are_no_usable_number_are_unknown_and_lose_no_edit(amount: Any) -> None:
    accepted = read_acceptance(reply_of({"data": {"taskId": "edit_1"}, "credits_deducted": amount}))
    assert accepted == Acceptance("edit_1", Credits(None, None))


@pytest.mark.parametrize("amount", [0, 8, -1, 0.5, sys.float_info.max])
def test_credits_are_kept_as_they_were_said(amount: float) -> None:
    accepted = read_acceptance(reply_of({"data": {"taskId": "edit_1"}, "credits_remaining": amount}))
    assert accepted.credits == Credits(None, amount)


def test_the_vendors_finished_reply_names_its_pictures(recorded: Recorded) -> None:
    snapshot = read_status(recorded("status_success"))
    assert snapshot == Snapshot("SUCCESS", ("https://cdn.aluo.ai/edited1.png",))
    assert snapshot.phase is Phase.SUCCEEDED


def test_an_undocumented_word_means_still_running(recorded: Recorded) -> None:
    snapshot = read_status(recorded("status_processing"))
    assert (snapshot.status, snapshot.phase, snapshot.result_urls) == ("PROCESSING", Phase.RUNNING, ())


@pytest.mark.parametrize("word", ["success", "SUCCESS ", "Failed", "DONE", "成功"])
def test_only_the_two_documented_words_end_an_edit(word: str) -> None:
    assert read_status(reply_of({"data": {"status": word}})).phase is Phase.RUNNING


def test_a_failed_edit_may_come_without_a_reason(recorded: Recorded) -> None:
    assert read_status(recorded("status_failed")) == Snapshot("FAILED")


def test_a_failed_edits_reason_is_read_from_its_data(recorded: Recorded) -> None:
    snapshot = read_status(recorded("status_failed_with_a_reason"))
    assert snapshot.phase is Phase.FAILED
    assert snapshot.reason == "The picture shows no product: detector found 0 objects"


def test_a_failed_edits_reason_may_stand_in_the_envelope() -> None:
    assert read_status(reply_of({"message": "m", "data": {"status": "FAILED"}})).reason == "m"


def test_a_reason_that_is_said_twice_is_read_once() -> None:
    data = {"status": "FAILED", "message": "too dark", "error": " too dark "}
    assert read_status(reply_of({"data": data})).reason == "too dark"


def test_a_reason_is_one_line_of_at_most_200_printable_characters() -> None:
    data = {"status": "FAILED", "message": "a\nb\x00c\ud800d" + "x" * 1000}
    reason = read_status(reply_of({"data": data})).reason
    assert reason is not None
    assert reason.startswith("a b c d")
    assert reason.isprintable()
    assert len(reason) == EXCERPT


@pytest.mark.parametrize("said", [7, None, "", " \n", "\x00"])
def test_a_reason_that_says_nothing_is_none(said: Any) -> None:
    assert read_status(reply_of({"data": {"status": "FAILED", "message": said}})).reason is None


def test_a_success_without_pictures_is_an_error_of_ours_not_a_key_error(recorded: Recorded) -> None:
    with pytest.raises(AluoReplyError, match="names no picture") as caught:
        read_status(recorded("status_success_without_pictures"))
    assert caught.value.http_status == 200


@pytest.mark.parametrize(
    "images",
    [None, {}, "https://a.b/c", [None], ["https://a.b/c"], [{}], [{"url": None}], [{"url": "ftp://a.b/c"}]],
)
def test_a_success_whose_pictures_cannot_be_fetched_is_a_reply_error(images: Any) -> None:
    assert isinstance(
        answer(read_status, reply_of({"data": {"status": "SUCCESS", "images": images}})), AluoReplyError
    )


def test_an_accepted_edit_without_an_id_is_a_reply_error(recorded: Recorded) -> None:
    with pytest.raises(AluoReplyError, match="names no taskId"):
        read_acceptance(recorded("accepted_without_an_id"))


@READERS
@pytest.mark.parametrize(
    ("case", "error_type", "code", "final"),
    [
        ("refused_prompt", AluoRequestRejected, -1, True),
        ("refused_no_image", AluoRequestRejected, -1, True),
        ("refused_too_many_images", AluoRequestRejected, -1, True),
        ("refused_with_200", AluoRequestRejected, -1, True),
        ("processing_failed", AluoServerError, -1, False),
        ("unauthorized", AluoUnauthorized, -2, True),
        ("out_of_credits", AluoOutOfCredits, 402, False),
        ("rate_limited", AluoRateLimited, 429, False),
        ("server_error", AluoServerError, 500, False),
    ],
)
def test_each_documented_refusal_has_its_error_and_is_definite(
    recorded: Recorded,
    read: Callable[[Reply], Any],
    *,
    case: str,
    error_type: type,
    code: int,
    final: bool,
) -> None:
    reply = recorded(case)
    error = answer(read, reply)
    assert type(error) is error_type
    assert (error.http_status, error.code, error.definite) == (reply.http_status, code, True)
    assert error.final is final
    assert json.loads(reply.body)["message"] in error.message


@READERS
@pytest.mark.parametrize(
    ("case", "error_type", "definite"),
    [
        ("unauthorized_by_a_gateway", AluoUnauthorized, True),
        ("rate_limited_by_a_gateway", AluoRateLimited, True),
        ("bad_gateway", AluoServerError, False),
        ("gateway_timeout", AluoServerError, False),
    ],
)
def test_an_http_error_without_an_envelope_has_its_error_too(
    recorded: Recorded, read: Callable[[Reply], Any], case: str, error_type: type, definite: bool
) -> None:
    error = answer(read, recorded(case))
    assert type(error) is error_type
    assert (error.code, error.definite) == (None, definite)


@READERS
@pytest.mark.parametrize(
    "case", ["not_found", "login_page", "half_json", "nothing", "moved", "neither_success_nor_failure"]
)
def test_what_is_not_aluos_reply_is_a_reply_error(
    recorded: Recorded, read: Callable[[Reply], Any], case: str
) -> None:
    reply = recorded(case)
    error = answer(read, reply)
    assert type(error) is AluoReplyError
    assert error.http_status == reply.http_status
    assert error.excerpt == reply.body.decode()[:EXCERPT]


def test_every_recorded_reply_is_claimed_about() -> None:
    here = Path(__file__)
    cases = {folder.name for folder in (here.parents[1] / "replies").iterdir()}
    unused = {case for case in cases if f'"{case}"' not in here.read_text("utf-8")}
    assert not unused


@pytest.mark.parametrize("task_id", [True, False, 0.5, None, "", " ", "a\nb", "\ud800", ["edit_1"], {}])
def test_an_id_that_cannot_be_logged_stored_and_sent_is_none(task_id: Any) -> None:
    error = answer(read_acceptance, reply_of({"code": 0, "success": True, "data": {"taskId": task_id}}))
    assert type(error) is AluoReplyError


@READERS
@pytest.mark.parametrize("success", [None, 1, 0, "true", []])
def test_a_success_that_is_neither_true_nor_false_is_no_answer(
    read: Callable[[Reply], Any], success: Any
) -> None:
    envelope = {"success": success, "data": {"taskId": "edit_1", "status": "FAILED"}}
    assert type(answer(read, reply_of(envelope))) is AluoReplyError


@READERS
@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_json_has_no_word_for_makes_a_reply_none(read: Callable[[Reply], Any], number: bytes) -> None:
    body = b'{"data": {"taskId": "edit_1", "status": "FAILED"}, "credits_remaining": %s}' % number
    assert type(answer(read, Reply(200, {}, body, 0.0))) is AluoReplyError


def test_a_redirect_names_its_target_without_the_query(recorded: Recorded) -> None:
    moved = recorded("moved", headers={"location": "https://aluo.ai/api?sign=secret"})
    with pytest.raises(AluoReplyError, match=r"sends us to 'https://aluo\.ai/api':") as caught:
        read_status(moved)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    ("http_status", "code", "error_type"),
    [
        (200, -1, AluoRequestRejected),
        (400, -1, AluoRequestRejected),
        (500, -1, AluoServerError),
        (200, -2, AluoUnauthorized),
        (401, -2, AluoUnauthorized),
        (200, 401, AluoUnauthorized),
        (401, -1, AluoUnauthorized),
        (200, 402, AluoOutOfCredits),
        (402, 402, AluoOutOfCredits),
        (402, -1, AluoOutOfCredits),
        (200, 429, AluoRateLimited),
        (429, -1, AluoRateLimited),
        (200, 500, AluoServerError),
        (500, 500, AluoServerError),
        (200, 599, AluoServerError),
        (503, 0, AluoServerError),
        (400, 1001, AluoRequestRejected),  # a number of the vendor's own, no HTTP status
        (400, 600, AluoRequestRejected),
        (404, -1, AluoRequestRejected),
        (200, 0, AluoRequestRejected),
    ],
)
def test_http_status_and_code_mean_one_error_together(http_status: int, code: int, error_type: type) -> None:
    error = answer(read_status, reply_of({"code": code, "success": False}, http_status))
    assert type(error) is error_type
    assert error.code == code


def test_success_false_is_an_error_even_with_a_code_that_is_no_number() -> None:
    error = answer(read_status, reply_of({"code": "E1", "success": False, "data": {"status": "SUCCESS"}}))
    assert type(error) is AluoRequestRejected
    assert error.code is None


@pytest.mark.parametrize("case", ["rate_limited", "rate_limited_by_a_gateway", "server_error", "bad_gateway"])
def test_the_time_that_a_reply_asks_for_is_read_with_and_without_an_envelope(
    recorded: Recorded, case: str
) -> None:
    assert answer(read_status, recorded(case, headers={"retry-after": "7"})).retry_after == 7.0
    date = {"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}
    assert answer(read_status, recorded(case, headers=date, at=60.0)).retry_after == 40.0
    assert answer(read_status, recorded(case)).retry_after is None


def test_an_excerpt_holds_at_most_200_characters_of_any_width() -> None:
    for letter in ("x", "é", "图", "🖼"):
        error = answer(read_status, Reply(200, {}, (letter * 1000).encode(), 0.0))
        assert error.excerpt == letter * EXCERPT


@pytest.mark.parametrize("http_status", [200, 206])
def test_a_picture_that_came_is_no_error(http_status: int) -> None:
    read_picture(Reply(http_status, {}, b"", 0.0), "https://cdn.aluo.ai/a.png")


@pytest.mark.parametrize("http_status", [429, 500, 503])
def test_a_pictures_host_that_is_busy_may_be_asked_again(http_status: int) -> None:
    with pytest.raises(AluoServerError) as caught:
        read_picture(
            Reply(http_status, {"retry-after": "3"}, b"", 0.0), "https://cdn.aluo.ai/a.png?sign=secret"
        )
    assert "picture https://cdn.aluo.ai/a.png?… answered HTTP" in caught.value.message
    assert (caught.value.http_status, caught.value.retry_after) == (http_status, 3.0)


@pytest.mark.parametrize("http_status", [302, 403, 404, 410])
def test_a_picture_that_is_gone_is_named_without_its_query(http_status: int) -> None:
    with pytest.raises(AluoPictureError, match=rf"answered HTTP {http_status}$") as caught:
        read_picture(Reply(http_status, {}, b"", 0.0), "https://cdn.aluo.ai/a.png?sign=secret")
    assert caught.value.url == "https://cdn.aluo.ai/a.png?…"
    assert "secret" not in caught.value.message


# Properties: whatever arrives, a reader gives data or one of our errors.

TEXTS = st.text(st.characters() | st.sampled_from("\x00\n\ud800\udfff\u2028\ufeff "), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
URLS = (
    st.sampled_from(
        ["https://cdn.aluo.ai/a.png", "HTTP://x", "http://a\n", "https://", "ftp://a/b", "http:// "]
    )
    | st.builds("https://a.b/{}".format, TEXTS)
    | JSON
)
IMAGES = st.lists(st.fixed_dictionaries({}, optional={"url": URLS, "width": JSON}) | JSON, max_size=3) | JSON
WORDS = st.sampled_from(["SUCCESS", "FAILED", "PROCESSING", "success", "", " ", "a\x00b", "\ud800"]) | JSON
DATA = st.fixed_dictionaries(
    {},
    optional={
        "taskId": st.sampled_from(["edit_1", 7, 7.0, 1e300, 0.5, True, "", "\u00a0", "a\u00a0b"]) | JSON,
        "status": WORDS,
        "images": IMAGES,
        "message": JSON,
    },
)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from([0, 0.0, -0.0, -1, -2, 402, 429, 500, 1e300, True, False, None, "0"]) | JSON,
        "success": st.sampled_from([True, True, False, None, 1, 0, "true"]) | JSON,
        "data": DATA | DATA | JSON,
        "message": JSON,
        "error": JSON,
        "credits_deducted": JSON,
        "credits_remaining": JSON,
    },
)
ACCEPTED = st.fixed_dictionaries({"code": st.just(0), "success": st.just(True), "data": DATA})
#: Right but for one thing, as often as not.
NEARLY_RIGHT = st.fixed_dictionaries(
    {
        "data": st.fixed_dictionaries(
            {
                "taskId": st.sampled_from(["edit_1", 7, 7.0, 0.5, True, None, ["edit_1"], "a\u00a0b"]),
                "status": st.sampled_from(["SUCCESS", "FAILED", "PROCESSING", 7, True, None, "a\x00b"]),
                "images": st.just([{"url": "https://a.b/c"}]) | IMAGES,
            }
        )
    },
    optional={
        "code": st.sampled_from([0, 0, 0.0, -0.0, 1, False, None, "0"]),
        "success": st.sampled_from([True, True, None, 1, "true", False]),
    },
)
DOCUMENTS = ENVELOPES | ACCEPTED | NEARLY_RIGHT | JSON
STATUSES = st.just(200) | st.sampled_from(
    [200, 201, 299, 300, 301, 400, 401, 402, 404, 418, 429, 500, 502, 599]
)
CODECS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])


def encoded(document: Any, codec: str, ascii_only: bool) -> bytes:
    return json.dumps(document, ensure_ascii=ascii_only).encode(codec, "surrogatepass")


BODIES = st.builds(encoded, DOCUMENTS, CODECS, st.booleans())


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """Return a body that once was one: bytes cut, doubled or overwritten somewhere."""
    body = draw(BODIES)
    at, until = sorted((draw(st.integers(0, len(body))), draw(st.integers(0, len(body)))))
    return draw(
        st.sampled_from(
            [
                body[:at],
                body[at:],
                body[:at] + body[until:],
                body[:until] + body[at:],
                body.replace(b'"', b"'"),
            ]
        )
        | st.builds(lambda junk: body[:at] + junk + body[until:], st.binary(max_size=6))
    )


def check(read: Callable[[Reply], Any], reply: Reply) -> None:
    """Assert that the reader gives sound data, or an error that can be logged and sent on."""
    result = answer(read, reply)
    if isinstance(result, Acceptance):
        assert result.aluo_task_id.isprintable()
        assert result.aluo_task_id.strip()
    elif isinstance(result, Snapshot):
        assert result.status.isprintable()
        assert bool(result.result_urls) is (result.phase is Phase.SUCCEEDED)
        assert all(url.isprintable() for url in result.result_urls)
        assert result.reason is None or (result.reason.isprintable() and len(result.reason) <= EXCERPT)
    else:
        assert isinstance(result, AluoApiError | AluoReplyError)
        assert result.message.isprintable()
        assert len(getattr(result, "excerpt", "")) <= EXCERPT
        # Even a code of as many digits as Python reads must not make an endless message.
        assert len(result.message) < 10 * EXCERPT + len(str(getattr(result, "code", "")))
        json.dumps(result.message, ensure_ascii=False).encode()
    if not isinstance(result, AluoError):
        for amount in (result.credits.deducted, result.credits.remaining):
            assert amount is None or abs(float(amount)) <= sys.float_info.max


def bodies_that_broke_readers_elsewhere(test: Callable[..., None]) -> Callable[..., None]:
    for body in (
        b"",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b"NaN",
        b"-Infinity",
        b'{"data": {"taskId": NaN}}',
        b'{"data": {"taskId": 1e999}}',
        b'{"code": 1e999, "data": {"taskId": "a"}}',
        b'{"code": ' + b"9" * 5000 + b"}",
        b'{"code": ' + b"9" * 4300 + b"}",
        b'{"data": {"taskId": ' + b"9" * 4300 + b"}}",
        b'{"data": {"taskId": "a"}, "credits_remaining": ' + b"9" * 4000 + b"}",
        b'{"success": true, "success": false}',
        b'{"data": {"taskId": "a"}, "data": null}',
        b"[" * 100_000,
        b'{"data":' * 100_000,
        b'{"data": {"taskId": "a", "x": ' + b"[" * 300 + b"]" * 300 + b"}}",
        b'{"data": {"taskId": "\\ud800", "status": "\\udfff"}}',
        b'{"data": {"taskId": "\\u0000"}}',
        '{"data": {"taskId": "a"}}'.encode("utf-16"),
        '{"data": {"taskId": "ä"}}'.encode("latin-1"),
    ):
        test = example(body=body, http_status=200)(test)
    return test


@READERS
@bodies_that_broke_readers_elsewhere
@given(
    body=st.binary() | TEXTS.map(lambda text: text.encode("utf-8", "replace")) | BODIES | broken(),
    http_status=STATUSES,
)
def test_no_bytes_however_broken_give_anything_but_data_or_our_errors(
    read: Callable[[Reply], Any], body: bytes, http_status: int
) -> None:
    check(read, Reply(http_status, {}, body, 0.0))


@given(header=st.text(), body=BODIES, http_status=STATUSES, at=st.floats(0, 1e11))
def test_no_header_breaks_a_reader(header: str, body: bytes, http_status: int, at: float) -> None:
    check(read_status, Reply(http_status, {"retry-after": header, "location": header}, body, at))


@given(document=DOCUMENTS, codec=CODECS, ascii_only=st.booleans(), http_status=STATUSES)
def test_a_reply_is_refused_exactly_where_the_error_schema_says_so(
    document: Any, codec: str, ascii_only: bool, http_status: int
) -> None:
    reply = Reply(http_status, {}, encoded(document, codec, ascii_only), 0.0)
    refused = validator("error_reply").is_valid(document)
    for read in (read_acceptance, read_status):
        result = answer(read, reply)
        if refused:
            assert isinstance(result, AluoApiError)
            assert result.definite == (document.get("success") is False or http_status in REFUSALS)
        elif not 200 <= http_status < 300:
            assert isinstance(result, AluoReplyError) or result.code is None
        else:
            assert not isinstance(result, AluoApiError)


def unprintable(*texts: Any) -> bool:
    return any(isinstance(text, str) and not text.isprintable() for text in texts)


@given(document=DOCUMENTS | NEARLY_RIGHT, http_status=STATUSES)
def test_an_edit_is_accepted_exactly_where_the_schema_says_so_but_for_unprintable_ids(
    document: Any, http_status: int
) -> None:
    allowed = 200 <= http_status < 300 and validator("generate_reply").is_valid(document)
    result = answer(read_acceptance, reply_of(document, http_status))
    # The reader is stricter in one thing: an id that cannot be logged, stored and sent is none.
    stricter = allowed and unprintable(document["data"]["taskId"])
    assert isinstance(result, Acceptance) is (allowed and not stricter)


@given(document=DOCUMENTS | NEARLY_RIGHT, http_status=STATUSES)
@example(document={"data": {"status": "SUCCESS", "images": [{"url": "https://a.b/c\n"}]}}, http_status=200)
@example(document={"data": {"status": "SUCCESS", "images": [{"url": "https://a.b/c"}]}}, http_status=200)
def test_a_status_is_read_exactly_where_the_schema_says_so_but_for_unprintable_words_and_addresses(
    document: Any, http_status: int
) -> None:
    allowed = 200 <= http_status < 300 and validator("status_reply").is_valid(document)
    result = answer(read_status, reply_of(document, http_status))
    # The reader is stricter in one thing: what cannot be logged, stored and sent is no word and no address.
    data = document["data"] if allowed else {"status": "FAILED"}
    images = data["images"] if data["status"] == "SUCCESS" else []  # before, nobody reads them
    stricter = unprintable(data["status"], *(image["url"] for image in images))
    assert isinstance(result, Snapshot) is (allowed and not stricter)


@given(body=BODIES | broken(), http_status=STATUSES)
def test_an_error_read_from_any_reply_survives_the_way_through_json(body: bytes, http_status: int) -> None:
    result = answer(read_status, Reply(http_status, {}, body, 0.0))
    if isinstance(result, AluoError):
        rebuilt = load(json.loads(json.dumps(dump(result))))
        assert type(rebuilt) is type(result)
        assert vars(rebuilt) == vars(result)


def test_a_snapshot_and_its_phase_agree_with_the_table_of_words() -> None:
    assert {word: Snapshot(word).phase for word in replies._PHASES} == replies._PHASES


@pytest.mark.parametrize("http_status", [302, 401, 429, 503])
def test_a_success_with_an_http_error_is_no_refusal_for_it_may_have_been_accepted(http_status: int) -> None:
    reply = reply_of({"code": 0, "success": True, "data": {"taskId": "edit_1"}}, http_status)
    with pytest.raises(AluoReplyError, match="success together with an error"):
        read_acceptance(reply)


@pytest.mark.parametrize("code", [200, 429, 500])
def test_a_success_with_a_code_is_no_refusal_for_it_may_have_been_accepted(code: int) -> None:
    reply = reply_of({"code": code, "success": True, "data": {"taskId": "edit_1"}})
    with pytest.raises(AluoReplyError, match="success together with an error"):
        read_acceptance(reply)


def test_a_gateways_own_json_is_no_definite_refusal() -> None:
    error = answer(read_acceptance, reply_of({"code": 504, "message": "upstream timed out"}, 504))
    assert isinstance(error, AluoServerError)
    assert not error.definite


def test_any_answer_of_aluos_is_an_answer_and_is_quoted() -> None:
    assert read_answer(reply_of({"code": 0, "success": True, "data": None})).startswith('{"code": 0')
    assert isinstance(answer(read_answer, reply_of({"code": -1, "success": False})), AluoRequestRejected)
    assert isinstance(answer(read_answer, Reply(200, {}, b"<html>", 0.0)), AluoReplyError)
