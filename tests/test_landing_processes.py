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

#: How many there are, and how many bytes of one come at a time, with a rest in between.
PICTURES, PIECES, REST = 20, 8, 0.01


def drawn(number: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((100 + number, 80), 90).convert("RGB").save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    return [drawn(number) for number in range(PICTURES)]


@pytest.fixture
def slow_host(contents: list[bytes]) -> Iterator[str]:
    """Serves /0.png, /1.png, … piece by piece."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            content = contents[int(self.path.strip("/").removesuffix(".png"))]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            for start in range(0, len(content), len(content) // PIECES + 1):
                self.wfile.write(content[start : start + len(content) // PIECES + 1])
                time.sleep(REST)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: clients are killed."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
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
    slow_host: str, contents: list[bytes], tmp_path: Path
) -> None:
    whole = {hashlib.sha256(content).hexdigest() for content in contents}
    dice, before = random.Random(7), {}  # noqa: S311  # moments, not secrets
    for _ in range(4):
        process = subprocess.Popen(script(slow_host, tmp_path), stdout=subprocess.PIPE)
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
    done = subprocess.run(script(slow_host, tmp_path), check=True, capture_output=True, timeout=60)
    assert done.returncode == 0
    found = landed(tmp_path)
    assert {digest for _, digest in found.values()} == whole
    assert before.items() <= found.items()
    assert 4 <= len(before) < PICTURES, "some had landed before, and not all"
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
