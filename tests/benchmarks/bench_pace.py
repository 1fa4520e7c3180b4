"""How much of what an account may ask ends in finished edits: a batch beside clients as people write them.

In virtual time: the real batch, and a pretend Aluo that counts calls over a sliding minute. The limit is
two calls an edit, a submit and one look, with no start and no drain; "of limit" is the part of it that was
reached from the first submit to the last known end. (Who spends the first minute's calls at once has a
minute's lead and may exceed it: those edits wait for the next minute to be looked at, and a crash leaves the
outcome of every POST under way unknown.) "used": of the calls allowed until the last submit. "tail": from
there to the end. Edits take 10-30 s; a slow POST holds until the edit is done. About 4 minutes.
"""

import argparse
import random
import statistics
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import virtual_time
from batches import work_off
from edit_durations import FIRST_SEED, USUAL, Draw, seeded
from habits import HABITS
from pretend_aluo import PretendAluo

#: Requests a minute, edits queued, and the part of the limit that is to be reached.
QUEUES = ((10, 60, 0.93), (100, 300, 0.95), (1000, 1000, 0.81))
#: Most calls that may be refused, and the longest mean lag in seconds.
MOST_REFUSED, LONGEST_LAG = 0.01, 13.0

OURS = "airflow_aluo's batch"

#: Works off so many edits: ``work(aluo, limit, edits)``.
Work = Callable[[PretendAluo, int, int], Awaitable[None]]


class Run(NamedTuple):
    """What became of one queue."""

    #: Part of the limit that was reached.
    share: float
    #: Mean seconds from an edit's end until that was known.
    lag: float
    #: Calls that were refused, and their part of all.
    refused: float
    refused_part: float
    calls_an_edit: float
    #: Most POSTs under way at once.
    posts: float
    #: Part of the allowed calls that was used until the last submit, and the seconds from there to the end.
    used: float
    tail: float


COLUMNS = ("of limit", "lag s", "refused", "% refused", "calls/edit", "POSTs", "used", "tail s")


def measure(work: Work, limit: int, edits: int, draw: Draw, seed: int, *, slow_post: bool) -> Run:
    random.seed(seed)
    aluo = PretendAluo(limit, draw, seeded(seed), slow_post=slow_post)
    virtual_time.run(lambda: work(aluo, limit, edits))
    before = sum(at <= aluo.last_submit for at in aluo.accepted)
    return Run(
        share=2 * edits / limit * 60.0 / aluo.last_end,
        lag=aluo.lag,
        refused=len(aluo.refused),
        refused_part=aluo.refused_part,
        calls_an_edit=aluo.calls_an_edit,
        posts=aluo.most_posts,
        used=before / (limit * max(aluo.last_submit, 60.0) / 60.0),
        tail=aluo.last_end - aluo.last_submit,
    )


def show(name: str, run: Run, verdict: str = "") -> None:
    print(
        f"  {name:<30} {run.share:8.1%} {run.lag:6.1f} {run.refused:8.0f} {run.refused_part:10.2%} "
        f"{run.calls_an_edit:10.2f} {run.posts:6.0f} {run.used:5.0%} {run.tail:7.1f}  {verdict}".rstrip()
    )


def verdict(run: Run, bar: float) -> str:
    wanted = {
        f"{bar:.0%} of the limit": run.share >= bar,
        f"refused at most {MOST_REFUSED:.0%}": run.refused_part <= MOST_REFUSED,
        f"lag at most {LONGEST_LAG:.0f} s": run.lag <= LONGEST_LAG,
    }
    missed = [name for name, met in wanted.items() if not met]
    return f"MISSED: {', '.join(missed)}" if missed else "met"


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--seeds", type=int, default=5, help="medians are of so many runs (%(default)s)")
    command.add_argument("--alone", action="store_true", help="without the others")
    asked, _others = command.parse_known_args()  # `make bench ARGS=...` gives them to every benchmark
    contenders: dict[str, Work] = {OURS: work_off}
    contenders |= {} if asked.alone else {habit.name: habit.work for habit in HABITS}
    print(
        f"medians of {asked.seeds}; the bars: of the limit as below, {MOST_REFUSED:.0%} refused, lag "
        f"{LONGEST_LAG:.0f} s"
    )
    for slow_post in (False, True):
        for durations, draw in USUAL.items():
            for limit, edits, bar in QUEUES:
                post = "slow POST" if slow_post else "fast POST"
                print(f"\n{limit} requests a minute, {edits} edits, {durations}, {post} (bar {bar:.0%})")
                print(
                    f"  {'':<30} {COLUMNS[0]:>8} {COLUMNS[1]:>6} {COLUMNS[2]:>8} {COLUMNS[3]:>10} "
                    f"{COLUMNS[4]:>10} {COLUMNS[5]:>6} {COLUMNS[6]:>5} {COLUMNS[7]:>7}"
                )
                runs: dict[str, list[Run]] = {name: [] for name in contenders}
                for seed in range(FIRST_SEED, FIRST_SEED + asked.seeds):
                    for name, work in contenders.items():
                        runs[name].append(measure(work, limit, edits, draw, seed, slow_post=slow_post))
                for name, ones in runs.items():
                    middle = Run(*map(statistics.median, zip(*ones, strict=True)))
                    show(name, middle, verdict(middle, bar) if name == OURS else "")


if __name__ == "__main__":
    main()
