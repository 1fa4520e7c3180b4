"""From an edit that Aluo has accepted to its pictures in a folder."""

from __future__ import annotations

import asyncio
import shlex
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from airflow_aluo.cli import DEFAULT_CONN_ID, DEFAULT_NAME, DEFAULT_TIMEOUT
from airflow_aluo.commands.console import (
    FAILED,
    INTERRUPTED,
    Stopped,
    result,
    result_as_json,
    say,
    taken_as_typed,
)
from airflow_aluo.commands.progress import progress
from airflow_aluo.landing import How, check_names, land
from airflow_aluo.pictures import MOST_BYTES
from airflow_aluo.protocol import record, waiting
from airflow_aluo.protocol.errors import (
    AluoEditFailed,
    AluoError,
    AluoPictureError,
    AluoRequestInvalid,
    Problem,
)
from airflow_aluo.protocol.naming import PLACEHOLDERS, Name
from airflow_aluo.protocol.rendered import shown
from airflow_aluo.protocol.replies import Phase
from airflow_aluo.storage import Folder
from airflow_aluo.task_errors import goes_on
from airflow_aluo.transport.sharing import shared

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from airflow_aluo.hooks.aluo import AluoHook
    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.record import EditRecord

#: A command is no task.
_PLACEHOLDERS: Final = PLACEHOLDERS - {"dag_id", "run_id", "task_id", "map_index"}


def destination(args: Namespace) -> How:
    """Return where and how pictures are to land, once it is known that something can be written there.

    :raises AluoRequestInvalid: nothing can, or the name is none.
    """
    name = Name(args.name, allowed=_PLACEHOLDERS)
    folder = Folder(args.output)
    try:
        with folder.scratch() as scratch:
            scratch.touch()
    except OSError as error:
        expected = f"a folder that can be written to ({error.strerror})"
        raise AluoRequestInvalid("download", [Problem("output", shown(args.output), expected)]) from error
    # Whoever asked sees what came: a picture that is paid lands, in whatever format and ratio.
    return How(folder=folder, name=name, max_bytes=MOST_BYTES, strict=False)


def waited(hook: AluoHook, pending: EditRecord, args: Namespace) -> EditRecord:
    """Wait until an edit has succeeded; return its record."""
    aluo_task_id, now = record.task_id(pending), time.time()
    rule = record.wait_rule(
        pending, deadline=now + args.timeout, poll_interval=args.poll_interval, started_at=now
    )
    with (
        _picked_up_later(pending, args),
        progress(f"waiting for edit {aluo_task_id}", of_an_edit=True) as tell,
    ):
        snapshot = hook.run(lambda senses: waiting.wait(aluo_task_id, rule, senses, tell))
        return record.completed(pending, snapshot, at=time.time())


def looked_at(hook: AluoHook, pending: EditRecord, args: Namespace) -> EditRecord:
    """Look at an edit once; return its record.

    :raises AluoEditFailed: it ended FAILED.
    """
    with _json_if_it_failed(pending, args):
        aluo_task_id = record.task_id(pending)
        snapshot = hook.get_status(aluo_task_id)
        if snapshot.phase is Phase.RUNNING:
            return pending | {"status": snapshot.status}
        return record.completed(pending, waiting.succeeded(aluo_task_id, snapshot), at=time.time())


def landed(account: Account, finished: EditRecord, how: How, args: Namespace) -> EditRecord:
    """Land an edit's pictures; return its record."""
    with _picked_up_later(finished, args), progress("fetching the pictures"):
        check_names([(0, finished)], how)
        found = asyncio.run(_land(account, finished, how))
    for file in found["files"]:
        say(f"landed: {file['width']} x {file['height']} {file['format']}, {file['bytes']:,} bytes")
    return found


async def _land(account: Account, finished: EditRecord, how: How) -> EditRecord:
    async with shared().driver(account) as driver:
        return await land(finished, how, driver, lambda *_: None)


def show(edit: EditRecord, args: Namespace) -> None:
    """Print the result: where each picture lies, the edit's status where none does, or the record."""
    if args.json:
        result_as_json(edit)
        return
    for file in edit["files"]:
        result(file["path"])
    if not edit["files"]:
        result(f"{edit['aluo_task_id']} is {edit['status']}")


@contextmanager
def _picked_up_later(edit: EditRecord, args: Namespace) -> Iterator[None]:
    """Say how to go on with an edit where that is interrupted.

    :raises Stopped: with the command to go on with.
    :raises AluoEditFailed: there is nothing to go on with.
    """
    try:
        with _json_if_it_failed(edit, args):
            yield
    except AluoEditFailed:
        raise
    except AluoError as error:
        anew = isinstance(error, AluoPictureError | AluoRequestInvalid)  # under another name, it may land
        raise Stopped(
            FAILED, f"{taken_as_typed(error.message)}\n{_to_go_on(edit, args, anew=anew)}"
        ) from error
    except KeyboardInterrupt:
        becomes = goes_on(
            edit["aluo_task_id"], edit["credits"]["estimated"], succeeded=bool(edit["result_urls"])
        )
        raise Stopped(INTERRUPTED, f"Stopped: {becomes}.\n{_to_go_on(edit, args)}") from None


@contextmanager
def _json_if_it_failed(edit: EditRecord, args: Namespace) -> Iterator[None]:
    """Print what is known of the edit, and why that is all, for who reads JSON."""
    try:
        yield
    except AluoError as error:
        if args.json:
            result_as_json(record.failed(edit, error, at=time.time()))
        raise


def _to_go_on(edit: EditRecord, args: Namespace, *, anew: bool = False) -> str:
    """Return the command that goes on with an edit. ``anew``: under the usual names."""
    words = ["airflow", "aluo", "status", str(edit["aluo_task_id"]), "--wait"]
    if args.output is not None:
        words += ["--output", args.output]
    if args.conn_id != DEFAULT_CONN_ID:
        words += ["--conn-id", args.conn_id]
    if args.name != DEFAULT_NAME and not anew:
        words += ["--name", args.name]
    if args.timeout != DEFAULT_TIMEOUT:
        words += ["--timeout", f"{args.timeout:g}"]
    if args.poll_interval is not None:
        words += ["--poll-interval", f"{args.poll_interval:g}"]
    return f"To go on with it:\n  {shlex.join(words)}"
