"""One contender, measured in a fresh process.

``python -m peers.client <contender> <what> <folder> <numbers>`` prints one line of JSON. What comes before
that is not measured: imports, and one wait from its beginning to its end.
"""

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from peers.contenders import CONTENDERS, Waits
from peers.server import Board, allow_many_files

#: Seconds between two looks of the lag's clock at itself.
TICK = 0.005

#: The process has come to rest when so many ticks in a row took less than so many seconds of its CPU.
CALM_TICKS, CALM = 10, 0.002


async def reached(board: Board, answered: int) -> None:
    while board.answered < answered:  # noqa: ASYNC110  # the server is another process
        await asyncio.sleep(0.05)


@contextmanager
def waiting(coroutines: Iterable[Any]) -> Any:
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    yield tasks
    for task in tasks:
        if task.done():
            task.result()
        task.cancel()


async def cpu_per_poll(waits: Waits, board: Board, count: int, interval: float, seconds: float) -> Any:
    """Return the CPU of a poll in microseconds, over some seconds and at least two polls an edit.

    With a short interval there is always somebody to poll: what an event loop's idling costs is left out.
    """
    before = board.answered
    with waiting(waits([time.time()] * count, interval)):
        await reached(board, before + count)
        polls, cpu = board.answered, time.process_time()
        await asyncio.sleep(seconds)
        await reached(board, polls + 2 * count)
        polls, cpu = board.answered - polls, time.process_time() - cpu
    return {"us": cpu / polls * 1e6, "polls": polls}


async def one_look_each(waits: Waits, board: Board, count: int, settle: float) -> Any:
    """Return what a look at each of many waiting edits takes, and what they hold once they wait again."""
    gc.collect()
    memory = psutil.Process().memory_info().rss
    starts_at, before = time.time() + settle, board.answered
    with waiting(waits([starts_at] * count, 3600.0)):
        await asyncio.sleep(starts_at - time.time() - TICK)
        assert board.answered == before
        wall, cpu, lags = time.perf_counter(), time.process_time(), list[float]()
        ended, calm = (wall, cpu), 0
        while board.answered < before + count or calm < CALM_TICKS:
            tick, used = time.perf_counter(), time.process_time()
            await asyncio.sleep(TICK)
            lags.append(time.perf_counter() - tick - TICK)
            calm += 1
            if board.answered < before + count or time.process_time() - used > CALM:
                calm, ended = 0, (time.perf_counter(), time.process_time())
        lags = lags[:-CALM_TICKS]
        gc.collect()
        held = psutil.Process().memory_info().rss - memory
    cuts = statistics.quantiles(lags, n=100, method="inclusive")
    return {
        "wall": ended[0] - wall,
        "cpu": ended[1] - cpu,
        "p50": cuts[49] * 1e3,
        "p99": cuts[98] * 1e3,
        "max": max(lags) * 1e3,
        "kb": held / count / 1024,
    }


async def main(contender: str, what: str, folder: Path, *numbers: float) -> None:
    allow_many_files()
    assert not sys.dont_write_bytecode, "unset PYTHONDONTWRITEBYTECODE: imports would be measured, too"
    # Everybody waits in a process with Airflow in it, as large as a triggerer's heap is at least.
    import airflow.sdk
    import airflow.triggers.base  # noqa: F401

    waits, board = CONTENDERS[contender](), Board(folder / "board")
    board.done = True
    await asyncio.gather(*waits([0.0], 3600.0))
    board.done = False
    measure: Any = {"polls": cpu_per_poll, "looks": one_look_each}[what]
    count, *more = numbers
    print(json.dumps(await measure(waits, board, int(count), *more)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3], Path(sys.argv[3]), *map(float, sys.argv[4:])))
