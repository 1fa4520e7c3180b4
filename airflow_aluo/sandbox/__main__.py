"""The command ``python -m airflow_aluo.sandbox``."""

import argparse
import asyncio
import contextlib
import logging
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from airflow_aluo.protocol.vocabulary import PLANS, TIERS, Plan
from airflow_aluo.sandbox.accounts import FRESH_BALANCE, FRESH_PLAN, Accounts
from airflow_aluo.sandbox.server import create_app
from airflow_aluo.sandbox.serving import Server, address, bound
from airflow_aluo.sandbox.settings import Settings
from airflow_aluo.sandbox.sources import is_loopback
from airflow_aluo.sandbox.state import State


def parser(prog: str = "python -m airflow_aluo.sandbox") -> argparse.ArgumentParser:
    """Build the command line. ``prog``: what was typed."""
    command = argparse.ArgumentParser(
        prog=prog,
        description="A pretend Aluo on this machine: no key, no network, no credits.",
    )
    add = command.add_argument
    add("--host", type=_loopback, default="127.0.0.1", help="a loopback address (%(default)s)")
    add("--port", type=_port, default=0, help="0, the default, is any free port")
    add("--speed", type=float, default=1.0, help="2 is twice as fast (%(default)s)")
    add("--slow-post", action="store_true", help="the POST holds until the edit is done")
    add("--strict", action="store_true", help="only keys of --account open anything")
    add(
        "--account",
        type=_account,
        action="append",
        default=[],
        metavar="KEY:PLAN:BALANCE",
        help="an account; may be given again",
    )
    add("--plan", choices=PLANS, default=FRESH_PLAN, help="of fresh accounts (%(default)s)")
    add("--balance", type=_credits, default=FRESH_BALANCE, help="of fresh accounts (%(default)s)")
    add(
        "--rate-window",
        type=float,
        metavar="SECONDS",
        help="over which the plan's requests are counted (60 divided by the speed)",
    )
    add("--no-rate-limit", action="store_true", help="never answer 429")
    add("--data", type=Path, metavar="DIR", help="where pictures lie (a temporary folder)")
    return command


def _loopback(text: str) -> str:
    if not is_loopback(text):
        raise argparse.ArgumentTypeError(f"{text} is not this machine: use 127.0.0.1")
    return "127.0.0.1" if text == "localhost" else text


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:  # noqa: PLR2004 - everybody knows it
        raise argparse.ArgumentTypeError(f"{text} is not a port: 0 to 65535")
    return int(text)


def _credits(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a number of credits")
    return int(text)


def _account(text: str) -> tuple[str, Plan, int]:
    key, plan, balance = (*text.rsplit(":", 2), "", "")[:3]
    if plan not in TIERS or not balance.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not KEY:PLAN:BALANCE, as in sk-test:free:400")
    return key, plan, int(balance)


async def serve(state: State, listening: socket.socket) -> None:
    """Serve until somebody presses Ctrl-C or sends SIGTERM."""
    server = Server(create_app(state), state.close)
    server.ready = lambda: print(f"sandbox: {address(listening)}/api", flush=True)  # noqa: T201
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    await server.serve([listening])


@contextlib.contextmanager
def _folder(chosen: Path | None) -> Iterator[Path]:
    if chosen is not None:
        chosen.mkdir(parents=True, exist_ok=True)
        yield chosen
    else:
        with tempfile.TemporaryDirectory(prefix="aluo-sandbox-") as temporary:
            yield Path(temporary)


def main(arguments: Sequence[str] | None = None, **named: str) -> int:
    """Run the command; its exit code. ``named``: as :func:`parser` takes it."""
    command = parser(**named)
    asked = command.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        settings = Settings(
            speed=asked.speed,
            slow_post=asked.slow_post,
            rate_window=asked.rate_window,
            rate_limit=not asked.no_rate_limit,
        )
    except ValidationError as error:
        problem = error.errors()[0]
        command.error(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}")
    accounts = Accounts(strict=asked.strict, plan=asked.plan, balance=asked.balance)
    for key, plan, balance in asked.account:
        accounts.put(key, plan=plan, balance=balance)
    try:
        listening = bound(asked.host, asked.port)
    except OSError as error:
        print(f"sandbox: port {asked.port} cannot be used: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    with listening, _folder(asked.data) as folder:
        asyncio.run(serve(State(folder, settings=settings, accounts=accounts), listening))
    return 0


if __name__ == "__main__":
    sys.exit(main())
