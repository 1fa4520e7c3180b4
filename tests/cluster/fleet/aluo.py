"""The pretend Aluo of the cluster, behind a door that can be shut."""

import io
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from PIL import Image

from airflow_aluo.demo.aluo import start_sandbox
from airflow_aluo.demo.processes import Processes
from airflow_aluo.demo.settings import LOOPBACK, clean_environment, free_port

#: The key; it is looked for in everything that is written.
KEY = "sk-cluster-7f3a91c2d4e85b60"
#: Requests a minute that the plan of the account allows.
LIMIT = 1000
DOOR = "door"


class Aluo:
    """What a test asks of the pretend Aluo, past the door."""

    def __init__(self, processes: Processes, url: str, port: int) -> None:
        self._processes = processes
        self._inner = url.removesuffix("/api")
        self.url = f"http://{LOOPBACK}:{port}/api"
        self.photo = f"http://{LOOPBACK}:{port}{self._upload()}"

    def control(self, method: str, path: str, json: Any = None, **more: Any) -> Any:
        """Ask the sandbox's own endpoints."""
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(method, f"{self._inner}/sandbox/{path}", json=json, timeout=60, **more)
        answer.raise_for_status()
        return answer.json()

    def connection(self, **extra: Any) -> str:
        """Return an Airflow connection to it, as JSON."""
        return json.dumps({"conn_type": "aluo", "host": self.url, "password": KEY, "extra": extra})

    def shut(self, seconds: float) -> None:
        """Shut the door for a while: who is inside is cut off, who knocks is refused."""
        door = self._processes[DOOR]
        self._processes.stop([DOOR])
        time.sleep(seconds)
        self._processes.start(DOOR, door.command, door.environment)

    def _upload(self) -> str:
        # Drawing the edit of a small photo takes next to nothing.
        photo = io.BytesIO()
        Image.new("RGB", (48, 32), (200, 80, 40)).save(photo, "png")
        address: str = self.control("POST", "uploads", data=photo.getvalue())["url"]
        return address.removeprefix(self._inner)


@contextmanager
def opened(home: Path) -> Iterator[Aluo]:
    """Run the pretend Aluo, with its real limit, for the time of the block."""
    with Processes(home) as processes:
        url = start_sandbox(processes, "--plan", "max", "--balance", "1000000")
        port = free_port()
        inner = url.removesuffix("/api").rpartition(":")[2]
        program = str(Path(__file__).with_name("door.py"))
        processes.start(DOOR, [sys.executable, program, str(port), inner], clean_environment())
        yield Aluo(processes, url, port)
