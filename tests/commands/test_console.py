"""What a command says, where, and how it ends."""

from __future__ import annotations

import logging
import sys

import pytest

from airflow_aluo.commands.console import Stopped, command, result, say
from airflow_aluo.protocol.errors import (
    AluoEditFailed,
    AluoError,
    AluoRequestInvalid,
    AluoUnknownOutcome,
    Problem,
)


def test_standard_output_is_for_results_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout = sys.stdout
    handler = logging.StreamHandler(stdout)  # as Airflow has one
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    with command():
        say("said")
        logging.getLogger("airflow.somebody").warning("logged")
        print("printed")
        result("the result")
    seen = capsys.readouterr()
    assert (seen.out, seen.err) == ("the result\n", "said\nlogged\nprinted\n")
    assert (sys.stdout, handler.stream) == (stdout, stdout)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Stopped(7, "here"), 7, "here\n"),
        (AluoError("went wrong"), 1, "went wrong\n"),
        (AluoEditFailed("ended FAILED", aluo_task_id="edit_1"), 1, "ended FAILED\n"),
        (
            AluoRequestInvalid("photo edit", [Problem("image_files[1]", "3", "image_urls or image_files")]),
            2,
            "photo edit cannot be used, nothing was sent: PHOTO 2: 3; expected addresses or files\n",
        ),
        (
            AluoUnknownOutcome("x", seen="a lost reply"),
            3,
            "Nobody knows whether Aluo accepted this edit: a lost",
        ),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)
def test_an_error_that_is_to_be_expected_is_one_message_and_an_exit_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end, command():
        raise error
    seen = capsys.readouterr()
    assert (end.value.code, seen.out) == (code, "")
    assert seen.err.startswith(said)


def test_an_error_that_nobody_expects_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), command():
        print(1 / 0)
