"""A thousand pictures of 1 MB on loopback: PhotoDownloadOperator beside curl --parallel and aria2c -j16.

The same set from the same host in the same run, 16 at a time, into a fresh folder each, in turn. Medians of
the rounds count, and for a ratio those of each round's ratio: a machine that others use, too, is now fast
and now slow. Of ours, in a process that has imported Airflow, the task's ``execute`` is measured, with all
that it imports; once for as many edits of one picture each, once for a list of addresses. Of the others, as
they come, the whole process, which starts in milliseconds. They write what they get. Ours also reads each
picture to its end, computes its sha256, and gives it its name only then.

The bars: half of the others' throughput, and 150 MB of memory over the task's start. "host" is the CPU of the
process that serves the pictures: with two cores it takes its part from everybody. A few minutes, and 2 GB in
the temporary folder (``TMPDIR``; where that is a slow disk, the disk is measured).
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import picture_host
import psutil

from airflow_aluo.demo.settings import clean_environment

HERE = Path(__file__).parent
AT_ONCE = "16"
LEAST_RATIO, MOST_MEMORY = 0.5, 150.0
OURS = ("ours, edits", "ours, addresses")


class Tool(NamedTuple):
    """Somebody else's tool. ``package``: Debian's name of what holds it."""

    name: str
    package: str
    arguments: tuple[str, ...]
    #: The option before its file of input.
    takes: str


TOOLS = {
    "curl --parallel": Tool(
        "curl", "curl", ("--silent", "--fail", "--parallel", "--parallel-max", AT_ONCE), "--config"
    ),
    "aria2c -j16": Tool("aria2c", "aria2", ("--no-conf", "--quiet", "-j", AT_ONCE), "--input-file"),
}

#: Fetches into a folder, and tells what that took.
Fetch = Callable[[Path], dict[str, float]]


class Run(NamedTuple):
    """How one set came."""

    #: Seconds, and seconds of CPU: the contender's own, and the host's.
    wall: float
    cpu: float
    host: float
    #: MB over the start, of ours.
    memory: float = 0.0


class Site(NamedTuple):
    """What is to be fetched."""

    #: Files that name all of it: an address a line, and as each tool reads it.
    inputs: dict[str, Path]
    base: str
    megabytes: float
    host: psutil.Process


@contextmanager
def site(home: Path, count: int) -> Iterator[Site]:
    """Draw the pictures and serve them."""
    folder = home / "pictures"
    folder.mkdir()
    paths = list(picture_host.draw(folder, count))
    command = [sys.executable, str(HERE / "picture_host.py"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base = f"http://127.0.0.1:{int(process.stdout.readline())}"
            urls = {path.name: f"{base}/{path.name}" for path in paths}
            texts = {
                "addresses": "\n".join(urls.values()),
                "curl": "\n".join(f'url = "{url}"\noutput = "{name}"' for name, url in urls.items()),
                "aria2c": "\n".join(f"{url}\n  out={name}" for name, url in urls.items()),
            }
            inputs = {name: home / f"{name}.txt" for name in texts}
            for name, text in texts.items():
                inputs[name].write_text(f"{text}\n")
            megabytes = sum(path.stat().st_size for path in paths) / 1e6
            yield Site(inputs, base, megabytes, psutil.Process(process.pid))
        finally:
            process.terminate()


def ours(form: str, what: Site, folder: Path) -> dict[str, float]:
    """Land them with a task of ours."""
    connection = {"conn_type": "aluo", "host": what.base, "password": "sk-of-a-benchmark"}
    environment = clean_environment() | {
        "AIRFLOW_HOME": str(folder.parent / "airflow"),
        "AIRFLOW_CONN_ALUO_DEFAULT": json.dumps(connection),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    lander = str(HERE / "picture_lander.py")
    output = run([sys.executable, lander, form, str(what.inputs["addresses"]), str(folder)], env=environment)
    told: dict[str, float] = json.loads(output.splitlines()[-1])
    return told


def theirs(tool: Tool, what: Site, folder: Path) -> dict[str, float]:
    """Fetch them with somebody else's tool."""
    folder.mkdir()
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run([tool.name, *tool.arguments, tool.takes, str(what.inputs[tool.name])], cwd=folder)
    wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall": wall, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Return what a process prints, or end with what it complains about."""
    env = env or clean_environment()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[:2]}: {done.stderr[-3000:]}")
    return done.stdout


def contenders(what: Site) -> dict[str, Fetch]:
    """Return all that are here; say loudly who is not."""
    found: dict[str, Fetch] = {name: partial(ours, name.rpartition(" ")[2], what) for name in OURS}
    for name, tool in TOOLS.items():
        if shutil.which(tool.name) is None:
            print(f"!!! NOT MEASURED beside {name}: {tool.name} is missing; install {tool.package}")
        else:
            found[name] = partial(theirs, tool, what)
    return found


def measured(fetch: Fetch, what: Site, folder: Path, count: int) -> Run:
    """Fetch into a folder that is made for it and removed; make sure that all came."""

    def used() -> float:
        times = what.host.cpu_times()
        return float(times.user + times.system)

    before = used()
    told = fetch(folder)
    told["host"] = used() - before
    sizes = [path.stat().st_size for path in folder.iterdir() if path.suffix in {".png", ".jpg"}]
    assert (len(sizes), sum(sizes)) == (count, round(what.megabytes * 1e6)), "not all came"
    shutil.rmtree(folder)
    return Run(**told)


def report(found: dict[str, list[Run]], megabytes: float) -> None:
    print(f"{'':<18}{'MB/s':>6}{'(least, most)':>16}{'CPU s':>8}{'host':>7}{'memory':>9}")
    for name, runs in found.items():
        wall, cpu, host, _ = (statistics.median(column) for column in zip(*runs, strict=True))
        walls = [run.wall for run in runs]
        spread = f"({megabytes / max(walls):.0f}, {megabytes / min(walls):.0f})"
        memory = f"{most(runs):.0f} MB" if name in OURS else ""
        print(f"{name:<18}{megabytes / wall:6.0f}{spread:>16}{cpu:8.2f}{host:7.2f}{memory:>9}")
    for name in OURS:
        for other in TOOLS:
            if other in found:
                pairs = zip(found[name], found[other], strict=True)
                ratio = statistics.median(theirs.wall / ours.wall for ours, theirs in pairs)
                say(f"{name} / {other}: {ratio:.2f} (bar {LEAST_RATIO})", met=ratio >= LEAST_RATIO)
        memory = f"{most(found[name]):.0f} MB (bar {MOST_MEMORY:.0f})"
        say(f"{name}, most memory over the start: {memory}", met=most(found[name]) < MOST_MEMORY)


def most(runs: list[Run]) -> float:
    """Return the most memory of all rounds, in MB."""
    return max(run.memory for run in runs)


def say(what: str, *, met: bool) -> None:
    print(f"{what}: {'met' if met else 'MISSED'}")


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def main() -> None:
    command = argparse.ArgumentParser(description=__doc__)
    command.add_argument("--pictures", type=int, default=1000, help="in a set (%(default)s)")
    command.add_argument("--rounds", type=int, default=3, help="medians are of so many (%(default)s)")
    asked, _others = command.parse_known_args()  # `make bench ARGS=...` gives them to every benchmark
    with tempfile.TemporaryDirectory(prefix="bench-landing-") as name:
        home = Path(name)
        with site(home, asked.pictures) as what:
            print(f"{asked.pictures} pictures, {what.megabytes:.0f} MB, {os.cpu_count()} cores, {load()}")
            here = contenders(what)
            found: dict[str, list[Run]] = {contender: [] for contender in here}
            for _ in range(asked.rounds):
                for contender, fetch in here.items():
                    found[contender].append(measured(fetch, what, home / "landed", asked.pictures))
            report(found, what.megabytes)
    print(f"at the end {load()}: where others work beside this, look at the ratios")


if __name__ == "__main__":
    main()
