"""A Redis of our own: its data in a temporary folder, its only door a port of the loopback address."""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_aluo.demo.processes import Child, Processes
from airflow_aluo.demo.settings import LOOPBACK, free_port
from tests.servers.missing import Missing

#: Name of the process among those of its folder.
NAME = "redis"
#: Seconds; a tenth of one is usual.
START_TIMEOUT = 30.0


def binary() -> Path:
    """Return the path of the server.

    :raises Missing: there is none.
    """
    found = shutil.which("redis-server")
    if not found:
        raise Missing("Redis: `redis-server` is not on PATH. Debian and Ubuntu: apt install redis-server")
    return Path(found)


@contextmanager
def temporary_redis(processes: Processes) -> Iterator[str]:
    """Run a Redis that keeps what it was told over a restart, for the time of the block; its address.

    :raises Missing: it is not installed.
    :raises ProcessError: it does not start.
    """
    folder = processes.home.resolve() / NAME
    folder.mkdir(mode=0o700)
    port = free_port()
    command = [str(binary()), "--port", str(port), "--bind", LOOPBACK, "--dir", str(folder)]
    child = processes.start(NAME, [*command, "--appendonly", "yes", "--save", ""])
    try:
        _wait_for(child, port)
        yield f"redis://{LOOPBACK}:{port}/0"
    finally:
        processes.stop([NAME])


def restart(processes: Processes) -> None:
    """End it, and start it again.

    :raises ProcessError: it does not start.
    """
    child = processes.restart(NAME)
    _wait_for(child, int(child.command[child.command.index("--port") + 1]))


def _wait_for(child: Child, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        child.raise_if_ended()
        try:
            with socket.create_connection((LOOPBACK, port), timeout=1) as client:
                client.sendall(b"PING\r\n")
                answer = client.recv(64)
        except OSError:
            answer = b""
        if answer.startswith(b"+PONG"):
            return
        if time.monotonic() > deadline:
            child.raise_if_ended()
            raise TimeoutError(f"Redis did not answer within {START_TIMEOUT:.0f} s")
        time.sleep(0.05)
