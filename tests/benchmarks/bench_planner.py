"""When to look at an edit: the planner beside clients that look by a rule, and beside itself all-knowing.

First with budget to spare, 1,000 requests a minute and an edit every 2 seconds, in virtual time: calls an
edit (its submit included) and the mean lag, from an edit's end until that is known. The bar: no rule is
better in both. There are 292 rules, so the best of them was chosen knowing the durations; ours begins with
the vendor's word and learns. Then durations that it does not expect: what an edit costs after the first 50,
the price of its looks and its lag, beside a planner that has learned 300 such durations exactly. The bar: at
most 15 % more. Where durations never vary it is not met: between two looks lies an interval, never a moment.
About 2 minutes.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import virtual_time
from edit_durations import FIRST_SEED, USUAL, Draw, around, log_normal, seeded, uniform
from pretend_aluo import WAY, PretendAluo
from pretend_driver import CONN_ID, EDIT, PretendDriver, account, new_turns

from airflow_aluo.pace.planner import Planner
from airflow_aluo.protocol import flows, record, waiting
from airflow_aluo.protocol.flows import Senses
from airflow_aluo.protocol.schedule import RetryRule

# --- budget to spare ---------------------------------------------------------------------------------------

LIMIT, APART = 1000, 2.0
#: Prices of a look, in seconds, at which the planner is shown beside the one that the pace asks then.
PRICES = (1.0, 2.25, 5.0)


class Point(NamedTuple):
    """How one way of looking does."""

    calls: float
    lag: float

    def beats(self, other: "Point") -> bool:
        return self.calls < other.calls and self.lag < other.lag


def rules() -> Iterator[tuple[str, list[float]]]:
    """Name each rule, and say at which ages it looks (seconds)."""
    for every in range(1, 21):
        yield f"every {every} s", [float(every * number) for number in range(1, 400)]
    for first, factor in itertools.product((1, 2, 5, 10), (1.2, 1.5, 2.0)):
        pauses = [first * factor**number for number in range(40)]
        yield f"backoff {first} s, times {factor}", list(itertools.accumulate(pauses))
    for first, every in itertools.product(range(5, 31), range(1, 11)):
        yield f"wait {first} s, then every {every} s", [float(first + every * n) for n in range(400)]


def by_rule(ages: list[float], durations: list[float]) -> Point:
    """Return how a rule does. As long as calls are on their way, neither side's clock stands still."""
    way = statistics.fmean(WAY)
    looks, lag = 0, 0.0
    for duration in durations:
        asked = 0.0  # the age at which Aluo is asked; the pause begins when the answer before it is there
        late = 2 * way
        for number, age in enumerate(ages, 1):
            asked = age + late + 2 * way * (number - 1)
            if asked >= duration:
                looks += number
                break
        lag += asked + way - duration
    return Point(1 + looks / len(durations), lag / len(durations))


def ours(draw: Draw, edits: int, seed: int) -> tuple[Point, float]:
    """Return how the real wait does at an account that has little to do, and the refused part."""
    random.seed(seed)
    dice = seeded(seed)
    aluo = PretendAluo(LIMIT, draw, dice)

    async def main() -> None:
        turns = new_turns(LIMIT)
        driver = PretendDriver(account(LIMIT), turns, aluo)
        senses = Senses(now=time.time, dice=random.random, lookout=turns.pace)

        async def one(number: int) -> None:
            await asyncio.sleep(number * APART)
            order = flows.order(
                EDIT, (), aluo_conn_id=CONN_ID, estimated_credits=35, rule=RetryRule(), senses=senses
            )
            pending = await driver.run(order)
            now = time.time()
            rule = record.wait_rule(pending, deadline=now + 600, poll_interval=None, started_at=now)
            await driver.run(waiting.wait(record.task_id(pending), rule, senses, lambda *_: None))

        await asyncio.gather(*map(one, range(edits)))

    virtual_time.run(main)
    return Point(aluo.calls_an_edit, aluo.lag), aluo.refused_part


def compare(name: str, draw: Draw, edits: int, seeds: int) -> None:
    """Print the planner beside the best of the rules."""
    mine = [ours(draw, edits, seed) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]
    point = Point(*(statistics.median(column) for column in zip(*(one for one, _ in mine), strict=True)))
    dice = seeded(1)
    durations = [draw(dice, number) for number in range(20 * edits)]
    found = {rule: by_rule(ages, durations) for rule, ages in rules()}
    print(f"\n{name}: calls an edit, mean lag")
    print(f"  {'airflow_aluo':<44} {point.calls:6.2f} {point.lag:6.2f} s")
    for price in PRICES:
        learned = costs(draw, price, seed=FIRST_SEED, edits=edits, skip=0)
        print(
            f"  {f'  its planner alone, at {price:g} s a look':<44} {learned.calls:6.2f} {learned.lag:6.2f} s"
        )
    for kind in ("every", "backoff", "wait"):
        cheap = {
            rule: one for rule, one in found.items() if rule.startswith(kind) and one.calls <= point.calls
        }
        rule = min(cheap, key=lambda rule: cheap[rule].lag)
        print(f"  no more calls: {rule:<29} {cheap[rule].calls:6.2f} {cheap[rule].lag:6.2f} s")
    better = [rule for rule, one in found.items() if one.beats(point)]
    least = min(found, key=lambda rule: PRICES[0] * found[rule].calls + found[rule].lag)
    print(
        f"  {'the rule that costs least in hindsight: ' + least:<44} "
        f"{found[least].calls:6.2f} {found[least].lag:6.2f} s"
    )
    print(
        f"  of {len(found)} rules, better in both: {len(better)} ({', '.join(better[:4]) or 'none'}): "
        f"{'MISSED' if better else 'met'}"
    )


# --- durations that were not expected ----------------------------------------------------------------------

EDITS, LEARNING, PERFECT = 260, 50, 300
#: Most that an edit may cost, of what it costs with perfect knowledge.
BAR = 1.15


def drifting(dice: random.Random, number: int) -> float:
    return around(15 + 30 * min(number / EDITS, 1.0), 0.25)(dice, number)


def jumping(dice: random.Random, number: int) -> float:
    return around(15 if number < EDITS / 2 else 60, 0.25)(dice, number)


UNEXPECTED: dict[str, Draw] = {
    "uniform 10-30 s": uniform,
    "log-normal 10-30 s": log_normal,
    "log-normal about 3 s": around(3, 0.25),
    "log-normal about 120 s": around(120, 0.25),
    "drifting from 15 to 45 s": drifting,
    "jumping from 15 to 60 s": jumping,
    "all 3 s": around(3, 0.0),
    "all 120 s": around(120, 0.0),
}
CHANGING = (drifting, jumping)


class Cost(NamedTuple):
    """What an edit costs on average. ``cost``: price times looks, and lag, in seconds."""

    calls: float
    lag: float
    cost: float


def costs(draw: Draw, price: float, *, seed: int, edits: int = EDITS, skip: int = LEARNING) -> Cost:
    """Return what edits cost a planner that learns from its own looks."""
    dice, planner = seeded(seed), Planner()
    taken = []
    for number in range(edits):
        duration = draw(dice, number)
        looks, running_at, done_at = waited(planner, duration, price)
        planner.durations.learn(running_at, done_at)
        if number >= skip:
            taken.append((1 + looks, done_at - duration, price * looks + done_at - duration))
    return Cost(*map(statistics.fmean, zip(*taken, strict=True)))


def perfect(draw: Draw, price: float, *, seed: int) -> Cost:
    """Return what edits cost a planner that knows how long they take at the time.

    It forgets as ours does, so it is no optimum: ours may cost less.
    """
    dice, taken = seeded(seed), []
    planner = knowing(draw, seed, 0)
    for number in range(EDITS):
        duration = draw(dice, number)
        if draw in CHANGING and number % 10 == 0:
            planner = knowing(draw, seed, number)
        looks, _, done_at = waited(planner, duration, price)
        if number >= LEARNING:
            taken.append((1 + looks, done_at - duration, price * looks + done_at - duration))
    return Cost(*map(statistics.fmean, zip(*taken, strict=True)))


def knowing(draw: Draw, seed: int, number: int) -> Planner:
    """Return a planner that has learned durations exactly, those of the edit with this number."""
    dice, planner = seeded(seed + 1000), Planner()
    for _ in range(PERFECT):
        duration = draw(dice, number)
        planner.durations.learn(duration * 0.999, duration)
    return planner


def waited(planner: Planner, duration: float, price: float) -> tuple[int, float, float]:
    """Return the looks at one edit, and the ages at which it was last seen running and first seen done."""
    looks, running_at = 0, 0.0
    while True:
        age = max(planner.next_look(running_at, price), running_at + 0.1)
        looks += 1
        if age >= duration:
            return looks, running_at, age
        running_at = age


def median(of: Callable[..., Cost], draw: Draw, price: float, seeds: int) -> Cost:
    runs = [of(draw, price, seed=seed) for seed in range(FIRST_SEED, FIRST_SEED + seeds)]
    return Cost(*map(statistics.median, zip(*runs, strict=True)))


def surprise(seeds: int) -> None:
    """Print what the planner makes of durations that it did not expect."""
    for price in (1.0, 4.0, 20.0):
        print(f"\na look costs {price:g} s; after {LEARNING} edits: calls an edit, mean lag, cost")
        for name, draw in UNEXPECTED.items():
            learned, known = (median(of, draw, price, seeds) for of in (costs, perfect))
            ratio = learned.cost / known.cost
            print(
                f"  {name:<26} learned {learned.calls:5.2f} {learned.lag:6.2f} s {learned.cost:6.2f} s   "
                f"all-knowing {known.calls:5.2f} {known.lag:6.2f} s {known.cost:6.2f} s   "
                f"{ratio:5.2f} times the cost: {'met' if ratio <= BAR else 'MISSED'}"
            )


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--seeds", type=int, default=3, help="medians are of so many runs (%(default)s)")
    asked, _others = command.parse_known_args()  # `make bench ARGS=...` gives them to every benchmark
    print(f"budget to spare: {LIMIT} requests a minute, an edit every {APART:g} s; medians of {asked.seeds}")
    for name, draw in USUAL.items():
        compare(name, draw, 300, asked.seeds)
    surprise(asked.seeds)


if __name__ == "__main__":
    main()
