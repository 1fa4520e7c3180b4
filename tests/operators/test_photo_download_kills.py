"""A worker that lands slow pictures is killed (-9) in the middle of one, three times; the fourth ends."""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

#: Pictures; every other one is too large to wait in memory for its last byte.
COUNT, LARGE = 20, 1 << 20
#: Pieces of a picture, and the seconds between two.
PIECES, REST = 10, 0.005
#: At which picture each try gets no further, and how many others have landed when it is killed.
KILLS = ((0, 0), (8, 7), (14, 15))
#: Seconds after which a test gives up.
PATIENCE = 60.0

#: One try of the task: always the same task instance.
WORKER = """
import json, sys
from types import SimpleNamespace
from airflow_aluo.operators.photo_download import PhotoDownloadOperator

addresses, folder = json.loads(sys.argv[1]), sys.argv[2]
task = PhotoDownloadOperator(
    task_id="land",
    edits=addresses,
    destination=folder,
    name="{position:02}.{ext}",
    aluo_conn_id="aluo_default",
    at_once=4,
)
ti = SimpleNamespace(dag_id="a_dag", run_id="a_run", task_id="land", map_index=-1)
print(json.dumps(task.execute({"ti": ti})))
"""


def drawn(number: int) -> bytes:
    file, side = io.BytesIO(), 64 if number % 2 else 700
    Image.merge("RGB", [Image.effect_noise((side, side), 90) for _ in "RGB"]).save(file, "PNG")
    return file.getvalue()


class Host(ThreadingHTTPServer):
    """Sends pictures bit by bit; of one, ``stuck``, never the last bit."""

    daemon_threads = True
    stuck: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents = [drawn(number) for number in range(COUNT)]
        self.sticks, self.ends = threading.Event(), threading.Event()
        self.addresses = [f"http://127.0.0.1:{self.server_port}/{number}.png" for number in range(COUNT)]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients are killed."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Host

    def do_GET(self) -> None:
        number = int(self.path.strip("/").removesuffix(".png"))
        content = self.server.contents[number]
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        size = len(content) // PIECES
        for piece in range(PIECES):
            last = piece == PIECES - 1
            if last and number == self.server.stuck:
                self.server.sticks.set()
                self.server.ends.wait(PATIENCE)
            self.wfile.write(content[piece * size :] if last else content[piece * size : (piece + 1) * size])
            time.sleep(REST)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def host(connections: Any) -> Iterator[Host]:
    with Host() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        connections.set(server.addresses[0].rpartition("/")[0])
        yield server
        server.ends.set()
        server.shutdown()
        thread.join(PATIENCE)


def seen(folder: Path, whole: list[bytes]) -> dict[str, tuple[int, int]]:
    """Return inode and time of all that can be seen; make sure that each file is a whole picture."""
    found = {}
    for path in folder.glob("[!.]*"):
        assert path.read_bytes() == whole[int(path.stem)], f"{path} is not the picture that it should be"
        status = path.stat()
        found[path.name] = (status.st_ino, status.st_mtime_ns)
    return found


def half(folder: Path) -> list[Path]:
    """Return the files of large pictures that are on their way."""
    found = []
    for path in folder.glob(".*.part"):
        with suppress(FileNotFoundError):  # it has its name by now
            found += [path] if path.stat().st_size > LARGE else []
    return found


def test_who_kills_the_worker_sees_whole_pictures_only_and_the_next_try_lands_the_others(
    host: Host, tmp_path: Path
) -> None:
    folder = tmp_path / "landed"
    folder.mkdir()
    command = [sys.executable, "-c", WORKER, json.dumps(host.addresses), str(folder)]
    before: dict[str, tuple[int, int]] = {}
    for stuck, others in KILLS:
        host.stuck, left = stuck, set(half(folder))
        host.sticks.clear()
        with subprocess.Popen(command, env=os.environ) as worker:
            try:
                ends_at = time.monotonic() + PATIENCE
                # What the try before left is gone when this one begins.
                while (
                    not host.sticks.is_set()
                    or not set(half(folder)) - left
                    or len(seen(folder, host.contents)) < others
                ):
                    assert worker.poll() is None
                    assert time.monotonic() < ends_at
                    time.sleep(0.005)
            finally:
                worker.send_signal(signal.SIGKILL)
        assert worker.returncode == -signal.SIGKILL
        assert half(folder), "it was killed in the middle of a picture"
        now = seen(folder, host.contents)
        assert f"{stuck:02}.png" not in now
        assert before.items() <= now.items(), "what had landed was written again"
        before = now
    assert KILLS[-1][1] <= len(before) < COUNT

    host.stuck = None
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True)
    now = seen(folder, host.contents)
    assert before.items() <= now.items(), "what had landed was written again"
    assert sorted(now) == [f"{number:02}.png" for number in range(COUNT)]
    assert sorted(path.name for path in folder.iterdir()) == sorted(now), "something is left behind"
    files = json.loads(done.stdout.splitlines()[-1])["files"]
    assert [file["sha256"] for file in files] == [
        hashlib.sha256(content).hexdigest() for content in host.contents
    ]
