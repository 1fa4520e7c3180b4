"""The command `python -m airflow_aluo.demo`."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import requests

from airflow_aluo.demo.processes import ProcessError
from airflow_aluo.demo.rest import RestError
from airflow_aluo.demo.run import Demo, DemoError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType


def parser(prog: str = "python -m airflow_aluo.demo") -> argparse.ArgumentParser:
    """Return the command line's description. `prog`: what was typed."""
    command = argparse.ArgumentParser(
        prog=prog,
        description="Edit a photo with a real Airflow and a pretend Aluo, all on this machine.",
    )
    add = command.add_argument
    add("--ui", action="store_true", help="leave it running after the run, for the browser")
    add("--home", type=Path, default=Path(".demo"), help="where everything lies (%(default)s)")
    add("--keep", action="store_true", help="go on with the Airflow database of the last time")
    add("sandbox", nargs="*", help="after --: options for the sandbox, such as --slow-post")
    return command


class Stopped(BaseException):
    """Somebody asked this process to end; `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(arguments: Sequence[str] | None = None, **named: str) -> int:
    """Run the command; return its exit code. `named`: as `parser` takes it."""
    asked = parser(**named).parse_args(arguments)
    # SIGINT even if it is ignored, as in a shell's background job; SIGHUP not if nohup ignores it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    demo = Demo(home=asked.home, ui=asked.ui, keep=asked.keep, sandbox=asked.sandbox)
    start = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - start:5.1f} s] {line}", flush=True)

    try:
        demo.run(say)
    except Stopped as stopped:
        print("stopped", file=sys.stderr)
        return 128 + stopped.number
    except DemoError as error:
        return _fail(error.reason, error.log)
    except ProcessError as error:
        return _fail(error.reason, error.log_file or asked.home / "logs")
    except (OSError, RestError, requests.RequestException) as error:
        return _fail(f"{type(error).__name__}: {error}", asked.home / "logs")
    return 0


def _fail(reason: str, log: Path) -> int:
    print(f"failed: {reason}\nlog: {log.resolve()}", file=sys.stderr)
    return 1


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise Stopped(number)


if __name__ == "__main__":
    sys.exit(main())
