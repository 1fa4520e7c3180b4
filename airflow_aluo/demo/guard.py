"""Stops the demo's processes when the demo itself was killed: `python -m airflow_aluo.demo.guard HOME`.

HOME is only there to be read in a list of processes.
It reads `+PID` and `-PID` lines from its input. The input ends when the demo ends, in whatever
way; what was announced and not taken back is stopped then.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # Airflow's own dependency; it ships no types

from airflow_aluo.demo.processes import stop_sessions

if TYPE_CHECKING:
    from collections.abc import Iterable


def left_behind(lines: Iterable[str]) -> list[int]:
    """Ids of the session leaders that were announced and whose session may still have members."""
    born: dict[int, float | None] = {}
    for line in lines:
        sign, pid = line[:1], int(line[1:])
        if sign == "+":
            born[pid] = _birth(pid)
        else:
            born.pop(pid, None)
    # An id is given to another process only after its whole session has ended: an id that is
    # alive and was born at another time belongs to a stranger.
    return [pid for pid, birth in born.items() if _birth(pid) in (birth, None)]


def _birth(pid: int) -> float | None:
    """Epoch seconds at which the process began, or `None` if it is not there."""
    with suppress(psutil.Error):
        return float(psutil.Process(pid).create_time())
    return None


if __name__ == "__main__":
    stop_sessions(left_behind(sys.stdin))
