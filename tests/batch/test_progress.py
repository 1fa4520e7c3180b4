"""How a batch goes, as a person reads it."""

import pytest

from airflow_aluo.batch.progress import Counts, line


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        (Counts(500), "0 of 500 done, about 10 min left"),
        (Counts(500, 312, 41, 2), "312 of 500 done, 41 running, 2 failed, about 4 min left"),
        (Counts(500, 460, 40), "460 of 500 done, 40 running, about 50 s left"),
        (Counts(10_000, 1), "1 of 10000 done, about 3.3 h left"),
        (Counts(3, 3), "3 of 3 done"),
        (Counts(3, 1, 0, 2), "1 of 3 done, 2 failed"),
        (Counts(3, 1, 0, 1, 1), "1 of 3 done, 1 failed, 1 not landed"),
        (Counts(1, 0, 1), "0 of 1 done, 1 running, about 30 s left"),
    ],
)
def test_a_person_reads_how_it_goes(counts: Counts, said: str) -> None:
    assert line(counts, 0.6, 30.0) == said
