"""``airflow aluo sandbox`` and ``airflow aluo demo``: the modules' own commands."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from argparse import Namespace


def sandbox(args: Namespace) -> NoReturn:
    """Become ``python -m airflow_aluo.sandbox``."""
    _become("sandbox", args)


def demo(args: Namespace) -> NoReturn:
    """Become ``python -m airflow_aluo.demo``."""
    _become("demo", args)


def _become(name: str, args: Namespace) -> NoReturn:
    """Replace this process, with all that `airflow` has loaded and set up: the same as without it, then.

    Only the help names the command as it was typed.
    """
    sys.stdout.flush()
    main = (
        f"from airflow_aluo.{name}.__main__ import main; raise SystemExit(main(prog='airflow aluo {name}'))"
    )
    # -P: as for `airflow` itself, the folder that one happens to be in is no place for modules.
    os.execv(sys.executable, [sys.executable, "-P", "-c", main, *args.arguments])  # noqa: S606
