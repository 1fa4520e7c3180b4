"""What thousands of waiting edits cost a triggerer, beside a bare session and other providers' triggers.

A loopback HTTPS server in a process of its own answers all alike. Each contender is measured in fresh
processes that have imported Airflow, all in turn, several rounds, and medians count; the slow peers run one
round. Airflow logs only what is critical: in favour of the peers, who log each poll. About three minutes.

- ours: ``PhotoEditTrigger``, consumed as a triggerer does, over a connection whose pace never holds it back.
- bare: one ``aiohttp.ClientSession`` for all, a loop of GET and sleep an edit, no error handled.
- http provider: ``HttpSensorTrigger``, for which 404 means "not yet".
- dbt cloud: ``DbtCloudRunJobTrigger``.

Wall clock and lag say something on a machine at rest only; beside other work, look at the ratios of CPU.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peers.contenders import CONTENDERS, connections

HERE = Path(__file__).parent

#: What is measured: waiting edits, and the other numbers of the functions in ``peers/client.py``.
POLLS = ("polls", 1000, 0.1, 3.0)
LOOKS = ("looks", 5000, 4.0)

#: Rounds for ours and for a bare session; the peers run one.
POLL_ROUNDS, LOOK_ROUNDS = 5, 3
FAST = ("ours", "bare")

#: A contender that takes longer is not measured, in seconds.
PATIENCE = 100.0

Results = dict[str, list[dict[str, float]]]


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """Run the server; yield its port."""
    command = [sys.executable, "-m", "peers.server", str(folder)]
    with subprocess.Popen(command, cwd=HERE, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def environment() -> dict[str, str]:
    """Return the environment without what would change the measurement: proxies, settings, no bytecode."""
    strange = ("AIRFLOW_", "_AIRFLOW_", "PYTHONDONTWRITEBYTECODE", "SSL_CERT_", "REQUESTS_CA_", "CURL_CA_")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(strange) and not name.lower().endswith("_proxy")
    }


def measured(contender: str, what: tuple[Any, ...], folder: Path, port: int) -> dict[str, float] | None:
    """Return what one fresh process measures, ``None`` where that did not end."""
    name, *numbers = what
    command = [sys.executable, "-m", "peers.client", contender, name, str(folder), *map(str, numbers)]
    told = {"AIRFLOW_HOME": str(folder), "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL"}
    env = environment() | told | connections(folder, port)
    try:
        done = subprocess.run(
            command, cwd=HERE, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    if done.returncode:
        sys.exit(f"{contender}: {done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def in_turn(what: tuple[Any, ...], rounds: int, folder: Path, port: int) -> Results:
    """Measure all contenders, in turn."""
    results: Results = {contender: [] for contender in CONTENDERS}
    for number in range(rounds):
        for contender in CONTENDERS:
            if number == 0 or contender in FAST:
                result = measured(contender, what, folder, port)
                results[contender] += [] if result is None else [result]
    return results


def row(
    what: str,
    values: dict[str, float | None],
    bar: str = "",
    met: Callable[[float, float, list[float]], bool] | None = None,
) -> None:
    """Print one line. ``met``: the bar, given ours, that of a bare session, and those of the peers."""
    ours, bare, *peers = values.values()
    cells = "".join(f"{'-' if value is None else f'{value:.1f}':>15}" for value in values.values())
    ratio, said = "-", ""
    if ours is not None and bare is not None:
        ratio = f"{ours / bare:.2f}"
        if met is not None:
            said = "yes" if met(ours, bare, [peer for peer in peers if peer is not None]) else "no"
    print(f"{what:<36}{cells} {ratio:>6}  {bar:<30}{said}")


def of_all(
    results: Results, key: str, how: Callable[[list[float]], float] = statistics.median
) -> dict[str, float | None]:
    """Return one number a contender."""
    return {
        contender: how([one[key] for one in rounds]) if rounds else None
        for contender, rounds in results.items()
    }


def report(polls: Results, looks: Results) -> None:
    def cheap(ours: float, bare: float, peers: list[float]) -> bool:
        return ours <= 1.3 * bare and all(8 * ours <= peer for peer in peers)

    def near_bare(ours: float, bare: float, _: list[float]) -> bool:
        return ours <= 1.3 * bare

    head = "".join(f"{contender:>15}" for contender in CONTENDERS)
    print(f"{'what':<36}{head} {'/bare':>6}  {'bar':<30}met?")
    row("CPU per poll, 1,000 waiting, us", of_all(polls, "us"), "1.3 x bare, 1/8 of each peer", cheap)
    row("  the same, least of all rounds", of_all(polls, "us", min), "", cheap)
    row("memory per edit, 5,000 waiting, KB", of_all(looks, "kb"), "25", lambda ours, *_: ours <= 25)
    row("5,000 looks at once, wall, s", of_all(looks, "wall"), "1.3 x bare", near_bare)
    row("  the same, CPU, s", of_all(looks, "cpu"), "1.3 x bare", near_bare)
    row("  event loop's lag, p50, ms", of_all(looks, "p50"))
    row(
        "  event loop's lag, p99, ms",
        of_all(looks, "p99"),
        "1/5 of each peer",
        lambda ours, _, peers: all(5 * ours <= peer for peer in peers),
    )
    row("  event loop's lag, most, ms", of_all(looks, "max"))
    counts = (f"{contender} {len(polls[contender])} and {len(found)}" for contender, found in looks.items())
    print(f"rounds: {', '.join(counts)}")


def main() -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-waiting-") as name, server(Path(name)) as port:
        polls = in_turn(POLLS, POLL_ROUNDS, Path(name), port)
        looks = in_turn(LOOKS, LOOK_ROUNDS, Path(name), port)
    report(polls, looks)
    print(f"{time.monotonic() - started:.0f} seconds in all")


if __name__ == "__main__":
    main()
