"""What is done to a run, as far as several rows do it."""

from collections.abc import Callable
from typing import Any

from harness.play import SOON, Play
from harness.proxy import Side

Script = Callable[[Play], None]

#: Seconds until the next try of a task whose worker has died, on a busy machine.
NEXT_TRY = 180.0

UNKNOWN = "nobody knows whether Aluo accepted this edit"
#: Why a task may fail though its edit is paid for.
NO_ID = "nobody but Aluo knows the edit's id"
#: Reads the line that says what becomes of an edit.
GOES_ON = r"edit edit_\d+ (goes on|has succeeded) at Aluo[^\n]* 35 credits"


def held(text: str, act: Script, side: Side = "request") -> Script:
    """Act while the run says this to Airflow; then cut that conversation off.

    ``side``: act before Airflow has heard it (request), or after (reply).
    """

    def script(play: Play) -> None:
        hold = play.hold(text, side=side)
        play.start()
        hold.wait(SOON)
        act(play)
        hold.drop()

    return script


def waiting(act: Script, looks: int = 1) -> Script:
    """Act once Aluo was asked so often where the edit stands."""

    def script(play: Play) -> None:
        play.start()
        play.until_looked_at(looks)
        act(play)

    return script


def going_on(act: Script) -> Script:
    """Act, and wait until Aluo is asked again: the wait goes on, in this try or in the next one."""

    def script(play: Play) -> None:
        act(play)
        play.until_looked_at(play.looks + 1, seconds=NEXT_TRY)

    return script


def lifting(act: Script) -> Script:
    """Act, then lift the row's faults: until then its edit seems to run."""

    def script(play: Play) -> None:
        act(play)
        play.lift()

    return script


def ended(act: Script) -> Script:
    """Act once the run has ended."""

    def script(play: Play) -> None:
        play.start()
        play.until_ended()
        act(play)

    return script


def clear(*task_ids: str, **more: Any) -> Script:
    """Clear tasks, all if none is named."""
    return lambda play: play.clear(*task_ids, **more)
