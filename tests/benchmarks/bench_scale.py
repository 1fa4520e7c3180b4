"""A million edits a day on 20 keys, with 12 triggerers, on a simulated clock: who shares a key how well.

The pace, the conversations and the batch are the real ones; Aluo is a pretend one that refuses what a sliding
minute cannot hold; Airflow is a delay. A key's world is simulated by itself: keys have nothing in common but
Airflow's machines. Edits take 10-30 s (log-normal), a POST is fast but where it says otherwise. Every process
knows the key's full rate at first and learns its share by being refused, but where the connection tells less.

"limit": the part of the key's 1,000 calls a minute that went into finished edits, at two calls an edit.
"first": refused calls in the first minute, a key; "refused" is without it. "POSTs": under way on average, and
the most at once. Under three minutes; with --full, the day on all keys: about a quarter of an hour more.
"""

import argparse
import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from edit_durations import FIRST_SEED
from pretend_aluo import WINDOW
from scale_figures import Figures, at_risk, head, within
from scale_key import Key, Setting, run

EDITS, KEYS, TRIGGERERS, LIMIT = 1_000_000, 20, 12, 1000
#: The day: so many of its edits are a night's batches, there at once when it begins. The others come by
#: themselves in the daytime, so many hours long, most of them in the middle: half a sine.
NIGHT_EDITS, BATCH, DAY_HOURS = 600_000, 1000, 14
DAY_SECONDS = DAY_HOURS * 3600.0
#: Minutes of a busy window.
MINUTES = 15

Work = Callable[[Key], Awaitable[Any]]


def steady(per_minute: float, seconds: float) -> Work:
    """Let single edits come evenly, at random moments."""
    return lambda key: key.arrivals(lambda _: per_minute / 60, per_minute / 60, seconds)


def daytime(key: Key) -> Awaitable[None]:
    """Let a key's share of the daytime's single edits come."""
    most = math.pi / 2 * (EDITS - NIGHT_EDITS) / KEYS / DAY_SECONDS
    return key.arrivals(lambda passed: most * math.sin(math.pi * passed / DAY_SECONDS), most, DAY_SECONDS)


def night(key: Key) -> Awaitable[None]:
    """Work off a key's share of the night's batches, one at a time."""
    return key.batches(NIGHT_EDITS // KEYS // BATCH, BATCH)


def show(name: str, work: Work, setting: Setting, seconds: float | None = None) -> Key:
    """Print a row of one key. ``seconds``: of its window; ``None`` for all that it took."""
    key = run(work, setting, FIRST_SEED)
    start = 0.0 if seconds is None else WINDOW
    print(Figures.of([key], start, seconds or key.aluo.last_end).row(name), flush=True)
    return key


def load(seconds: float) -> None:
    print(head(f"single deferrable edits, {TRIGGERERS} triggerers, more and more of them a minute"))
    for per_minute in (37, 100, 200, 300, 400, 450):
        show(f"{per_minute} a minute", steady(per_minute, seconds), Setting(triggerers=TRIGGERERS), seconds)


def sharing(seconds: float) -> None:
    print(head("450 single deferrable edits a minute: 90 % of the key's limit"))
    work = steady(450, seconds)
    for triggerers in (1, 4, TRIGGERERS):
        show(f"{triggerers} triggerers, shares learned", work, Setting(triggerers=triggerers), seconds)
    for part, told in (("the limit", LIMIT // TRIGGERERS), ("half the limit", LIMIT // 2 // TRIGGERERS)):
        setting = Setting(triggerers=TRIGGERERS, told=told)
        show(f"{TRIGGERERS}, told {part} / {TRIGGERERS}: {told}", work, setting, seconds)
    show("1, told half the limit: 500", work, Setting(triggerers=1, told=500), seconds)
    print(head("more than the key can: single deferrable edits"))
    setting = Setting(triggerers=TRIGGERERS)
    show("600 a minute, nothing holds them back", steady(600, seconds), setting, seconds)
    for told in (LIMIT, LIMIT // 2 // TRIGGERERS):
        setting = Setting(triggerers=TRIGGERERS, told=told)
        show(f"a pool of 200 slots, told {told}", lambda key: key.pooled(200, seconds), setting, seconds)


def batches() -> None:
    print(head("batches: all that they took, from the first task's start to the last known end"))
    kept = {}
    for count, size, at_once, slow in (
        (6, 500, 1, False),
        (6, 1000, 1, False),
        (2, 3000, 1, False),
        (6, 1000, 2, False),
        (6, 1000, 1, True),
    ):
        name = f"{count} x {size}, {at_once} at a time{', slow POST' * slow}"
        work = partial(Key.batches, count=count, size=size, at_once=at_once)
        kept[name] = show(name, work, Setting(slow_post=slow))
    print("\na worker dies in a batch, in any second of its work:")
    for name, key in kept.items():
        print(at_risk(name, [key]))


def loss(seconds: float) -> None:
    print(head("a triggerer of 12 dies in the middle, and is back after a minute: 200 edits a minute"))

    async def dying(key: Key) -> None:
        await asyncio.gather(steady(200, seconds)(key), key.lose_a_triggerer(seconds / 2, 60.0))

    key = show("all of it", dying, Setting(triggerers=TRIGGERERS), seconds)
    middle = Figures.of([key], seconds / 2, seconds / 2 + 60)
    print(middle.row("the minute after the death"))
    print(f"{key.wanted} wanted, {key.aluo.edits} submitted, {len(key.aluo.seen)} ends seen")


def day(keys: int) -> None:
    """Print the day's two parts, on so many of the keys, one key after the other."""
    print(head(f"the day, {keys} of {KEYS} keys"))
    nights, days = [], []
    for number in range(keys):
        nights.append(run(night, Setting(), FIRST_SEED + number))
        print(at_night(nights[-1:], f"key {number + 1}, night"), flush=True)
        days.append(run(daytime, Setting(triggerers=TRIGGERERS), FIRST_SEED + number))
        print(Figures.of(days[-1:], 0.0, DAY_SECONDS).row(f"key {number + 1}, daytime"), flush=True)
    ends = [key.aluo.last_end / 60 for key in nights]
    print(head("all of them"))
    print(at_night(nights, f"night: batches of {BATCH}, done in {min(ends):.0f}-{max(ends):.0f} minutes"))
    whole = Figures.of(days, 0.0, DAY_SECONDS)
    print(whole.row(f"daytime: {DAY_HOURS} h"))
    busiest = Figures.of(days, DAY_SECONDS / 2 - 1800, DAY_SECONDS / 2 + 1800)
    print(busiest.row(f"  its busiest hour (keys: {busiest.least_used:.1%} to {busiest.most_used:.1%})"))
    print(at_risk("a worker dies in a batch", nights))
    print("daytime by the hour, wanted/done: " + ", ".join(hour(days, number) for number in range(DAY_HOURS)))
    print(f"{sum(key.wanted for key in nights + days)} edits, each submitted once, each end seen")


def at_night(keys: list[Key], name: str) -> str:
    return Figures.of(keys, 0.0, max(key.aluo.last_end for key in keys)).row(name)


def hour(keys: list[Key], number: int) -> str:
    between = number * 3600.0, (number + 1) * 3600.0
    wanted = sum(within(key.wanted_at, *between) for key in keys)
    return f"{wanted}/{sum(within(key.aluo.seen_at, *between) for key in keys)}"


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--full", action="store_true", help=f"the day on all {KEYS} keys instead of one")
    command.add_argument("--window", type=int, default=MINUTES, help="minutes of a busy window (%(default)s)")
    asked, _others = command.parse_known_args()  # `make bench ARGS=...` gives them to every benchmark
    seconds, began = 60.0 * asked.window, time.process_time()
    load(seconds)
    sharing(seconds)
    batches()
    loss(seconds)
    day(KEYS if asked.full else 1)
    print(f"{time.process_time() - began:.0f} CPU seconds of this machine in all")


if __name__ == "__main__":
    main()
