"""The simulation of a large installation: it loses no edit, and its Aluo accepts no more than it says."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

BENCHMARKS = Path(__file__).parent
#: Calls a minute: few, so that a short time is enough to meet the limit.
LIMIT = 60
MINUTE = 60.0


class Simulation(NamedTuple):
    key: ModuleType
    figures: ModuleType


@pytest.fixture(scope="module")
def simulation() -> Iterator[Simulation]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import scale_figures
        import scale_key

        yield Simulation(scale_key, scale_figures)


def steady(per_minute: float, minutes: float) -> Any:
    """Let single edits come at random moments."""
    rate = per_minute / 60
    return lambda key: key.arrivals(lambda _: rate, rate, minutes * MINUTE)


def test_each_single_edit_is_submitted_once_and_its_end_is_seen(simulation: Simulation) -> None:
    key = simulation.key.run(steady(20, 5), simulation.key.Setting(limit=LIMIT, triggerers=3), seed=1)
    assert key.wanted > 50
    assert key.conserved
    assert set(key.aluo.seen) == set(range(key.wanted))
    assert set(key.aluo.seen.values()) == {1}
    assert len(key.aluo.lags) == len(key.aluo.seen_at) == key.wanted
    assert min(key.aluo.lags) >= 0


def test_each_edit_of_a_batch_is_submitted_once_and_its_end_is_seen(simulation: Simulation) -> None:
    setting = simulation.key.Setting(limit=LIMIT)
    key = simulation.key.run(lambda key: key.batches(3, 20, at_once=2), setting, seed=2)
    assert key.wanted == key.aluo.edits == 60
    assert set(key.aluo.seen.values()) == {1}
    assert key.conserved
    assert max(key.unknown) > 0
    assert key.unknown[-1] == 0


def test_no_minute_holds_more_accepted_calls_than_the_limit(simulation: Simulation) -> None:
    """More is wanted than the key can do, so all meet the limit, and are refused."""
    key = simulation.key.run(steady(40, 5), simulation.key.Setting(limit=LIMIT, triggerers=4), seed=3)
    accepted = key.aluo.accepted
    assert len(accepted) > 2 * key.wanted
    assert all(earlier <= later for earlier, later in pairwise(accepted))
    assert all(later - first >= MINUTE for first, later in zip(accepted, accepted[LIMIT:], strict=False)), (
        "a sliding minute held more than the limit"
    )
    assert key.aluo.refused
    assert key.conserved


def test_what_a_dead_triggerer_waited_for_is_waited_for_by_others(simulation: Simulation) -> None:
    async def dying(key: Any) -> None:
        import asyncio

        await asyncio.gather(steady(20, 5)(key), key.lose_a_triggerer(2 * MINUTE, MINUTE))

    key = simulation.key.run(dying, simulation.key.Setting(limit=LIMIT, triggerers=2), seed=4)
    assert key.conserved
    assert set(key.aluo.seen) == set(range(key.wanted))
    assert max(key.aluo.lags) > simulation.key.TAKEN_OVER[0]


def test_a_lost_edit_is_no_figure(simulation: Simulation) -> None:
    key = simulation.key.run(steady(20, 2), simulation.key.Setting(limit=LIMIT), seed=5)
    figures = simulation.figures.Figures.of([key], 0.0, key.aluo.last_end)
    assert figures.finished == pytest.approx(figures.wanted, rel=0.2)
    assert 0 < figures.of_limit < 1
    key.wanted_at.append(0.0)
    with pytest.raises(ValueError, match="wanted"):
        simulation.figures.Figures.of([key], 0.0, key.aluo.last_end)
