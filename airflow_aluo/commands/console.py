"""What a command says, where it says it, and how it ends.

Standard output is for results, standard error for everything that is said to a person.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, TextIO

from airflow_aluo.protocol.errors import AluoError, AluoRequestInvalid, AluoUnknownOutcome, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Exit codes.
FAILED: Final = 1
BAD_INPUT: Final = 2
UNKNOWN_OUTCOME: Final = 3
INTERRUPTED: Final = 130

#: Where results go: standard output, as the command found it.
_OUTPUT: Final = ContextVar[TextIO]("_OUTPUT")

#: What parameters are on the command line, where a sentence names them.
_TYPED: Final = {"num_images": "--num-images", "image_files": "files", "image_urls": "addresses"}
#: The same in a sentence about a file's name that is taken.
_TAKEN: Final = {
    "another name or destination, remove it": "another --name or --output, or remove it",
    ', if_exists="skip" to keep it': "",
    ', or set if_exists="overwrite" to replace it': "",
}
_PHOTO: Final = re.compile(r"image_(?:urls|files)\[(\d+)\]")


class Stopped(Exception):  # noqa: N818  # that it is an error, the exit code says
    """A command ends here.

    :param code: its exit code.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def say(line: str) -> None:
    """Say something to the person who runs the command."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def result(line: str) -> None:
    """Print a line of the result."""
    _OUTPUT.get().write(f"{line}\n")


def result_as_json(value: Any) -> None:
    """Print the result as JSON."""
    result(json.dumps(value, indent=2, ensure_ascii=False))


@contextmanager
def command() -> Iterator[None]:
    """Run a command: errors that are to be expected end it with one message and an exit code.

    :raises SystemExit: with the exit code.
    """
    code = FAILED
    with _results_only():
        try:
            yield
        except Stopped as stopped:
            code, message = stopped.code, str(stopped)
        except AluoRequestInvalid as error:
            code, message = BAD_INPUT, str(AluoRequestInvalid(error.subject, map(_as_typed, error.problems)))
        except AluoUnknownOutcome as error:
            code, message = UNKNOWN_OUTCOME, unknown_outcome(error.seen)
        except AluoError as error:
            message = error.message
        except KeyboardInterrupt:
            code, message = INTERRUPTED, "stopped"
        else:
            return
    say(message)
    raise SystemExit(code)


def unknown_outcome(seen: str) -> str:
    """Return what to tell about a submit whose outcome nobody knows. ``seen``: instead of an answer."""
    return (
        f"Nobody knows whether Aluo accepted this edit: {seen}.\n"
        "It may have been charged, so it is not sent again by itself. Look at the account's "
        "history at Aluo.\n"
        "If the edit is there, this waits for it by its id:\n"
        "  airflow aluo status ID --wait --output FOLDER\n"
        "If it is not, run the same command again: it submits, and pays, anew."
    )


def taken_as_typed(message: str) -> str:
    """Return a message about a picture that could not land, with what the command line has to offer."""
    for said, typed in _TAKEN.items():
        message = message.replace(said, typed)
    return message


def _as_typed(problem: Problem) -> Problem:
    """Return a problem with the name that its parameter has on the command line."""
    name = problem.parameter
    if photo := _PHOTO.fullmatch(name):
        name = f"PHOTO {int(photo[1]) + 1}"
    elif name.startswith("image_"):
        name = "PHOTO"
    elif name in {"prompt", "aspect_ratio", "output_format", "num_images", "name", "output"}:
        name = f"--{name.replace('_', '-')}"
    expected = problem.expected
    for parameter, typed in _TYPED.items():
        expected = expected.replace(parameter, typed)
    return Problem(name, problem.value, expected)


@contextmanager
def _results_only() -> Iterator[None]:
    """Keep standard output for results: what is printed and logged meanwhile goes to standard error."""
    moved = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout
    ]
    before = _OUTPUT.set(sys.stdout)
    try:
        for handler in moved:
            handler.setStream(sys.stderr)
        # Airflow's other loggers take what standard output is when they are first used.
        with redirect_stdout(sys.stderr):
            yield
    finally:
        for handler in moved:
            handler.setStream(_OUTPUT.get())
        _OUTPUT.reset(before)
