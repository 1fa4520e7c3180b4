"""``airflow aluo status``: where an edit stands, and its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_aluo.commands import console, finishing
from airflow_aluo.commands.connected import connected
from airflow_aluo.commands.console import FAILED, Stopped, say
from airflow_aluo.protocol import record

if TYPE_CHECKING:
    from argparse import Namespace


def status(args: Namespace) -> None:
    """Run the command."""
    with console.command():
        pending = record.of_edit(args.aluo_task_id, aluo_conn_id=args.conn_id)
        hook, account = connected(args.conn_id)
        how = finishing.destination(args) if args.output is not None else None
        if args.wait:
            found = finishing.waited(hook, pending, args)
        else:
            found = finishing.looked_at(hook, pending, args)
        pictures = len(found["result_urls"])
        if how is not None and pictures:
            found = finishing.landed(account, found, how, args)
        finishing.show(found, args)
        if how is not None and not pictures:
            raise Stopped(FAILED, "Nothing has landed: the edit is not finished. --wait waits for it")
        if how is None and pictures:
            say(f"It has {pictures} picture{'s' * (pictures > 1)}; --output FOLDER saves them")
