"""A process that lands pictures is killed, again and again: nothing half is seen, and a retry completes."""

import hashlib
import io
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

#: How many there are, and in how many pieces each comes, with a rest in between.
PICTURES, PIECES, REST = 28, 8, 0.01
#: How often a process is killed, and how many more pictures each of these can land: however late its kill
#: comes, some are left.
KILLS, MORE = 4, 6


def drawn(number: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((100 + number, 80), 90).convert("RGB").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return [drawn(number) for number in range(PICTURES)]


class Host:
    """Serves /0.png, /1.png, … piece by piece."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._whole: set[str] = set()
        self._left = 0
        self._lock = threading.Lock()
        self.done = threading.Event()

    def serve(self, more: int) -> None:
        """From now on, serve so many pictures whole that were not before; of the others all but the end."""
        with self._lock:
            self._left = more

    def is_whole(self, path: str) -> bool:
        with self._lock:
            if path not in self._whole and self._left > 0:
                self._left -= 1
                self._whole.add(path)
            return path in self._whole


@pytest.fixture
def slow_host(contents: list[bytes]) -> Iterator[Host]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = contents[int(self.path.strip("/").removesuffix(".png"))]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            piece = len(content) // PIECES + 1
            for start in range(0, len(content), piece):
                if start + piece >= len(content) and not host.is_whole(self.path):
                    host.done.wait()
                    return
                self.wfile.write(content[start : start + piece])
                time.sleep(REST)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: clients are killed."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        host = Host(f"http://127.0.0.1:{server.server_port}")
        yield host
        host.done.set()
        server.shutdown()


def script(host: str, folder: Path) -> list[str]:
    """Return the command of a process that lands all pictures as one task instance."""
    lines = f"""
        import asyncio
        import logging
        from dataclasses import replace
        from types import SimpleNamespace

        from airflow_aluo.landing import how_of_task, land
        from airflow_aluo.protocol import record
        from airflow_aluo.protocol.account import ANONYMOUS
        from airflow_aluo.transport.with_aiohttp import AiohttpDriver

        async def main():
            ti = SimpleNamespace(dag_id="a_dag", run_id="a_run", task_id="land", map_index=-1)
            edits = record.of_urls([f"{host}/{{number}}.png" for number in range({PICTURES})])
            free = asyncio.Semaphore(4)
            how = how_of_task(ti, {str(folder)!r}, logging.getLogger(), max_bytes=1 << 24, free=free)
            async with AiohttpDriver(replace(ANONYMOUS, allow_private_hosts=("127.0.0.1",))) as driver:
                print("started", flush=True)
                await land(edits, how, driver, lambda *_: None)

        asyncio.run(main())
    """
    return [sys.executable, "-c", textwrap.dedent(lines)]


def landed(folder: Path) -> dict[str, tuple[int, str]]:
    """What has landed under its name: inode and digest."""
    return {
        path.name: (path.stat().st_ino, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.glob("[!.]*")
    }


def test_whenever_it_is_killed_all_that_is_seen_is_whole_and_a_retry_completes(
    slow_host: Host, contents: list[bytes], tmp_path: Path
) -> None:
    whole = {hashlib.sha256(content).hexdigest() for content in contents}
    dice, before = random.Random(7), {}  # noqa: S311  # moments, not secrets
    for _ in range(KILLS):
        slow_host.serve(MORE)
        process = subprocess.Popen(script(slow_host.url, tmp_path), stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        while len(landed(tmp_path)) == len(before):  # the kill comes once another one has landed
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(dice.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        now = landed(tmp_path)
        assert {digest for _, digest in now.values()} <= whole
        assert before.items() <= now.items(), "what had landed stays as it was"
        before = now
    slow_host.serve(PICTURES)
    done = subprocess.run(script(slow_host.url, tmp_path), check=True, capture_output=True, timeout=300)
    assert done.returncode == 0
    found = landed(tmp_path)
    assert {digest for _, digest in found.values()} == whole
    assert before.items() <= found.items()
    assert KILLS <= len(before) < PICTURES, "some had landed before, and not all"
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
