"""What a key's use came to: limit, lag, refusals, and what a crash would have left unknown."""

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from pretend_aluo import WINDOW
from scale_key import Key

#: Credits that an edit costs on the plans pro and max.
PRICE = 35
#: Calls that an edit cannot do without: its submit and one look.
LEAST_CALLS = 2
HOUR = 3600.0


class Figures(NamedTuple):
    """How keys were used between two moments."""

    #: Edits that were wanted, and whose end was seen, for each hour.
    wanted: float
    finished: float
    #: Part of the limit that went into finished edits, at two calls an edit; of the most and least used key.
    of_limit: float
    least_used: float
    most_used: float
    #: Accepted calls for each finished edit.
    calls: float
    #: Seconds from an edit's end at Aluo until a process of ours knew: mean, median, 99th percentile.
    lag: float
    p50: float
    p99: float
    #: Part of all calls that was refused, without the first minute, and how many calls in that a key.
    refused: float
    at_first: float
    #: POSTs under way: on average over all the time, and most at once of any key.
    posts: float
    most_posts: int
    #: Tries of tasks that failed for being refused.
    tries_failed: int

    @classmethod
    def of(cls, keys: Sequence[Key], start: float, end: float) -> "Figures":
        """Count what these keys did. Times in seconds since the beginning.

        :raises ValueError: an edit was lost, or submitted twice.
        """
        for key in keys:
            if not key.conserved:
                raise ValueError(f"{key.wanted} wanted, {key.aluo.edits} made, {len(key.aluo.seen)} seen")
        hours = (end - start) / HOUR
        finished = [within(key.aluo.seen_at, start, end) for key in keys]
        used = [
            LEAST_CALLS * count / hours / (60 * key.setting.limit)
            for count, key in zip(finished, keys, strict=True)
        ]
        lags = sorted(
            lag
            for key in keys
            for at, lag in zip(key.aluo.seen_at, key.aluo.lags, strict=True)
            if start <= at < end
        )
        good = sum(within(key.aluo.accepted, max(start, WINDOW), end) for key in keys)
        bad = sum(within(key.aluo.refused, max(start, WINDOW), end) for key in keys)
        return cls(
            wanted=sum(within(key.wanted_at, start, end) for key in keys) / hours,
            finished=sum(finished) / hours,
            of_limit=fmean(used),
            least_used=min(used),
            most_used=max(used),
            calls=sum(within(key.aluo.accepted, start, end) for key in keys) / max(sum(finished), 1),
            lag=fmean(lags),
            p50=lags[len(lags) // 2],
            p99=lags[int(len(lags) * 0.99)],
            refused=bad / max(good + bad, 1),
            at_first=fmean(within(key.aluo.refused, 0.0, WINDOW) for key in keys),
            posts=sum(key.aluo.post_seconds / key.aluo.last_end for key in keys),
            most_posts=max(key.aluo.most_posts for key in keys),
            tries_failed=sum(key.tries_failed for key in keys),
        )

    def row(self, name: str) -> str:
        tries = f"  {self.tries_failed} tries failed" if self.tries_failed else ""
        return (
            f"{name:<44} {self.wanted:8.0f} {self.finished:8.0f} {self.of_limit:6.1%} {self.calls:6.2f} "
            f"{self.lag:6.1f} {self.p50:6.1f} {self.p99:6.1f} {self.refused:8.2%} {self.at_first:6.1f} "
            f"{self.posts:6.2f} {self.most_posts:5d}{tries}"
        )


def head(what: str) -> str:
    """Return what stands over rows of figures."""
    return (
        f"\n{what}\n{'':<44} {'wanted/h':>8} {'done/h':>8} {'limit':>6} {'calls':>6} {'lag s':>6} {'p50':>6} "
        f"{'p99':>6} {'refused':>8} {'first':>6} {'POSTs':>6} {'most':>5}"
    )


def at_risk(name: str, keys: Sequence[Key]) -> str:
    """Say what a batch's worker would have left unknown, had it died in any second of its work."""
    unknown = sorted(count for key in keys for count in key.unknown)
    mean, p99, most = fmean(unknown), unknown[int(len(unknown) * 0.99)], unknown[-1]
    return (
        f"{name:<44} unknown edits: mean {mean:.1f}, p99 {p99}, most {most}; "
        f"credits: {mean * PRICE:.0f}, {p99 * PRICE}, {most * PRICE}"
    )


def within(times: Sequence[float], start: float, end: float) -> int:
    return sum(start <= at < end for at in times)
