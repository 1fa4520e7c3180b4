"""``airflow aluo edit``: one edit, from a photo on this machine to a picture on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from airflow_aluo.commands import console, finishing
from airflow_aluo.commands.connected import connected
from airflow_aluo.commands.console import Stopped, say
from airflow_aluo.commands.progress import progress
from airflow_aluo.protocol import photo_edit
from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import shown
from airflow_aluo.storage import load_photos

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from airflow_aluo.hooks.aluo import AluoHook
    from airflow_aluo.landing import How
    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.calls import Upload
    from airflow_aluo.protocol.photo_edit import PhotoEdit
    from airflow_aluo.protocol.record import EditRecord


def edit(args: Namespace) -> None:
    """Run the command."""
    with console.command():
        asked = photo_edit.read(_parameters(args))
        uploads = load_photos(asked.image_files)
        hook, account = connected(args.conn_id)
        how = finishing.destination(args)
        _check_name(how, asked)
        _agree(account, args)
        pending = _submit(hook, asked, uploads)
        say(f"Aluo accepted it as {pending['aluo_task_id']}")
        finished = finishing.waited(hook, pending, args)
        finishing.show(finishing.landed(account, finished, how, args), args)


def _parameters(args: Namespace) -> dict[str, Any]:
    addresses = [one for one in args.photos if one.lower().startswith(("http://", "https://"))]
    return {
        "prompt": args.prompt,
        "image_urls": addresses,
        "image_files": [one for one in args.photos if one not in addresses],
        "aspect_ratio": args.aspect_ratio,
        "output_format": args.output_format,
        "num_images": args.num_images,
    }


def _check_name(how: How, asked: PhotoEdit) -> None:
    """Make sure that several results get several names, before they are paid.

    :raises AluoRequestInvalid: they would not.
    """
    if (asked.num_images or 1) > 1 and not how.name.uses("index"):
        expected = f"{{index}} in it, for {asked.num_images} pictures need {asked.num_images} names"
        raise AluoRequestInvalid("file name", [Problem("name", shown(how.name.template), expected)])


def _agree(account: Account, args: Namespace) -> None:
    """Say what the edit will cost, and ask whether that is wanted.

    :raises Stopped: it is not, or nobody can be asked.
    """
    say(
        f"One edit, estimated at {account.credits_per_edit:g} credits "
        f"(plan {account.plan}, connection {args.conn_id}, {account.base_url})"
    )
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise Stopped(console.BAD_INPUT, "Nobody is here to agree to that: add --yes. Nothing was sent.")
    sys.stderr.write("Submit it? [y/N] ")
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline().strip().lower()
    except KeyboardInterrupt:
        raise Stopped(console.INTERRUPTED, "\nStopped; nothing was sent.") from None
    if answer not in {"y", "yes"}:
        raise Stopped(console.FAILED, "Nothing was sent.")


def _submit(hook: AluoHook, asked: PhotoEdit, uploads: Sequence[Upload]) -> EditRecord:
    """Submit the edit, once.

    :raises Stopped: somebody pressed Ctrl-C before the answer came.
    """
    try:
        with progress("submitting the edit"):
            return hook.submit(asked, uploads)
    except KeyboardInterrupt:
        seen = "it was being submitted when Ctrl-C was pressed"
        raise Stopped(console.INTERRUPTED, console.unknown_outcome(seen)) from None
