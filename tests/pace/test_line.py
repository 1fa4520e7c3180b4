"""The line: two queues, and neither starves the other."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_aluo.pace.line import Kind, Line


def lined_up(submits: int, looks: int) -> Line[tuple[Kind, int]]:
    line: Line[tuple[Kind, int]] = Line()
    for kind, count in ((Kind.SUBMIT, submits), (Kind.LOOK, looks)):
        for number in range(count):
            line.join(kind, (kind, number))
    return line


def test_who_waits_alone_is_next() -> None:
    line = lined_up(0, 1)
    assert len(line) == 1
    assert line.next() == (Kind.LOOK, 0)
    assert len(line) == 0


def test_nobody_is_next_where_nobody_waits() -> None:
    line: Line[str] = Line()
    with pytest.raises(IndexError):
        line.next()


def test_each_kind_is_served_in_the_order_of_its_coming() -> None:
    line = lined_up(20, 20)
    taken = [line.next() for _ in range(40)]
    for kind in Kind:
        assert [number for one, number in taken if one is kind] == list(range(20))


def test_where_both_wait_one_turn_in_five_is_a_submit() -> None:
    line = lined_up(100, 1000)
    assert Counter(line.next()[0] for _ in range(500)) == {Kind.SUBMIT: 100, Kind.LOOK: 400}


def test_hundreds_of_looks_let_a_submit_pass_within_five_turns() -> None:
    line = lined_up(0, 900)
    for _ in range(300):
        line.next()
    line.join(Kind.SUBMIT, (Kind.SUBMIT, 0))
    assert (Kind.SUBMIT, 0) in [line.next() for _ in range(5)]


def test_hundreds_of_submits_let_a_look_pass_within_two_turns() -> None:
    line = lined_up(900, 0)
    for _ in range(300):
        line.next()
    line.join(Kind.LOOK, (Kind.LOOK, 0))
    assert (Kind.LOOK, 0) in [line.next() for _ in range(2)]


def test_submits_go_first_where_that_is_asked() -> None:
    line = lined_up(3, 3)
    kinds = [line.next(submits_first=True)[0] for _ in range(6)]
    assert kinds == [*[Kind.SUBMIT] * 3, *[Kind.LOOK] * 3]


def test_submits_that_went_first_are_not_made_up_for_by_later_ones() -> None:
    line = lined_up(200, 1000)
    for _ in range(200):
        line.next(submits_first=True)
    line.join(Kind.SUBMIT, (Kind.SUBMIT, 200))
    assert (Kind.SUBMIT, 200) in [line.next() for _ in range(5)]


def test_who_leaves_is_not_called_and_leaving_twice_is_no_harm() -> None:
    line = lined_up(1, 3)
    line.leave(Kind.LOOK, (Kind.LOOK, 1))
    line.leave(Kind.LOOK, (Kind.LOOK, 1))
    assert len(line) == 3
    assert (Kind.LOOK, 1) not in [line.next() for _ in range(3)]


STEPS = st.lists(st.sampled_from([Kind.SUBMIT, Kind.LOOK, None]), max_size=300)


@given(steps=STEPS)
def test_whoever_comes_and_goes_neither_kind_waits_for_more_than_its_share(steps: list[Kind | None]) -> None:
    line: Line[Kind] = Line()
    waiting = Counter[Kind]()
    #: Turns of the other kind while one waited.
    passed = dict.fromkeys(Kind, 0)
    for step in steps:
        if step is not None:
            line.join(step, step)
            waiting[step] += 1
        elif len(line):
            taken = line.next()
            waiting[taken] -= 1
            for kind in Kind:
                passed[kind] = passed[kind] + 1 if waiting[kind] and kind is not taken else 0
    assert len(line) == waiting.total()
    assert passed[Kind.SUBMIT] <= 8
    assert passed[Kind.LOOK] <= 2
