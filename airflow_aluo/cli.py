"""The commands ``airflow aluo ...``, as every ``airflow`` call learns of them: all else is loaded later."""

from __future__ import annotations

import argparse
from typing import Any, Final

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand, lazy_load_command

from airflow_aluo.protocol.vocabulary import ASPECT_RATIOS, MAX_REFERENCE_IMAGES, OUTPUT_FORMATS

#: As :data:`airflow_aluo.protocol.naming.DEFAULT_NAME` and
#: :data:`airflow_aluo.protocol.schedule.DEFAULT_TIMEOUT`, which would cost every `airflow` call some imports.
DEFAULT_NAME: Final = "{aluo_task_id}-{index}.{ext}"
DEFAULT_TIMEOUT: Final = 600.0
DEFAULT_CONN_ID: Final = "aluo_default"


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e9:  # noqa: PLR2004  # beyond it lies infinity
        raise argparse.ArgumentTypeError(f"{text!r} is no time: seconds, more than 0, such as 600")
    return seconds


class EverythingThatFollows(Arg):
    """All words that follow, options too: the command has a parser of its own."""

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Add it to a parser, which then takes no word for an option any more, ``--help`` included."""
        # argparse.REMAINDER alone refuses an option as the first word (https://bugs.python.org/issue17050).
        parser.prefix_chars = ""
        super().add_to_parser(parser)


def _arg(*flags: str, **how: Any) -> Arg:
    return Arg(flags, **how)  # type: ignore[no-untyped-call]


_CONN_ID: Final = _arg(
    "--conn-id",
    default=DEFAULT_CONN_ID,
    help="Airflow connection of type aluo, which holds the API key (default: %(default)s)",
)
_NAME: Final = _arg(
    "--name",
    default=DEFAULT_NAME,
    metavar="TEMPLATE",
    help="what the files are called: made of {aluo_task_id}, {photo}, {prompt}, {index} and {ext}; slashes "
    "make folders\n(default: %(default)s)",
)
_TIMEOUT: Final = _arg(
    "--timeout",
    type=_seconds,
    default=DEFAULT_TIMEOUT,
    metavar="SECONDS",
    help="how long to wait; the edit goes on at Aluo after that (default: %(default)g)",
)
_POLL_INTERVAL: Final = _arg(
    "--poll-interval",
    type=_seconds,
    metavar="SECONDS",
    help="time between two looks at the edit (default: they are taken when they are likely to pay)",
)
_RECORD_AS_JSON: Final = _arg(
    "--json", action="store_true", help="print the edit record as JSON instead of paths"
)
_REST: Final = EverythingThatFollows(  # type: ignore[no-untyped-call]
    ("arguments",), nargs=argparse.REMAINDER, metavar="...", help="see its own --help"
)

_EDIT: Final = ActionCommand(
    name="edit",
    help="Edit a photo by a sentence and save the result",
    description="Edit a photo by a sentence: say what it will cost, submit it once, wait for it, save the "
    "pictures.\nStandard output gets the paths of the pictures and nothing else.",
    epilog="""\
examples:
  airflow aluo edit shoe.jpg --prompt "Put it on a marble table" --aspect-ratio 1:1
  airflow aluo edit shoe.jpg lace.jpg --prompt "Give the shoe these laces" --output edited --yes
  airflow aluo edit https://shop.example/shoe.jpg --prompt "Remove the background" --json --yes

exit codes:
  0    the pictures are there
  1    the edit failed, Aluo refused it, or the pictures did not come in time
  2    something is to be changed first; nothing was sent
  3    nobody knows whether Aluo accepted the edit
  130  stopped by Ctrl-C

Ctrl-C does not cancel an edit that Aluo has accepted: it goes on there, and costs what it costs.
How to pick it up again is printed then.""",
    func=lazy_load_command("airflow_aluo.commands.edit.edit"),
    args=(
        _arg(
            "photos",
            nargs="+",
            metavar="PHOTO",
            help=f"1 to {MAX_REFERENCE_IMAGES} photos that the one edit refers to: files (or object-storage "
            "addresses), or http(s) addresses that Aluo can fetch; not both",
        ),
        _arg("--prompt", required=True, metavar="TEXT", help="what to change, in a sentence"),
        _arg(
            "--aspect-ratio",
            choices=ASPECT_RATIOS,
            metavar="RATIO",
            help=f"of the result: {', '.join(ASPECT_RATIOS)} (default: Aluo decides)",
        ),
        _arg(
            "--output-format",
            choices=OUTPUT_FORMATS,
            metavar="FORMAT",
            help=f"of the result: {', '.join(OUTPUT_FORMATS)} (default: png)",
        ),
        _arg(
            "--num-images",
            type=int,
            metavar="NUMBER",
            help="how many results; only for photos given by address (default: 1)",
        ),
        _CONN_ID,
        _arg(
            "--output",
            default=".",
            metavar="FOLDER",
            help="where the pictures go: a folder, or an address such as s3://conn@bucket/folder "
            "(default: this folder)",
        ),
        _NAME,
        _TIMEOUT,
        _POLL_INTERVAL,
        _RECORD_AS_JSON,
        _arg("-y", "--yes", action="store_true", help="do not ask before submitting; scripts need it"),
    ),
)

_STATUS: Final = ActionCommand(
    name="status",
    help="Look at an edit, wait for it, save its pictures",
    description="Look at an edit that Aluo has accepted; it costs nothing.",
    epilog="""\
examples:
  airflow aluo status edit_123456789
  airflow aluo status edit_123456789 --wait --output edited

exit codes:
  0    this is where the edit stands, or what was asked for is done
  1    the edit failed, is not finished, or Aluo refused to answer
  2    something is to be changed first; nothing was sent
  130  stopped by Ctrl-C""",
    func=lazy_load_command("airflow_aluo.commands.status.status"),
    args=(
        _arg("aluo_task_id", metavar="ID", help="Aluo's id of the edit"),
        _arg("--wait", action="store_true", help="wait until it is finished"),
        _arg("--output", metavar="FOLDER", help="save the pictures there"),
        _CONN_ID,
        _NAME,
        _TIMEOUT,
        _POLL_INTERVAL,
        _arg("--json", action="store_true", help="print the edit record as JSON"),
    ),
)

_UNKNOWN: Final = ActionCommand(
    name="unknown",
    help="List edits of which nobody knows whether they were paid",
    description="List the edits of which nobody knows whether Aluo accepted, and charged, them: a reply was "
    "lost, or\na worker died in between. They are read from Airflow's metadata database (its task state "
    "store,\nAirflow 3.3 and newer).",
    epilog="""\
exit codes:
  0    there are none
  1    Airflow's database could not be asked
  3    there are some, and what to do about them is printed""",
    func=lazy_load_command("airflow_aluo.commands.unknown.unknown"),
    args=(
        _arg("--dag-id", metavar="DAG_ID", help="of this DAG only"),
        _arg("--json", action="store_true", help="print them as a JSON list"),
    ),
)

_SANDBOX: Final = ActionCommand(
    name="sandbox",
    help="Run a pretend Aluo on this machine: no key, no network, no credits",
    func=lazy_load_command("airflow_aluo.commands.servers.sandbox"),
    args=(_REST,),
)

_DEMO: Final = ActionCommand(
    name="demo",
    help="Run a real Airflow with a pretend Aluo on this machine, and edit a photo",
    func=lazy_load_command("airflow_aluo.commands.servers.demo"),
    args=(_REST,),
)


def get_cli_commands() -> list[GroupCommand]:
    """Return what ``airflow`` gets from this package."""
    return [
        GroupCommand(
            name="aluo",
            help="Edit photos with Aluo",
            description="Edit photos with Aluo, and look after edits.",
            subcommands=(_EDIT, _STATUS, _UNKNOWN, _SANDBOX, _DEMO),
        )
    ]
