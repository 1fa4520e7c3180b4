"""How a batch goes, as a person reads it in the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Seconds between two lines: first, then twice as long each time, up to the last.
FIRST: Final = 10.0
LAST: Final = 60.0

_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Counts:
    """How many edits of a batch stand where."""

    edits: int
    done: int = 0
    running: int = 0
    failed: int = 0
    #: They succeeded, but their pictures did not land.
    not_landed: int = 0


def line(counts: Counts, seconds_a_call: float, usual: float) -> str:
    """Return ``312 of 500 done, 41 running, 2 failed, about 3 min left``.

    :param seconds_a_call: of the account's time: an edit takes two calls.
    :param usual: seconds that most edits take.
    """
    parts = [f"{counts.done} of {counts.edits} done"]
    if counts.running:
        parts.append(f"{counts.running} running")
    if counts.failed:
        parts.append(f"{counts.failed} failed")
    if counts.not_landed:
        parts.append(f"{counts.not_landed} not landed")
    ahead = counts.edits - counts.done - counts.failed - counts.not_landed - counts.running
    if ahead or counts.running:
        parts.append(f"about {_time((2 * ahead + counts.running) * seconds_a_call + usual)} left")
    return ", ".join(parts)


def _time(seconds: float) -> str:
    if seconds < 2 * _MINUTE:
        return f"{max(round(seconds, -1), 10):.0f} s"
    minutes = round(seconds / _MINUTE)
    return f"{minutes} min" if minutes < 2 * _MINUTE else f"{minutes / _MINUTE:.1f} h"
