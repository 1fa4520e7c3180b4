"""Flows are played by hand: a reply is sent or an error thrown in, a pause moves the clock."""

import json
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, pairwise, repeat
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_aluo.protocol import calls, flows, waiting
from airflow_aluo.protocol.calls import Call
from airflow_aluo.protocol.envelope import Reply
from airflow_aluo.protocol.errors import (
    AluoApiError,
    AluoConnectionError,
    AluoEditFailed,
    AluoEditTimedOut,
    AluoError,
    AluoOutOfCredits,
    AluoRateLimited,
    AluoReplyError,
    AluoRequestRejected,
    AluoServerError,
    AluoUnauthorized,
    AluoUnknownOutcome,
)
from airflow_aluo.protocol.flows import Flow, Lookout, Pause, Regular, Senses
from airflow_aluo.protocol.photo_edit import PhotoEdit
from airflow_aluo.protocol.record import iso, parse
from airflow_aluo.protocol.replies import Acceptance, Snapshot
from airflow_aluo.protocol.schedule import DEFAULT_RETRY_AFTER, RetryRule, WaitRule
from airflow_aluo.protocol.schemas import validator
from airflow_aluo.protocol.tally import Tally

EDIT = PhotoEdit(prompt="Change the color to blue", image_urls=("https://example.com/a.jpg",))
SUBMIT = calls.generate(EDIT)
#: Epoch seconds at which every story begins.
START = 1_000_000.0

Outcome = Reply | AluoConnectionError
Recorded = Callable[..., Reply]


@dataclass
class World:
    """A clock that only pauses and calls move, and what happened in it."""

    now: float = START
    #: Seconds that a call takes.
    took: float = 0.0
    dice: float = 0.0
    #: When each call was yielded.
    called_at: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    lookout: Lookout = field(default_factory=Regular)
    tally: Tally = field(default_factory=Tally)

    @property
    def senses(self) -> Senses:
        return Senses(now=lambda: self.now, dice=lambda: self.dice, lookout=self.lookout, tally=self.tally)

    def tell(self, message: str, /, *args: object) -> None:
        self.told.append(message % args)

    def play(self, flow: Flow[Any], outcomes: Iterable[Outcome]) -> Any:
        """Return the flow's result, or the error of ours that it ended with."""
        coming = iter(outcomes)
        try:
            wanted = next(flow)
            while True:
                wanted = self._answer(flow, wanted, coming)
        except StopIteration as end:
            return end.value
        except AluoError as error:
            return error

    def _answer(
        self, flow: Flow[Any], wanted: Call[Any] | Pause, coming: Iterator[Outcome]
    ) -> Call[Any] | Pause:
        if isinstance(wanted, Pause):
            assert wanted.seconds >= 0
            self.pauses.append(wanted.seconds)
            self.now += wanted.seconds
            return flow.send(None)
        self.called_at.append(self.now)
        self.now += self.took
        outcome = next(coming)
        return flow.send(outcome) if isinstance(outcome, Reply) else flow.throw(outcome)


def reply_of(content: Any, http_status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(http_status, headers or {}, json.dumps(content).encode(), START)


def status_of(word: str, **data: Any) -> Reply:
    return reply_of({"code": 0, "success": True, "data": {"status": word, **data}})


def not_sent() -> AluoConnectionError:
    return AluoConnectionError("connect refused", sent=False)


def lost() -> AluoConnectionError:
    return AluoConnectionError("the reply was lost", sent=True)


ACCEPTED = reply_of({"code": 0, "success": True, "data": {"taskId": "edit_1"}})
RUNNING = status_of("PROCESSING")
SUCCESS = status_of("SUCCESS", images=[{"url": "https://cdn.aluo.ai/1.png"}])
BUSY = reply_of({"code": 429, "success": False, "message": "Too many requests"}, 429)
BROKEN = Reply(502, {}, b"<html>", START)


def submit(world: World, *outcomes: Outcome, rule: RetryRule | None = None) -> Any:
    return world.play(flows.submit(SUBMIT, rule or RetryRule(), world.senses), outcomes)


def wait(world: World, rule: WaitRule, outcomes: Iterable[Outcome]) -> Any:
    return world.play(waiting.wait("edit_1", rule, world.senses, world.tell), outcomes)


# Submitting


def test_an_accepted_edit_is_sent_once() -> None:
    world = World()
    assert submit(world, ACCEPTED).aluo_task_id == "edit_1"
    assert len(world.called_at) == 1


def test_what_was_not_sent_is_tried_again() -> None:
    world = World()
    assert submit(world, not_sent(), not_sent(), ACCEPTED).aluo_task_id == "edit_1"
    assert len(world.called_at) == 3


def test_what_is_never_sent_ends_within_the_budget_as_it_was_seen() -> None:
    world = World(dice=0.5)
    error = submit(world, *(not_sent() for _ in range(100)), rule=RetryRule(budget=60.0))
    assert isinstance(error, AluoConnectionError)
    assert not error.sent
    assert START + 30 < world.now <= START + 60


def test_a_429_is_tried_again_after_the_time_that_it_asks_for() -> None:
    world = World()
    busy = reply_of({"code": 429, "success": False}, 429, {"retry-after": "20"})
    assert submit(world, busy, ACCEPTED).aluo_task_id == "edit_1"
    assert world.pauses == [20.0]


def test_a_429_that_asks_for_no_time_is_tried_again_after_a_quarter_of_a_minute() -> None:
    world = World()
    assert submit(world, BUSY, ACCEPTED).aluo_task_id == "edit_1"
    assert world.pauses == [DEFAULT_RETRY_AFTER]


def test_a_429_that_asks_for_more_than_the_budget_is_left_to_the_tasks_retries() -> None:
    world = World()
    busy = reply_of({"code": 429, "success": False}, 429, {"retry-after": "86400"})
    error = submit(world, busy, rule=RetryRule(budget=60.0))
    assert isinstance(error, AluoRateLimited)
    assert (error.retry_after, world.pauses) == (300.0, [])


@pytest.mark.parametrize(
    "case",
    [
        "accepted_without_an_id",
        "bad_gateway",
        "gateway_timeout",
        "half_json",
        "login_page",
        "moved",
        "neither_success_nor_failure",
        "not_found",
        "nothing",
    ],
)
def test_a_reply_that_tells_nothing_makes_the_outcome_unknown_and_nothing_is_sent_again(
    recorded: Recorded, case: str
) -> None:
    world = World()
    error = submit(world, recorded(case), ACCEPTED)
    assert type(error) is AluoUnknownOutcome
    assert error.final
    assert isinstance(error.__cause__, AluoReplyError | AluoServerError)
    assert error.__cause__.message in error.message
    assert len(world.called_at) == 1


def test_a_lost_reply_makes_the_outcome_unknown_and_nothing_is_sent_again() -> None:
    world = World()
    error = submit(world, lost(), ACCEPTED)
    assert type(error) is AluoUnknownOutcome
    assert isinstance(error.__cause__, AluoConnectionError)
    assert len(world.called_at) == 1


def test_a_reply_that_is_lost_after_tries_that_were_not_sent_is_unknown_too() -> None:
    world = World()
    assert type(submit(world, not_sent(), BUSY, lost(), ACCEPTED)) is AluoUnknownOutcome
    assert len(world.called_at) == 3


@pytest.mark.parametrize(
    ("case", "error_type"),
    [
        ("refused_prompt", AluoRequestRejected),
        ("refused_with_200", AluoRequestRejected),
        ("unauthorized", AluoUnauthorized),
        ("unauthorized_by_a_gateway", AluoUnauthorized),
        ("out_of_credits", AluoOutOfCredits),
        ("processing_failed", AluoServerError),
        ("server_error", AluoServerError),
    ],
)
def test_a_definite_refusal_is_raised_as_it_is_and_nothing_is_sent_again(
    recorded: Recorded, case: str, error_type: type
) -> None:
    world = World()
    error = submit(world, recorded(case), ACCEPTED)
    assert type(error) is error_type
    assert error.definite
    assert len(world.called_at) == 1


@st.composite
def any_reply(draw: st.DrawFn) -> Reply:
    """Return a reply that makes sense, or one that does not."""
    status = draw(st.sampled_from([200, 201, 302, 400, 401, 402, 403, 404, 408, 429, 500, 502, 503, 504]))
    body = draw(
        st.sampled_from([ACCEPTED.body, BUSY.body, b"", b"<html>", b"{", b"{}", b'{"success": false}'])
        | st.builds(
            lambda code, success: json.dumps({"code": code, "success": success, "data": {}}).encode(),
            st.sampled_from([0, -1, -2, 402, 429, 500, 1001, None, "0"]),
            st.sampled_from([True, False, None]),
        )
        | st.binary(max_size=20)
    )
    headers = draw(
        st.sampled_from([{}, {"retry-after": "1"}, {"retry-after": "86400"}, {"retry-after": "?"}])
    )
    return Reply(status, headers, body, START)


def may_have_been_accepted(outcome: Outcome) -> bool:
    """Decide anew, from the schemas alone, whether Aluo may hold an edit after this."""
    if isinstance(outcome, AluoConnectionError):
        return outcome.sent
    try:
        document = json.loads(outcome.body)
    except ValueError:
        document = None
    success = document.get("success") if isinstance(document, dict) else None
    if isinstance(success, bool):
        return success
    enveloped = validator("error_reply").is_valid(document)
    return outcome.http_status not in ({400, 401, 402, 429} if enveloped else {401, 429})


@given(
    outcomes=st.lists(
        any_reply() | st.booleans().map(lambda sent: AluoConnectionError("x", sent=sent)), max_size=12
    ),
    dice=st.floats(0, 1, exclude_max=True),
    took=st.floats(0, 200),
)
@example(outcomes=[not_sent(), BUSY, not_sent(), BUSY, lost()], dice=0.0, took=0.0)
def test_nothing_is_ever_sent_again_after_anything_that_may_have_reached_aluo(
    outcomes: list[Outcome], dice: float, took: float
) -> None:
    world = World(dice=dice, took=took)
    seen: list[Outcome] = []

    def coming() -> Iterator[Outcome]:
        for outcome in chain(outcomes, repeat(ACCEPTED)):
            assert not any(map(may_have_been_accepted, seen)), "sent twice"
            seen.append(outcome)
            yield outcome

    result = world.play(flows.submit(SUBMIT, RetryRule(), world.senses), coming())
    assert len(world.called_at) == len(seen)
    if isinstance(result, Acceptance | AluoUnknownOutcome):
        assert may_have_been_accepted(seen[-1])
    else:
        assert isinstance(result, AluoApiError | AluoConnectionError)
        assert not may_have_been_accepted(seen[-1])
    # No try starts after the budget.
    assert world.called_at[-1] <= START + RetryRule().budget + 1e-6


def test_an_ordered_edit_comes_back_as_a_record_with_both_times() -> None:
    world = World(took=2.0)
    order = flows.order(
        EDIT, (), aluo_conn_id="aluo_default", estimated_credits=40, rule=RetryRule(), senses=world.senses
    )
    record = parse(world.play(order, [ACCEPTED]))
    assert record["aluo_task_id"] == "edit_1"
    assert record["times"]["submitted_at"] == iso(START)
    assert record["times"]["accepted_at"] == iso(START + 2)


# Sending what may be repeated


@pytest.mark.parametrize("outcome", [not_sent(), lost(), BUSY, BROKEN, Reply(200, {}, b"<html>", START)])
def test_a_look_is_repeated_after_anything_that_is_no_answer(outcome: Outcome) -> None:
    world = World()
    look = flows.send(calls.status("edit_1"), RetryRule(), world.senses)
    assert world.play(look, [outcome, outcome, RUNNING]) == Snapshot("PROCESSING")


@pytest.mark.parametrize("case", ["unauthorized", "refused_prompt", "out_of_credits"])
def test_a_look_that_is_refused_is_not_repeated(recorded: Recorded, case: str) -> None:
    world = World()
    look = flows.send(calls.status("edit_1"), RetryRule(), world.senses)
    assert isinstance(world.play(look, [recorded(case)]), AluoApiError)
    assert world.pauses == []


def test_a_busy_server_is_asked_again_when_it_says() -> None:
    world = World()
    look = flows.send(calls.status("edit_1"), RetryRule(), world.senses)
    world.play(look, [Reply(503, {"retry-after": "9"}, b"", START), RUNNING])
    assert world.pauses == [9.0]


# Waiting


def minutes(count: float, **rule: Any) -> WaitRule:
    return WaitRule(deadline=START + 60 * count, **rule)


def test_a_wait_ends_with_the_edit() -> None:
    world = World()
    snapshot = wait(world, minutes(10), [RUNNING, RUNNING, SUCCESS])
    assert snapshot.result_urls == ("https://cdn.aluo.ai/1.png",)
    assert world.called_at == [START, START + 10, START + 20]


def test_an_edit_that_is_finished_at_the_first_look_costs_one_call_and_no_time() -> None:
    world = World()
    assert wait(world, minutes(10), [SUCCESS]).status == "SUCCESS"
    assert (world.called_at, world.now) == ([START], START)


def test_the_first_look_waits_for_its_time() -> None:
    world = World()
    wait(world, minutes(10, first_look_at=START + 7), [SUCCESS])
    assert world.called_at == [START + 7]


def test_a_deadline_that_has_passed_already_still_gets_one_look() -> None:
    world = World()
    assert wait(world, minutes(-1), [SUCCESS]).status == "SUCCESS"
    assert isinstance(wait(World(), minutes(-1), [RUNNING]), AluoEditTimedOut)


def test_words_that_nobody_documented_mean_still_running() -> None:
    world = World()
    snapshot = wait(
        world, minutes(10), [status_of(word) for word in ("QUEUED", "queued", "完成")] + [SUCCESS]
    )
    assert snapshot.status == "SUCCESS"


def test_an_unknown_word_for_ever_ends_at_the_deadline_with_a_last_look_on_it_and_is_quoted() -> None:
    world = World()
    error = wait(world, WaitRule(deadline=START + 25, poll_interval=10.0), repeat(status_of("ON HOLD")))
    assert type(error) is AluoEditTimedOut
    assert (error.aluo_task_id, error.last_status) == ("edit_1", "ON HOLD")
    assert "'ON HOLD'" in error.message
    assert world.called_at == [START, START + 10, START + 20, START + 25]


def test_an_edit_that_finishes_on_the_deadline_is_finished() -> None:
    world = World()
    rule = WaitRule(deadline=START + 25, poll_interval=10.0)
    assert wait(world, rule, [RUNNING, RUNNING, RUNNING, SUCCESS]).status == "SUCCESS"


def test_a_failed_edit_ends_the_wait_with_its_reason(recorded: Recorded) -> None:
    error = wait(World(), minutes(10), [RUNNING, recorded("status_failed_with_a_reason")])
    assert type(error) is AluoEditFailed
    assert error.aluo_task_id == "edit_1"
    assert "The picture shows no product: detector found 0 objects" in error.message


def test_a_failed_edit_without_a_reason_says_so(recorded: Recorded) -> None:
    error = wait(World(), minutes(10), [recorded("status_failed")])
    assert type(error) is AluoEditFailed
    assert "no reason given" in error.message


NO_ANSWERS = pytest.mark.parametrize(
    ("outcome", "error_type"),
    [
        (not_sent(), AluoConnectionError),
        (lost(), AluoConnectionError),
        (BROKEN, AluoServerError),
        (reply_of({"code": 500, "success": False}, 500), AluoServerError),
        (Reply(200, {}, b"<html>", START), AluoReplyError),
        (status_of("SUCCESS", images=[]), AluoReplyError),
    ],
)


@NO_ANSWERS
def test_five_failed_looks_in_a_row_are_survived_however_long_they_take(
    outcome: Outcome, error_type: type
) -> None:
    world = World(took=100.0)
    assert wait(world, minutes(60), [*repeat(outcome, 5), SUCCESS]).status == "SUCCESS"
    assert isinstance(wait(World(took=100.0), minutes(60), repeat(outcome)), error_type)


@NO_ANSWERS
def test_any_number_of_failed_looks_is_survived_for_two_minutes(outcome: Outcome, error_type: type) -> None:
    rule = minutes(60, poll_interval=1.0)
    world = World()
    assert wait(world, rule, [*repeat(outcome, 120), SUCCESS]).status == "SUCCESS"
    world = World()
    assert isinstance(wait(world, rule, repeat(outcome)), error_type)
    assert world.now == START + 120


def test_one_answer_between_failed_looks_starts_the_count_anew() -> None:
    world = World()
    outcomes = chain.from_iterable([*repeat(lost(), 12), RUNNING] for _ in range(20))
    assert wait(world, minutes(60), [*outcomes, SUCCESS]).status == "SUCCESS"


def test_a_wait_that_fails_silently_survives_any_number_of_failed_looks_until_its_deadline() -> None:
    world = World()
    error = wait(world, minutes(10, silent_fail=True), chain([RUNNING], repeat(BROKEN)))
    assert type(error) is AluoEditTimedOut
    assert (error.last_status, world.now) == ("PROCESSING", START + 600)


@pytest.mark.parametrize(
    ("case", "error_type"),
    [
        ("unauthorized", AluoUnauthorized),
        ("unauthorized_by_a_gateway", AluoUnauthorized),
        ("refused_prompt", AluoRequestRejected),
        ("out_of_credits", AluoOutOfCredits),
    ],
)
def test_a_refusal_ends_a_wait_at_once(recorded: Recorded, case: str, error_type: type) -> None:
    world = World()
    assert type(wait(world, minutes(10), [RUNNING, recorded(case), SUCCESS])) is error_type
    assert len(world.called_at) == 2


def test_an_edit_that_is_not_known_yet_is_waited_for_and_then_not_any_more(recorded: Recorded) -> None:
    missing = Reply(404, {}, recorded("refused_prompt").body, 0.0)
    rule = WaitRule(deadline=START + 600, poll_interval=10, missing_until=START + 25)
    world = World()
    assert wait(world, rule, [missing, missing, missing, recorded("status_success")]).status == "SUCCESS"
    world = World()
    assert isinstance(wait(world, rule, repeat(missing)), AluoRequestRejected)
    assert world.called_at == [START, START + 10, START + 20, START + 30]


def test_a_wait_can_be_gone_on_with_look_by_look(recorded: Recorded) -> None:
    world, progress = World(), waiting.Progress()
    rule = WaitRule(deadline=START + 600, poll_interval=10, exponential_backoff=True)
    pauses = []
    for case in ("status_processing", "bad_gateway", "status_processing"):
        found = world.play(waiting.look("edit_1", rule, progress, world.senses, world.tell), [recorded(case)])
        pauses.append(found.seconds)
    assert pauses == [10, 20, 40]
    assert (progress.looks, progress.failures, progress.last_status) == (3, 0, "PROCESSING")


def test_who_stays_leaves_once_a_pause_is_long(recorded: Recorded) -> None:
    rule = WaitRule(deadline=START + 600, first_look_at=START + 2, poll_interval=3, exponential_backoff=True)
    world, progress = World(), waiting.Progress()
    flow = waiting.stay("edit_1", rule, progress, world.senses, world.tell, shorter_than=5.0)
    found = world.play(flow, repeat(recorded("status_processing")))
    assert (found, progress.looks, world.pauses) == (Pause(6), 2, [2, 3])


def test_who_stays_sees_the_end(recorded: Recorded) -> None:
    rule, world = WaitRule(deadline=START + 600), World()
    flow = waiting.stay("edit_1", rule, waiting.Progress(), world.senses, world.tell, shorter_than=0.1)
    assert world.play(flow, [recorded("status_success")]).status == "SUCCESS"


def test_an_errand_is_done_before_each_look(recorded: Recorded) -> None:
    world, done = World(), []
    flow = waiting.wait(
        "edit_1",
        WaitRule(deadline=START + 600),
        world.senses,
        world.tell,
        lambda: done.append(len(world.called_at)),
    )
    world.play(flow, [recorded("status_processing"), recorded("status_success")])
    assert done == [0, 1]


def test_a_429_slows_a_wait_down_and_never_ends_it() -> None:
    world = World()
    outcomes = [reply_of({"code": 429, "success": False}, 429, {"retry-after": "50"}), BUSY, SUCCESS]
    assert wait(world, minutes(10), outcomes).status == "SUCCESS"
    assert world.called_at == [START, START + 50, START + 65]


def test_a_server_that_asks_for_time_gets_it_in_a_wait_too() -> None:
    world = World()
    wait(world, minutes(10), [Reply(503, {"retry-after": "50"}, b"", START), SUCCESS])
    assert world.called_at == [START, START + 50]


def test_a_wait_that_saw_nothing_by_its_deadline_says_so() -> None:
    error = wait(World(), minutes(10), repeat(BUSY))
    assert type(error) is AluoEditTimedOut
    assert error.last_status is None
    assert "no look at it succeeded" in error.message


def test_a_change_of_state_is_told_once_not_at_each_look() -> None:
    world = World()
    queued = status_of("QUEUED")
    failing = repeat(BROKEN, 3)
    wait(world, minutes(60), [queued, queued, queued, RUNNING, RUNNING, *failing, RUNNING, RUNNING, SUCCESS])
    first, second, failed, *rest = world.told
    assert (first, second) == ("edit edit_1 is QUEUED", "edit edit_1 is PROCESSING")
    assert "look 6 at edit edit_1 failed" in failed
    assert "502" in failed
    assert rest == ["edit edit_1 is PROCESSING", "edit edit_1 is SUCCESS"]


# Looking when it is likely to pay


class Planned:
    """A lookout with a plan: an age to look at first, then so many seconds between looks."""

    def __init__(self, first: float, further: float = 4.0) -> None:
        self.first, self.further = first, further
        self.asked: list[tuple[float, float]] = []
        self.learned: list[tuple[float, float]] = []

    def rest(self, age: float, looked_at: float) -> float:
        self.asked.append((age, looked_at))
        rest = (looked_at + self.further if looked_at else self.first) - age
        return rest if rest > 1e-6 else 0.0  # a clock that only pauses move would stand still

    def learn(self, running_at: float, done_at: float) -> None:
        self.learned.append((running_at, done_at))

    def watching(self) -> AbstractContextManager["Planned"]:
        return nullcontext(self)


def fresh(**rule: Any) -> WaitRule:
    """Return the rule of an edit whose submit was fast."""
    return minutes(10, **{"born_at": START, "fresh": True, "started_at": START} | rule)


def test_after_a_fast_submit_the_first_look_waits_until_it_is_likely_to_pay() -> None:
    world = World(lookout=Planned(14.0))
    assert wait(world, fresh(), [SUCCESS]).status == "SUCCESS"
    assert world.called_at == [START + 14]


def test_after_a_slow_submit_the_first_look_is_at_once_and_the_next_ones_are_planned() -> None:
    world = World(lookout=(plan := Planned(14.0)))
    rule = minutes(10, born_at=START - 20, started_at=START)
    assert wait(world, rule, [RUNNING, RUNNING, SUCCESS]).status == "SUCCESS"
    assert world.called_at == [START, START + 4, START + 8]
    assert plan.asked[0] == (20, 20)
    assert plan.learned == []  # it may have been done before anybody looked


def test_an_edit_of_which_only_the_id_is_known_is_looked_at_at_once_and_its_age_counts_from_then() -> None:
    world = World(lookout=(plan := Planned(14.0)), took=0.5)
    assert wait(world, minutes(10), [RUNNING, SUCCESS]).status == "SUCCESS"
    assert world.called_at == [START, START + 0.5 + 14]
    assert plan.asked[0] == (0, 0)
    assert plan.learned == []


def test_how_long_an_edit_took_is_learned_from_the_last_look_that_found_it_running() -> None:
    world = World(lookout=(plan := Planned(14.0)))
    wait(world, fresh(), [RUNNING, RUNNING, SUCCESS])
    assert plan.learned == [(18, 22)]


def test_an_edit_that_the_first_planned_look_finds_done_is_learned_from() -> None:
    world = World(lookout=(plan := Planned(14.0)))
    wait(world, fresh(), [SUCCESS])
    assert plan.learned == [(0, 14)]


def test_a_wait_that_comes_late_learns_nothing_from_what_it_finds_done() -> None:
    world = World(lookout=(plan := Planned(14.0)))
    wait(world, fresh(born_at=START - 300), [SUCCESS])
    assert (world.called_at, plan.learned) == ([START], [])


def test_a_wait_that_comes_late_and_finds_the_edit_running_learns_when_it_ends() -> None:
    world = World(lookout=(plan := Planned(14.0)))
    wait(world, fresh(born_at=START - 300), [RUNNING, SUCCESS])
    assert plan.learned == [(300, 304)]


def test_a_wait_that_goes_on_knows_when_the_edit_was_found_running_before() -> None:
    world = World(lookout=(plan := Planned(14.0)))
    rule = fresh(born_at=START - 20, looked_at=START - 3, first_look_at=START - 2.9)
    wait(world, rule, [SUCCESS])
    assert world.called_at == [START + 1]
    assert plan.learned == [(17, 21)]


def test_a_failed_edit_teaches_nothing() -> None:
    world = World(lookout=(plan := Planned(14.0)))
    assert isinstance(wait(world, fresh(), [status_of("FAILED")]), AluoEditFailed)
    assert plan.learned == []


@pytest.mark.parametrize("failed", [BROKEN, lost(), reply_of({"code": -1, "success": False}, 404)])
def test_failed_looks_are_not_repeated_in_haste(failed: Outcome) -> None:
    world = World(lookout=(plan := Planned(14.0)))
    wait(world, fresh(missing_until=START + 60), [failed, failed, failed, SUCCESS])
    assert world.called_at == [START + 14, START + 24, START + 34, START + 44]
    assert plan.learned == [(0, 44)]


def test_a_429_in_a_planned_wait_rests_the_account_as_long_as_it_asks() -> None:
    world = World(lookout=Planned(14.0))
    limited = reply_of({"code": 429, "success": False}, 429, {"retry-after": "50"})
    flow = waiting.wait("edit_1", fresh(), world.senses, world.tell)
    rests: list[float | None] = []

    def noted(flow: Flow[Any]) -> Flow[Any]:
        answer = None
        wanted = next(flow)
        while True:
            if isinstance(wanted, Pause):
                rests.append(wanted.account_rests)
            try:
                answer = yield wanted
                wanted = flow.send(answer)
            except StopIteration as end:
                return end.value

    assert world.play(noted(flow), [limited, SUCCESS]).status == "SUCCESS"
    assert world.called_at == [START + 14, START + 64]
    assert [one for one in rests if one is not None] == [50]


def test_a_plan_that_wants_the_next_look_at_once_is_not_hammered() -> None:
    world = World(lookout=Planned(14.0, further=0.0))
    wait(world, fresh(), [RUNNING, RUNNING, SUCCESS])
    assert world.called_at == pytest.approx([START + 14, START + 14.1, START + 14.2])


def test_a_planned_wait_takes_its_last_look_on_the_deadline() -> None:
    world = World(lookout=Planned(14.0, further=1000.0))
    error = wait(world, fresh(), repeat(RUNNING))
    assert isinstance(error, AluoEditTimedOut)
    assert world.called_at == [START + 14, START + 600]


def test_a_plan_beyond_the_deadline_does_not_outlast_it() -> None:
    world = World(lookout=Planned(10_000.0))
    assert wait(world, fresh(), [SUCCESS]).status == "SUCCESS"
    assert world.called_at == [START + 600]


def test_the_plan_is_asked_again_after_each_rest_and_may_have_changed() -> None:
    plan = Planned(14.0)
    world = World(lookout=plan)
    flow = waiting.wait("edit_1", fresh(), world.senses, world.tell)
    assert next(flow) == Pause(0)
    assert flow.send(None) == Pause(14, planned=True)
    world.now, plan.first = START + 14, 20.0  # the account has become busy meanwhile
    assert flow.send(None) == Pause(6, planned=True)


def test_without_a_lookout_looks_come_as_often_as_the_smallest_plan_allows() -> None:
    world = World()
    wait(world, fresh(), [RUNNING, RUNNING, SUCCESS])
    assert world.called_at == [START + 10, START + 20, START + 30]


def test_a_wait_with_an_interval_asks_no_lookout() -> None:
    world = World(lookout=(plan := Planned(14.0)))
    wait(world, fresh(poll_interval=10, first_look_at=START + 10), [RUNNING, SUCCESS])
    assert world.called_at == [START + 10, START + 20]
    assert plan.asked == []


def test_who_stays_leaves_a_long_planned_rest_to_others_and_goes_on_where_it_was() -> None:
    world, progress = World(lookout=(plan := Planned(14.0))), waiting.Progress()

    def goes_on(*outcomes: Outcome) -> Any:
        rule = fresh()
        flow = waiting.stay("edit_1", rule, progress, world.senses, world.tell, shorter_than=5.0)
        return world.play(flow, outcomes)

    assert goes_on() == Pause(14, planned=True)
    world.now = START + 14
    plan.further = 7.0
    assert goes_on(RUNNING) == Pause(7, planned=True)
    progress = waiting.Progress(**json.loads(json.dumps(asdict(progress))))  # as a task state store keeps it
    world.now = START + 21
    assert goes_on(SUCCESS).status == "SUCCESS"
    assert plan.learned == [(14, 21)]


def test_who_takes_a_wait_over_plans_anew_and_keeps_what_a_reply_asked_for() -> None:
    rule, progress = fresh(first_look_at=START - 1), waiting.Progress(looked_at=START + 5)
    planned = waiting.handed_over(rule, progress, Pause(14, planned=True), START + 6)
    asked = waiting.handed_over(rule, waiting.Progress(), Pause(50, account_rests=50), START + 6)
    assert (planned.first_look_at, planned.looked_at) == (START - 1, START + 5)
    assert (asked.first_look_at, asked.looked_at) == (START + 56, 0)
    again = replace(rule, looked_at=START + 2)
    assert waiting.handed_over(again, waiting.Progress(), Pause(1), START).looked_at == START + 2


@given(
    outcomes=st.lists(st.sampled_from([RUNNING, BUSY, BROKEN, lost(), not_sent()]), max_size=30),
    first=st.floats(0, 1000),
    further=st.floats(0, 1000),
    length=st.floats(0, 2000),
    age=st.floats(-100, 1000),
    took=st.floats(0, 30),
)
def test_every_planned_wait_ends_at_its_deadline_and_leaves_time_between_looks(
    *, outcomes: list[Outcome], first: float, further: float, length: float, age: float, took: float
) -> None:
    world = World(lookout=Planned(first, further), took=took)
    rule = replace(fresh(silent_fail=True, born_at=START - age), deadline=START + length)
    result = wait(world, rule, chain(outcomes, repeat(RUNNING)))
    assert isinstance(result, AluoEditTimedOut)
    assert world.called_at[-1] + took >= rule.deadline
    assert world.called_at[-1] <= rule.deadline + took + 1e-3
    gaps = [later - earlier for earlier, later in pairwise(world.called_at[:-1])]
    assert all(gap >= 0.1 - 1e-6 for gap in gaps)


LOOKS = st.sampled_from(
    [RUNNING, status_of("QUEUED"), BUSY, BROKEN, lost(), not_sent(), SUCCESS, status_of("FAILED")]
)


@given(
    outcomes=st.lists(LOOKS, max_size=30),
    last=st.sampled_from([RUNNING, BUSY, BROKEN]),
    length=st.floats(0, 2000),
    interval=st.floats(1, 100),
    backoff=st.booleans(),
    took=st.floats(0, 30),
)
def test_every_wait_ends_and_a_timeout_never_comes_before_a_look_at_the_deadline(
    *, outcomes: list[Outcome], last: Outcome, length: float, interval: float, backoff: bool, took: float
) -> None:
    world = World(took=took)
    rule = WaitRule(deadline=START + length, poll_interval=interval, exponential_backoff=backoff)
    result = wait(world, rule, chain(outcomes, repeat(last)))
    assert world.now <= rule.deadline + took + 1e-3
    seen = [*outcomes, *repeat(last, len(world.called_at))][: len(world.called_at)]
    words = [
        json.loads(look.body)["data"]["status"] for look in seen if look in (RUNNING, status_of("QUEUED"))
    ]
    if isinstance(result, AluoEditTimedOut):
        assert world.called_at[-1] + took >= rule.deadline
        assert result.last_status == (words[-1] if words else None)
    else:
        assert isinstance(result, Snapshot | AluoEditFailed | AluoConnectionError | AluoServerError)
    # At most one line for each change: never two equal lines in a row.
    assert all(one != other for one, other in zip(world.told, world.told[1:], strict=False))


# What is told to who counts


class Heard(Tally):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def submitted(self) -> None:
        self.notes.append("submitted")

    def rejected(self, error: str) -> None:
        self.notes.append(f"rejected {error}")

    def looked(self) -> None:
        self.notes.append("looked")

    def refused(self) -> None:
        self.notes.append("refused")

    def detected(self, seconds: float) -> None:
        self.notes.append(f"detected {seconds:g}")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        self.notes.append("waits")
        yield
        self.notes.append("waits no more")


def ordered(*outcomes: Outcome, rule: RetryRule | None = None) -> list[str]:
    tally = Heard()
    world = World(tally=tally)
    flow = flows.order(
        EDIT, (), aluo_conn_id="c", estimated_credits=40, rule=rule or RetryRule(), senses=world.senses
    )
    world.play(flow, outcomes)
    return tally.notes


def test_a_submit_is_told_once_it_is_accepted_and_each_429_before() -> None:
    assert ordered(BUSY, not_sent(), BUSY, ACCEPTED) == ["refused", "refused", "submitted"]


def test_a_submit_that_was_surely_not_accepted_is_told_by_its_error() -> None:
    assert ordered(reply_of({"code": 402, "success": False}, 402)) == ["rejected AluoOutOfCredits"]
    assert ordered(BUSY, rule=RetryRule(budget=0)) == ["refused", "rejected AluoRateLimited"]


def test_a_submit_that_was_never_sent_is_told_as_not_accepted() -> None:
    spent = RetryRule(budget=-1.0)
    assert ordered(not_sent(), rule=spent) == ["rejected AluoConnectionError"]


def test_of_a_submit_with_an_unknown_outcome_its_flow_tells_nothing() -> None:
    assert ordered(lost()) == []


def test_a_wait_tells_its_looks_and_how_long_an_edit_may_have_been_done() -> None:
    tally = Heard()
    world = World(tally=tally)
    rule = WaitRule(deadline=START + 100, poll_interval=7.0)
    wait(world, rule, [BUSY, lost(), not_sent(), RUNNING, SUCCESS])
    looks = ["looked", "refused", "looked", "looked", "looked"]
    assert tally.notes == ["waits", *looks, "detected 7", "waits no more"]


def test_only_a_look_is_told_as_one() -> None:
    tally = Heard()
    world = World(tally=tally)
    for call in (calls.probe("edit_1"), calls.picture("https://cdn.aluo.ai/1.png", lambda _: list)):
        world.play(flows.once(call, world.senses), [lost()])
        world.play(flows.once(call, world.senses), [SUCCESS])
    assert tally.notes == []


@pytest.mark.parametrize("broke_off", [KeyboardInterrupt(), CancelledError(), ValueError("a bug")], ids=repr)
def test_a_look_that_was_broken_off_is_told(broke_off: BaseException) -> None:
    tally = Heard()
    flow = flows.once(calls.status("edit_1"), World(tally=tally).senses)
    next(flow)
    with pytest.raises(type(broke_off)):
        flow.throw(broke_off)
    assert tally.notes == ["looked"]


def test_a_look_that_was_given_up_before_its_turn_is_not_told() -> None:
    tally = Heard()
    flow = flows.once(calls.status("edit_1"), World(tally=tally).senses)
    next(flow)
    flow.close()
    assert tally.notes == []


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"looked_at": START - 4.0}, ["detected 4"]),
        ({"born_at": START - 9.0, "fresh": True, "looked_at": START - 4.0}, ["detected 4"]),
        ({"born_at": START - 9.0, "fresh": True, "poll_interval": 1.0}, ["detected 9"]),
        ({"born_at": START - 3600.0, "fresh": True, "looked_at": START - 4.0}, ["detected 4"]),
        ({"born_at": START - 3600.0, "fresh": True}, []),
        ({"born_at": START - 9.0}, []),
        ({}, []),
    ],
    ids=[
        "a look",
        "a look and a birth",
        "a birth",
        "a look long after a birth",
        "a birth long ago",
        "a slow submit",
        "nothing",
    ],
)
def test_the_lag_is_counted_from_when_an_edit_is_last_known_to_have_run(
    known: dict[str, Any], told: list[str]
) -> None:
    tally = Heard()
    rule = WaitRule(**{"deadline": START + 100, "poll_interval": 1.0} | known)
    wait(World(tally=tally), rule, [SUCCESS])
    assert [note for note in tally.notes if note.startswith("detected")] == told


@pytest.mark.parametrize(("later", "told"), [(20.0, ["detected 35"]), (3600.0, [])], ids=["soon", "late"])
def test_who_takes_a_wait_over_counts_from_the_birth_only_if_that_was_just_now(
    later: float, told: list[str]
) -> None:
    tally = Heard()
    world = World(tally=tally)
    rule = WaitRule(
        deadline=START + 7200, poll_interval=5.0, born_at=START, first_look_at=START + 5, fresh=True
    )
    progress = waiting.Progress()
    flow = waiting.stay("edit_1", rule, progress, world.senses, world.tell, shorter_than=1.0)
    rule = waiting.handed_over(rule, progress, world.play(flow, []), world.now)
    assert rule.looked_at == 0.0
    world.now += later
    wait(world, rule, [BUSY, SUCCESS])
    assert [note for note in tally.notes if note.startswith("detected")] == told
