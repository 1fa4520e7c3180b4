"""A record is found at its position, in lists and in pieces of results alike."""

from typing import Any

from airflow_aluo.ui.told import Part, Record, record_at, told
from tests.ui.book import edit_record, submitted_record
from tests.ui.test_edits import instance


def part(name: str, edits: int = 2) -> Part:
    return {"results": name, "start": 0, "end": 9, "edits": edits, "sha256": "0" * 64}


class Files:
    """Pieces of results by their names; all others are gone."""

    def __init__(self, **pieces: list[Record]) -> None:
        self._pieces = pieces
        self.asked: list[str] = []

    def read(self, parts: Any) -> list[list[Record] | None]:
        self.asked += [one["results"] for one in parts]
        return [self._pieces.get(one["results"]) for one in parts]


A, B, C, D = (edit_record(name) for name in "abcd")


def test_positions_go_on_from_piece_to_piece_and_over_those_that_are_gone() -> None:
    files = Files(one=[A, B], three=[C, D])
    found = told(instance(returned=[part("one"), part("two", 7), part("three")]), files.read)
    assert [(position, one["aluo_task_id"]) for position, one in found.records] == [
        (0, "a"),
        (1, "b"),
        (9, "c"),
        (10, "d"),
    ]
    assert found.unreadable == 7


def test_one_record_of_many_pieces_takes_one_of_them() -> None:
    files = Files(one=[A, B], three=[C, D])
    whole = instance(returned=[part("one"), part("two", 7), part("three")])
    assert record_at(whole, 10, files.read) == D
    assert files.asked == ["three"]
    assert record_at(whole, 5, files.read) is None
    assert record_at(whole, 11, files.read) is None


def test_a_piece_without_records_is_none() -> None:
    files = Files(one=[A, B])
    whole = instance(returned=[part("one", 0), part("one", -1)])
    assert told(whole, files.read) == ([], 0)
    assert files.asked == []


def test_each_position_that_is_told_is_found_again() -> None:
    files = Files(one=[A, B])
    for value in (A, [A, 3, B], [A, part("one"), None, C], {"version": 1}, []):
        whole = instance(returned=value, submitted=D)
        for position, record in told(whole, files.read).records:
            assert record_at(whole, position, files.read) == record


def test_what_is_reviewed_counts_before_what_was_approved_and_that_before_what_was_submitted() -> None:
    nothing = Files().read
    assert told(instance(reviewed=[A, B], returned=[B], submitted=C), nothing).records == [(0, A), (1, B)]
    assert told(instance(reviewed=[], returned=[B], submitted=C), nothing).records == [(0, B)]
    assert told(instance(returned={"manifest": "x"}, submitted=C), nothing).records == [(0, C)]
    pending = submitted_record()
    assert told(instance(submitted=pending), nothing).records == [(0, pending)]
