"""Tests and main job on each supported Airflow and Python: `make matrix`.

For each row it makes an environment below `.matrix/`, runs there the tests that need no running Airflow, and
then the main job end to end: a real Airflow on SQLite edits a photo at the sandbox. It prints one table, in
Markdown.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.matrix.rows import ALL, LEFT_OUT, Row, chosen

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".matrix"
UV = Path(sys.executable).with_name("uv")
#: Versions of other people's libraries that do not know each other yet warn; so here that is no error. What
#: this package itself is warned of is one, on each version.
KINDS = ("DeprecationWarning", "PendingDeprecationWarning", "FutureWarning")
WARNINGS = [
    *tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["filterwarnings"],
    *(f"default::{kind}" for kind in KINDS),
    *(f"error::{kind}:airflow_aluo" for kind in KINDS),
]
#: Seconds, each many times what is usual.
INSTALL_TIMEOUT, TESTS_TIMEOUT, JOB_TIMEOUT = 900, 3600, 600
#: Lines of a log that are shown when something failed.
SHOWN = 40


class StepError(Exception):
    """A step of a row failed; the message says what a person can do."""


#: What ends a step, or a row, but not the other rows.
TROUBLE = (StepError, OSError, subprocess.SubprocessError)


@dataclass(slots=True)
class Result:
    """A row's line in the table."""

    row: Row
    airflow: str = ""
    python: str = ""
    tests: str = "not run"
    job: str = "not run"
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """The line itself."""
        lowest = ", lowest versions" if self.row.lowest else ""
        cells = (
            (self.airflow or self.row.airflow) + lowest,
            self.python or self.row.python,
            self.tests,
            self.job,
            f"{self.seconds:.0f} s",
        )
        return f"| {' | '.join(cells)} |"


TITLES = "| Airflow | Python | tests | main job | time |\n| --- | --- | --- | --- | --- |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 1 if a row failed."""
    command = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    command.add_argument("rows", nargs="*", help=f"of {', '.join(ALL)}; without: the corners and the lowest")
    command.add_argument("--all", action="store_true", help="all rows")
    asked = command.parse_args(arguments)
    # Started in the background, it would have its tests ignore Ctrl-C, of which some are about.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        rows = chosen(asked.rows, everything=asked.all)
    except ValueError as error:
        command.error(str(error))
    for what, why in LEFT_OUT.items():
        say(f"left out: {what} ({why})")
    results = [run(row) for row in rows]
    print(f"\n{TITLES}", *(result.line for result in results), sep="\n")
    for result in results:
        for failure in result.failures:
            print(f"\n{result.row.name}: {failure}", file=sys.stderr)
    return 1 if any(result.failures for result in results) else 0


def run(row: Row) -> Result:
    """Do all of a row; what fails stands in the result. The main job runs whatever the tests said."""
    start = time.monotonic()
    result = Result(row)
    folder = HOME / row.name
    try:
        python = make_environment(row, folder)
        result.python, result.airflow = versions(python)
        say(f"{row.name}: Airflow {result.airflow}, Python {result.python}")
        for step in (run_tests, run_job):
            try:
                step(python, folder, result)
            except TROUBLE as error:
                result.failures.append(str(error))
    except TROUBLE as error:
        result.failures.append(str(error))
    result.seconds = time.monotonic() - start
    say(f"{row.name}: {result.line}")
    return result


def make_environment(row: Row, folder: Path) -> Path:
    """Return the Python of a new environment that holds the package and what its tests need.

    :raises StepError: there is no such Python, or versions do not go together.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = folder / "venv"
    log = folder / "install.log"
    if do([UV, "venv", "--python", row.python, environment], log, INSTALL_TIMEOUT):
        raise StepError(
            f"no Python {row.python} was found, and uv could not fetch one. Install it, so that it is "
            f"on PATH (with pyenv: PYENV_VERSION=3.11:3.12:3.13 make matrix).\n{tail(log)}"
        )
    python = environment / "bin" / "python"
    install = [UV, "pip", "install", "--python", python, "--group", "dev", "--editable", ".", *row.options]
    if do(install, log, INSTALL_TIMEOUT):
        raise StepError(f"could not install:\n{tail(log)}")
    return python


def versions(python: Path) -> tuple[str, str]:
    """Return which Python and which Airflow were got."""
    look = (
        "import importlib.metadata, platform\n"
        "print(platform.python_version(), importlib.metadata.version('apache-airflow'))"
    )
    found = subprocess.run([python, "-c", look], capture_output=True, text=True, check=True)
    of_python, of_airflow = found.stdout.split()
    return of_python, of_airflow


def run_tests(python: Path, folder: Path, result: Result) -> None:
    """Run the tests.

    :raises StepError: one failed, or there was none.
    """
    log, report = folder / "tests.log", folder / "tests.xml"
    options = [
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
        "--maxfail=60",
        f"--junitxml={report}",
        "--override-ini",
        "filterwarnings=" + "\n".join(WARNINGS),
    ]
    left_out = [f"--ignore={path}" for path in LEFT_OUT]
    code = do([python, "-m", "pytest", *options, *left_out], log, TESTS_TIMEOUT)
    if report.exists():
        result.tests = counted(report)
    if code:
        result.tests = f"**{result.tests}**"
        raise StepError(f"tests:\n{tail(log)}")


def counted(report: Path) -> str:
    """Return how many tests passed, were skipped, and failed."""
    suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314  # pytest has just written it

    def total(*names: str) -> int:
        return sum(int(suite.get(name, 0)) for suite in suites for name in names)

    failed, skipped = total("failures", "errors"), total("skipped")
    return f"{total('tests') - failed - skipped} passed, {skipped} skipped, {failed} failed"


def run_job(python: Path, folder: Path, result: Result) -> None:
    """Edit a photo with a real Airflow and the sandbox.

    :raises StepError: no picture was landed.
    """
    log = folder / "job.log"
    with tempfile.TemporaryDirectory(prefix="aluo-matrix-", ignore_cleanup_errors=True) as home:
        code = do([python, "-m", "airflow_aluo.demo", "--home", home], log, JOB_TIMEOUT)
        if code and (logs := Path(home) / "logs").is_dir():
            shutil.copytree(logs, folder / "logs", dirs_exist_ok=True)
    edited = re.search(r"^edited: ", log.read_text(), re.MULTILINE)
    result.job = "passed" if edited and not code else "**failed**"
    if result.job != "passed":
        raise StepError(f"main job:\n{tail(log)}")


def do(command: Sequence[str | Path], log: Path, timeout: float) -> int:
    """Run a command with its output in a file; return its exit code.

    `timeout`: seconds, after which it and all that it started are ended.
    """
    hindering = ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "CONDA_PREFIX")
    environment = {name: value for name, value in os.environ.items() if name not in hindering}
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=file, stderr=file, start_new_session=True
        )
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            file.write(f"\nended after {timeout:.0f} s\n")
            return 124
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL if process.poll() is None else signal.SIGTERM)
            process.wait()


def tail(log: Path) -> str:
    """Return the end of a log, and where the rest lies."""
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([*lines[-SHOWN:], f"(all of it: {log.relative_to(ROOT)})"])


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
