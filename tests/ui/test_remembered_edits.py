"""Large runs are remembered for a moment, small ones never."""

from airflow_aluo.ui.edits import Edits, of
from airflow_aluo.ui.pieces import Pieces
from airflow_aluo.ui.remembered_edits import FRESH, LARGE, Lately
from tests.ui.book import edit_record
from tests.ui.test_edits import instance


def edits(count: int) -> Edits:
    return of(
        [instance(map_index=n, returned=edit_record(f"edit_{n}")) for n in range(count)], Pieces().reader()
    )


class Reader:
    """Reads the same again and again, and counts how often."""

    def __init__(self, found: Edits | None) -> None:
        self._found, self.count = found, 0

    def __call__(self) -> Edits | None:
        self.count += 1
        return self._found


def test_a_large_run_is_read_once_in_two_seconds() -> None:
    now = [100.0]
    lately, read = Lately(lambda: now[0]), Reader(edits(LARGE))
    for _ in range(3):
        assert len(lately.get(("run", "a"), read).edits) == LARGE  # type: ignore[union-attr]
    assert read.count == 1
    lately.get(("run", "b"), read)
    assert read.count == 2
    now[0] += FRESH
    lately.get(("run", "a"), read)
    assert read.count == 3


def test_a_small_run_is_read_each_time() -> None:
    lately, read = Lately(), Reader(edits(3))
    lately.get(("run", "a"), read)
    lately.get(("run", "a"), read)
    assert read.count == 2


def test_a_run_that_is_not_there_is_asked_for_each_time() -> None:
    lately, read = Lately(), Reader(None)
    assert lately.get(("run", "a"), read) is None
    assert lately.get(("run", "a"), read) is None
    assert read.count == 2


def test_only_a_few_runs_are_remembered() -> None:
    lately, read = Lately(lambda: 0.0), Reader(edits(LARGE))
    for name in "abcdea":
        lately.get(("run", name), read)
    assert read.count == 6
    lately.get(("run", "e"), read)
    assert read.count == 6
