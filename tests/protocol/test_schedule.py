import time
from datetime import UTC, datetime
from email.utils import format_datetime, formatdate
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_aluo.protocol.schedule import (
    DEFAULT_POLL_INTERVAL,
    MAX_RETRY_AFTER,
    MIN_PAUSE,
    RetryRule,
    WaitRule,
    retry_after,
)

#: Epoch seconds of some day in 2026.
NOW = 1_795_000_000.0
MOMENTS = st.floats(0, 4e9)
DURATIONS = st.floats(0, 1e7)
DICE = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("300", 300.0),
        ("301", MAX_RETRY_AFTER),
        ("86400", MAX_RETRY_AFTER),
        ("9" * 400, MAX_RETRY_AFTER),
        ("1e999", MAX_RETRY_AFTER),
    ],
)
def test_seconds_are_obeyed_but_no_longer_than_five_minutes(header: str, seconds: float) -> None:
    assert retry_after({"retry-after": header}, NOW) == seconds


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "soon",
        "-5",
        "7 seconds",
        "²",
        "nan",
        "inf",
        "Infinity",
        "Thu, 99 Jan 2026 00:00:00 GMT",
        "Thu, 01 Jan 99999 00:00:00 GMT",
        "Thu, 01 Jan 2026 00:00:00 +99999999",
        "jeu., 01 janv. 2026 00:00:00 GMT",
    ],
)
def test_what_is_neither_seconds_nor_a_date_asks_for_nothing(header: str) -> None:
    assert retry_after({"retry-after": header}, NOW) is None


def test_no_header_asks_for_nothing() -> None:
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 37.0),
        ("Sun Nov  6 08:49:37 1994", 37.0),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 37.0),
        ("Sun, 06 Nov 1994 09:49:37 +0100", 37.0),
        ("Sun, 06 Nov 1994 08:48:00 GMT", 0.0),
        ("Mon, 07 Nov 1994 08:49:37 GMT", MAX_RETRY_AFTER),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/Los_Angeles"])
def test_each_form_of_an_http_date_is_obeyed_wherever_the_worker_stands(
    monkeypatch: pytest.MonkeyPatch, date: str, seconds: float, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        now = datetime(1994, 11, 6, 8, 49, 0, tzinfo=UTC).timestamp()
        assert retry_after({"retry-after": date}, now) == seconds
    finally:
        monkeypatch.undo()
        time.tzset()


@given(now=MOMENTS.map(int), ahead=st.integers(-10_000, 10_000))
def test_a_date_asks_for_what_is_left_until_it(now: int, ahead: int) -> None:
    header = formatdate(max(now + ahead, 0), usegmt=True)
    assert retry_after({"retry-after": header}, now) == min(
        max(max(now + ahead, 0) - now, 0), MAX_RETRY_AFTER
    )


@given(
    header=st.text() | st.floats().map(str) | st.datetimes(timezones=st.timezones()).map(format_datetime),
    now=MOMENTS,
)
@example(header="Mon, 01 Jan 0001 00:00:00 +2359", now=0.0)
def test_no_header_asks_for_more_than_the_ceiling_or_less_than_nothing(header: str, now: float) -> None:
    seconds = retry_after({"retry-after": header}, now)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


@given(tries=st.integers(1, 10**6), dice=DICE)
def test_jitter_lies_between_nothing_and_a_ceiling_that_doubles_up_to_the_cap(
    tries: int, dice: float
) -> None:
    rule = RetryRule(base=1.0, cap=15.0)
    assert 0 <= rule.pause(tries, dice) <= min(15.0, 2.0 ** min(tries - 1, 10))


@pytest.mark.parametrize(
    ("tries", "ceiling"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 15.0), (99, 15.0)]
)
def test_half_the_dice_pause_half_the_ceiling(tries: int, ceiling: float) -> None:
    assert RetryRule(base=1.0, cap=15.0).pause(tries, 0.5) == ceiling / 2


@given(tries=st.integers(1, 10**6), dice=DICE, asked=st.floats(0, MAX_RETRY_AFTER))
def test_a_pause_that_was_asked_for_is_never_shortened_and_hardly_lengthened(
    tries: int, dice: float, asked: float
) -> None:
    rule = RetryRule()
    assert asked <= rule.pause(tries, dice, asked) <= asked + rule.base


RULES = st.builds(
    WaitRule,
    deadline=MOMENTS,
    first_look_at=MOMENTS,
    poll_interval=st.floats(-10, 1e308),
    exponential_backoff=st.booleans(),
    max_wait=st.none() | st.floats(-10, 1e6),
)


def test_looks_come_at_the_interval_and_the_last_falls_on_the_deadline() -> None:
    rule = WaitRule(deadline=NOW + 25, poll_interval=10.0)
    assert rule.next_pause(1, NOW) == 10.0
    assert rule.next_pause(2, NOW + 10) == 10.0
    assert rule.next_pause(3, NOW + 20) == 5.0
    assert rule.next_pause(4, NOW + 25) is None


def test_each_pause_is_twice_the_one_before_it_where_that_is_wanted() -> None:
    rule = WaitRule(deadline=NOW + 1e6, poll_interval=3.0, exponential_backoff=True)
    assert [rule.next_pause(looks, NOW) for looks in (1, 2, 3, 4)] == [3.0, 6.0, 12.0, 24.0]


def test_backoff_stops_at_its_ceiling() -> None:
    rule = WaitRule(deadline=NOW + 1e6, poll_interval=3.0, exponential_backoff=True, max_wait=10.0)
    assert [rule.next_pause(looks, NOW) for looks in (1, 2, 3, 10**9)] == [3.0, 6.0, 10.0, 10.0]


def test_a_pause_that_a_reply_asks_for_goes_before_the_interval_and_the_ceiling_but_not_the_deadline() -> (
    None
):
    rule = WaitRule(deadline=NOW + 100, poll_interval=10.0, max_wait=20.0)
    assert rule.next_pause(1, NOW, asked=60.0) == 60.0
    assert rule.next_pause(1, NOW, asked=2.0) == 10.0
    assert rule.next_pause(1, NOW, asked=300.0) == 100.0


@pytest.mark.parametrize("interval", [0.0, -5.0])
def test_no_interval_hammers_the_server(interval: float) -> None:
    assert WaitRule(deadline=NOW + 100, poll_interval=interval).next_pause(1, NOW) == MIN_PAUSE
    assert WaitRule(deadline=NOW + 100, max_wait=interval).next_pause(1, NOW) == MIN_PAUSE


@given(
    rule=RULES,
    looks=st.integers(0, 10**18),
    now=MOMENTS,
    asked=st.none() | st.floats(0, MAX_RETRY_AFTER),
)
def test_a_next_pause_is_above_nothing_ends_at_the_deadline_and_is_none_only_after_it(
    rule: WaitRule, looks: int, now: float, asked: float | None
) -> None:
    pause = rule.next_pause(looks, now, asked)
    if now >= rule.deadline:
        assert pause is None
    else:
        assert pause is not None
        assert 0 < pause <= rule.deadline - now
        assert pause >= min(MIN_PAUSE, rule.deadline - now)


@given(rule=RULES, now=MOMENTS)
def test_pauses_with_backoff_never_get_shorter_before_the_deadline_cuts_them(
    rule: WaitRule, now: float
) -> None:
    pauses = [rule.next_pause(looks, now) for looks in range(1, 60)]
    for shorter, longer in pairwise(pauses):
        assert shorter is None or (longer is not None and shorter <= longer)


@given(rule=RULES, now=MOMENTS)
def test_the_first_look_waits_for_its_time_but_not_beyond_the_deadline(rule: WaitRule, now: float) -> None:
    pause = rule.first_pause(now)
    assert pause >= 0
    assert pause == 0 or now + pause == pytest.approx(min(rule.first_look_at, rule.deadline))


@given(
    start=MOMENTS,
    length=st.floats(0, 5000),
    interval=st.floats(1, 600),
    backoff=st.booleans(),
    took=st.floats(0, 5),
)
def test_a_wait_played_to_its_end_takes_its_last_look_on_the_deadline_never_early(
    *, start: float, length: float, interval: float, backoff: bool, took: float
) -> None:
    rule = WaitRule(deadline=start + length, poll_interval=interval, exponential_backoff=backoff)
    now, looks = start + rule.first_pause(start), 0
    while True:
        looks += 1
        looked_at = now
        now += took
        pause = rule.next_pause(looks, now)
        if pause is None:
            break
        now += pause
    # A look that is under way at the deadline is the last one: it ends after it.
    assert now >= rule.deadline
    assert looked_at <= rule.deadline + took + 1e-3
    assert looked_at + took >= rule.deadline


def test_five_failed_looks_are_survived_for_ever_and_any_number_for_two_minutes() -> None:
    rule = WaitRule(deadline=NOW + DEFAULT_POLL_INTERVAL)
    assert not rule.gives_up(5, NOW, NOW + 1e6)
    assert not rule.gives_up(10**6, NOW, NOW + 119)
    assert rule.gives_up(6, NOW, NOW + 120)


@given(failures=st.integers(0, 10**9), lasted=DURATIONS)
def test_a_wait_that_fails_silently_never_gives_up_before_its_deadline(failures: int, lasted: float) -> None:
    assert not WaitRule(deadline=NOW, silent_fail=True).gives_up(failures, NOW, NOW + lasted)


@given(interval=st.floats(MIN_PAUSE, 600), looks=st.integers(1, 25))
def test_looks_that_were_not_counted_are_told_from_the_time_that_doubling_pauses_took(
    interval: float, looks: int
) -> None:
    rule = WaitRule(deadline=1e12, poll_interval=interval, exponential_backoff=True)
    passed = sum(rule.next_pause(look, 0.0) or 0.0 for look in range(1, looks))
    # A moment later, so that a rounded sum does not fall just below the look.
    assert rule.looks_after(passed * (1 + 1e-9)) == looks
    assert rule.looks_after(passed + rule.poll_interval * 0.5) == looks


@pytest.mark.parametrize("interval", [0.0, -1.0, 10.0, 1e308])
@pytest.mark.parametrize("seconds", [-5.0, 0.0, 1e12])
def test_no_time_and_no_interval_break_the_count_of_looks(interval: float, seconds: float) -> None:
    assert 1 <= WaitRule(deadline=0.0, poll_interval=interval).looks_after(seconds) < 50
