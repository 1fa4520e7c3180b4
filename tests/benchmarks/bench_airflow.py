"""200 edits of 10 s in a real Airflow (PostgreSQL, LocalExecutor): one batch task beside mapped tasks.

Mapped: for each edit a task that submits, and a sensor that waits in the triggerer. The two take turns in
one Airflow, so that a machine whose speed drifts treats both alike, and Aluo's rate limit slows neither. CPU
is that of all processes of Airflow and PostgreSQL, the dead ones too, less what they take idle, measured
before and after each run. The bars: 40 times less CPU, 20 times less time beyond the edits' own 10 s. About
10 minutes; Linux only.
"""

import argparse
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from airflow_rig import EDIT_SECONDS, Cost, Rig, Used, WrongRun, started

from airflow_aluo.demo.processes import ProcessError
from airflow_aluo.demo.rest import RestError
from tests.servers.postgres import Missing

#: DAG ids: the one that we measure against, and ours.
MAPPED, BATCH = "mapped", "batch"
#: A better way to map, measured if asked for; no bar is set for it.
DEFERRABLE = "mapped_deferrable"
#: Edits that the DAG `warm_up` makes.
WARM_UP_EDITS = 8
#: How many times less the batch is to take of each of what :class:`Run` has.
BARS = {"seconds": 20, "cpu": 40}
#: The part of the machine that others may keep busy without a warning.
QUIET = 0.1


class Run(NamedTuple):
    """What one run took beyond what it cannot help."""

    #: Seconds beyond the edits' own.
    seconds: float
    #: CPU seconds beyond the idle ones.
    cpu: float
    #: The part of the machine, 0 to 1, that others kept busy meanwhile.
    disturbed: float


def measure(rig: Rig, asked: argparse.Namespace) -> dict[str, list[Run]]:
    """Let the contenders take turns; what each of their runs took."""
    rig.run("warm_up", WARM_UP_EDITS)
    print(rig.bytecode(), flush=True)
    runs: dict[str, list[Run]] = {name: [] for name in asked.only}
    idle = rig.idle(asked.only[0], asked.idle)
    for number in range(1, asked.rounds + 1):
        for name in asked.only:
            cost = rig.run(name, asked.edits)
            before, idle = idle, rig.idle(name, asked.idle)
            cpu = cost.cpu((before.rate + idle.rate) / 2)
            runs[name].append(Run(cost.wall - EDIT_SECONDS, cpu, cost.used.disturbed))
            print(f"round {number}, {name}: {told(cost, before, idle)}", flush=True)
    return runs


def told(cost: Cost, before: Used, after: Used) -> str:
    used = cost.used
    return (
        f"{cost.wall:.1f} s, {used.cpu:.1f} CPU-s in {used.seconds:.1f} s (idle before and after: "
        f"{before.rate:.3f} and {after.rate:.3f} a second), {cost.calls} calls of Aluo, "
        f"others kept {used.disturbed:.0%} of the machine busy"
    )


def show(runs: Mapping[str, list[Run]]) -> None:
    columns = {"seconds": f"s beyond the edits' {EDIT_SECONDS:.0f}", "cpu": "CPU-s beyond idle"}
    width = 24
    title = f"median of {max(map(len, runs.values()))}"
    print(f"\n{title:<18}" + "".join(f" {one:>{width}} {'min':>7} {'max':>7}" for one in columns.values()))
    medians: dict[tuple[str, str], float] = {}
    for name, ones in runs.items():
        line = f"{name:<18}"
        for column in columns:
            values = [getattr(one, column) for one in ones]
            median = medians[name, column] = statistics.median(values)
            line += f" {median:{width}.1f} {min(values):7.1f} {max(values):7.1f}"
        print(line)
    if {MAPPED, BATCH} <= runs.keys():
        ratios = {column: medians[MAPPED, column] / medians[BATCH, column] for column in columns}
        rows = {
            "times less": [f"{ratio:.1f}" for ratio in ratios.values()],
            "bar": [f"{BARS[column]}" for column in columns],
            "": ["met" if ratio >= BARS[column] else "MISSED" for column, ratio in ratios.items()],
        }
        for head, cells in rows.items():
            print(f"{head:<18}" + "".join(f" {cell:>{width}}{'':16}" for cell in cells).rstrip())
    if (worst := max(one.disturbed for ones in runs.values() for one in ones)) > QUIET:
        print(
            f"Others kept up to {worst:.0%} of the machine busy, and slowed the mapped tasks, which compute, "
            "more than the batch, which waits: measure again when it is quiet."
        )


def arguments() -> argparse.Namespace:
    command = argparse.ArgumentParser(description=__doc__)
    add = command.add_argument
    add("--rounds", type=int, default=3, help="runs of each (%(default)s)")
    add("--edits", type=int, default=200, help="edits a run (%(default)s)")
    add("--idle", type=float, default=20.0, help="seconds of idle time between two runs (%(default)s)")
    add("--paced", action="store_true", help="keep to the rate of the plan max, 1,000 calls a minute")
    add(
        "--only",
        choices=(MAPPED, DEFERRABLE, BATCH),
        action="append",
        help="measure this; may be given again",
    )
    asked, _others = command.parse_known_args()  # `make bench ARGS=...` gives them to every benchmark
    asked.only = asked.only or [MAPPED, BATCH]
    return asked


def main() -> int:
    asked = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and so leave nothing behind
    home = Path(tempfile.mkdtemp(prefix="aluo-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        try:
            with started(home, edits=asked.edits, paced=asked.paced) as rig:
                print(f"{asked.edits} edits of {EDIT_SECONDS:.0f} s, {os.cpu_count()} cores", flush=True)
                runs = measure(rig, asked)
        except Missing as error:
            print(f"bench_airflow: missing: {error}", file=sys.stderr)
            return 1
        except (ProcessError, RestError, WrongRun) as error:
            stack.pop_all()  # whoever reads the logs removes them
            print(f"bench_airflow: {error}\nlogs: {home / 'logs'}", file=sys.stderr)
            return 1
    show(runs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
