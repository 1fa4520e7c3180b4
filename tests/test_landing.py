"""How a picture lands, from a real socket into a real folder."""

from __future__ import annotations

import asyncio
import hashlib
import io
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import time_machine
from PIL import Image

from airflow_aluo.landing import How, how_of_task, land
from airflow_aluo.protocol import record
from airflow_aluo.protocol.account import ANONYMOUS
from airflow_aluo.protocol.errors import (
    AluoConnectionError,
    AluoError,
    AluoPictureError,
    AluoServerError,
)
from airflow_aluo.protocol.flows import Pause
from airflow_aluo.protocol.naming import PLACEHOLDERS, Name
from airflow_aluo.storage import Folder
from airflow_aluo.transport.with_aiohttp import AiohttpDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_aluo.protocol.flows import Flow
    from airflow_aluo.protocol.record import EditRecord, LandedFile

#: Seconds after which a test gives up.
PATIENCE = 60.0


def drawn(format_name: str, size: tuple[int, int] = (32, 24)) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 80).convert("RGB").save(file, format_name)
    return file.getvalue()


PNG = drawn("PNG")

#: Who may fetch pictures from this machine.
LOCAL = replace(ANONYMOUS, allow_private_hosts=("127.0.0.1",))


class Host(ThreadingHTTPServer):
    """A host of pictures: the first behaviour for the first request, the last for all that follow."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behaviours: tuple[Callable[[Handler], object], ...] = ()
        self.asked = 0
        self.done = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/1.png?signature=secret"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients may leave."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Host

    def do_GET(self) -> None:
        behaviours = self.server.behaviours
        behave = behaviours[min(self.server.asked, len(behaviours) - 1)]
        self.server.asked += 1
        behave(self)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def answers(content: bytes, status: int = 200, **headers: str) -> Callable[[Handler], None]:
    """Return a behaviour. ``content_length="4000"`` promises more than comes; then the connection ends."""

    def behave(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in ({"content_length": str(len(content))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True

    return behave


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("NO_PROXY", "*")
    with Host() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.done.set()
        server.shutdown()
        thread.join(PATIENCE)


class Impatient:
    """Drives flows by hand: nobody waits between two tries."""

    def __init__(self, driver: AiohttpDriver, pausing: Callable[[float], object] = lambda _: None) -> None:
        self._driver, self._pausing = driver, pausing

    async def run(self, flow: Flow[Any]) -> Any:
        step: Callable[[Any], Any] = flow.send
        value: Any = None
        try:
            while True:
                wanted, step, value = step(value), flow.send, None
                if isinstance(wanted, Pause):
                    self._pausing(wanted.seconds)
                    continue
                try:
                    value = await self._driver.exchange(wanted)
                except AluoError as error:
                    step, value = flow.throw, error
        except StopIteration as end:
            return end.value


def edit(*urls: str, **request: Any) -> EditRecord:
    """The record of a finished edit."""
    pending = record.of_edit("edit-1", aluo_conn_id="aluo_default")
    asked = {"prompt": "Make it blue", "image_urls": ["https://shop.example/cup.jpg?v=1"], "image_files": []}
    asked |= {"aspect_ratio": None, "output_format": None, "num_images": None} | request
    return pending | {"status": "SUCCESS", "result_urls": list(urls), "request": asked}


def land_now(
    finished: EditRecord, folder: Path, *, pausing: Callable[[float], object] = lambda _: None, **how: Any
) -> EditRecord:
    """Land in an event loop of its own."""

    async def main() -> EditRecord:
        async with AiohttpDriver(LOCAL) as driver:
            given = {"folder": Folder(str(folder)), "max_bytes": 1 << 20, **how}
            impatient: Any = Impatient(driver, pausing)
            return await land(finished, How(**given), impatient, lambda *_: None)

    return asyncio.run(main())


def landed(
    host: Host, folder: Path, *behaviours: Callable[[Handler], object], request: Any = None, **how: Any
) -> LandedFile:
    host.behaviours = behaviours
    (file,) = land_now(edit(host.url, **(request or {})), folder, **how)["files"]
    return file


def fails(host: Host, folder: Path, *behaviours: Callable[[Handler], object], **options: Any) -> AluoError:
    """Return the error; check that the folder is as it was and that the address is told without its query."""
    folder.mkdir(exist_ok=True)
    (folder / "edit-1-0.png").write_bytes(b"what was there before")
    with pytest.raises(AluoError) as caught:
        landed(host, folder, *behaviours, **options)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "edit-1-0.png": b"what was there before"
    }
    assert "secret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("format_name", "extension"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("MPO", "jpg")]
)
def test_a_picture_lands_under_a_name_that_its_bytes_give(
    host: Host, tmp_path: Path, format_name: str, extension: str
) -> None:
    content = drawn(format_name)
    path = tmp_path / "new" / "folder" / f"edit-1-0.{extension}"
    assert landed(host, path.parent, answers(content, content_type="binary/octet-stream")) == {
        "path": str(path),
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "width": 32,
        "height": 24,
        "format": "jpeg" if extension == "jpg" else extension,
    }
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == content


def test_a_picture_lands_over_the_one_before_if_that_is_asked(host: Host, tmp_path: Path) -> None:
    landed(host, tmp_path, answers(drawn("PNG", (1, 1))))
    landed(host, tmp_path, answers(PNG), if_exists="overwrite")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [PNG]


def test_another_picture_of_the_same_name_stays_and_is_named(host: Host, tmp_path: Path) -> None:
    landed(host, tmp_path, answers(PNG))
    for other in (drawn("PNG"), drawn("PNG", (1, 1))):
        with pytest.raises(AluoPictureError, match=r"another file stands at .*overwrite"):
            landed(host, tmp_path, answers(other))
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [PNG]


def test_a_second_run_writes_nothing_and_returns_the_same(host: Host, tmp_path: Path) -> None:
    host.behaviours = (answers(PNG),)
    with time_machine.travel("2026-01-01T10:00:00Z"):
        first = land_now(edit(host.url), tmp_path)
    inode = (tmp_path / "edit-1-0.png").stat().st_ino
    assert land_now(edit(host.url), tmp_path) == first
    assert (tmp_path / "edit-1-0.png").stat().st_ino == inode


@pytest.mark.parametrize("if_exists", ["skip", "fail"])
def test_what_is_there_may_stay_without_anything_being_fetched(
    host: Host, tmp_path: Path, if_exists: str
) -> None:
    there = drawn("JPEG", (8, 6))
    (tmp_path / "edit-1-0.jpg").write_bytes(there)
    if if_exists == "fail":
        with pytest.raises(AluoPictureError, match="a file stands at"):
            landed(host, tmp_path, answers(PNG), if_exists=if_exists)
    else:
        file = landed(host, tmp_path, answers(PNG), if_exists=if_exists)
        assert file["sha256"] == hashlib.sha256(there).hexdigest()
        assert (file["width"], file["height"], file["format"], file["bytes"]) == (8, 6, "jpeg", len(there))
    assert host.asked == 0
    assert [path.name for path in tmp_path.iterdir()] == ["edit-1-0.jpg"]


@pytest.mark.parametrize("if_exists", ["skip", "fail"])
def test_where_nothing_is_yet_it_lands(host: Host, tmp_path: Path, if_exists: str) -> None:
    assert landed(host, tmp_path, answers(PNG), if_exists=if_exists)["bytes"] == len(PNG)


def test_what_is_to_stay_must_be_a_picture(host: Host, tmp_path: Path) -> None:
    (tmp_path / "edit-1-0.png").write_bytes(b"half a picture")
    with pytest.raises(AluoPictureError, match="not a picture"):
        landed(host, tmp_path, answers(PNG), if_exists="skip")


def test_a_name_is_made_of_what_is_known(host: Host, tmp_path: Path) -> None:
    name = Name("{dag_id}/{run_id}/{photo} {prompt}-{position:03}-{index}.{ext}", allowed=PLACEHOLDERS)
    values = {"dag_id": "shop", "run_id": "manual__2026-01-01T10:00:00+00:00"}
    prompt = "../../etc, with \x00 and / in it"
    file = landed(host, tmp_path, answers(PNG), request={"prompt": prompt}, name=name, values=values)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file["path"] == str(path)
    assert str(path.relative_to(tmp_path)) == (
        "shop/manual__2026-01-01T10_00_00_00_00/cup etc_with_and_in_it-000-0.png"
    )


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"output_format": "webp"}, "is png, and webp was asked for"),
        ({"aspect_ratio": "16:9"}, "is 32 x 24, and 16:9 was asked for"),
    ],
)
def test_a_picture_that_is_not_what_was_asked_for_lands_only_if_that_is_allowed(
    host: Host, tmp_path: Path, request_: dict[str, str], said: str
) -> None:
    assert said in str(fails(host, tmp_path, answers(PNG), request=request_))
    (tmp_path / "edit-1-0.png").unlink()
    assert landed(host, tmp_path, answers(PNG), request=request_, strict=False)["format"] == "png"


@pytest.mark.parametrize("size", [(320, 240), (320, 236), (320, 244)])
def test_a_ratio_may_be_off_by_two_per_cent(host: Host, tmp_path: Path, size: tuple[int, int]) -> None:
    request = {"aspect_ratio": "4:3", "output_format": "png"}
    assert landed(host, tmp_path, answers(drawn("PNG", size)), request=request)["width"] == 320


@pytest.mark.parametrize("content_type", ["image/jpeg", "text/html; charset=utf-8", "application/json"])
def test_a_host_that_lies_about_what_it_sends_is_not_believed(
    host: Host, tmp_path: Path, content_type: str
) -> None:
    error = fails(host, tmp_path, answers(PNG, content_type=content_type))
    assert isinstance(error, AluoPictureError)
    assert content_type.partition(";")[0] in str(error)
    assert host.asked == 1


def test_a_bomb_is_not_unpacked(host: Host, tmp_path: Path) -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    error = fails(host, tmp_path, answers(bomb.getvalue()))
    assert "decompression bomb" in str(error)


def test_a_landed_picture_can_be_read_by_whoever_may_read_the_folder(host: Host, tmp_path: Path) -> None:
    """A temporary file of Python's can be read by its owner only."""
    plain = tmp_path / "plain"
    plain.touch()
    path = Path(landed(host, tmp_path, answers(PNG))["path"])
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize(
    "behave",
    [
        answers(PNG[:100], content_length=str(len(PNG)), content_type="image/png"),
        answers(b"longer than the picture and broken off" * 100, content_length="100000"),
        answers(b"in trouble", status=500),
        answers(b"in trouble", status=503, retry_after="0"),
        answers(b"not so fast", status=429, retry_after="0"),
        lambda handler: handler.connection.shutdown(socket.SHUT_RDWR),
    ],
)
def test_a_picture_that_failed_on_its_way_is_fetched_again_from_its_beginning(
    host: Host, tmp_path: Path, behave: Callable[[Handler], object]
) -> None:
    file = landed(host, tmp_path, behave, behave, answers(PNG))
    assert Path(file["path"]).read_bytes() == PNG
    assert file["bytes"] == len(PNG)
    assert file["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert host.asked == 3


@pytest.mark.parametrize("status", [400, 401, 405])
def test_a_picture_that_is_refused_is_asked_for_once(host: Host, tmp_path: Path, status: int) -> None:
    error = fails(host, tmp_path, answers(PNG, status=status))
    assert isinstance(error, AluoPictureError)
    assert error.url == host.url.partition("?")[0] + "?…"
    assert f"HTTP {status}" in str(error)
    assert host.asked == 1


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!doctype html><html>expired</html>",
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        PNG[: len(PNG) // 2],
        drawn("JPEG")[:-20],
        drawn("WEBP")[:-20],
        drawn("GIF"),
    ],
    ids=["nothing", "html", "svg", "half a png", "half a jpeg", "half a webp", "gif"],
)
def test_what_is_no_whole_picture_does_not_land(host: Host, tmp_path: Path, content: bytes) -> None:
    error = fails(host, tmp_path, answers(content, content_type="image/png"))
    assert isinstance(error, AluoPictureError)
    assert "picture" in str(error)
    assert host.asked == 1


def test_a_picture_that_says_it_is_too_large_is_not_read(host: Host, tmp_path: Path) -> None:
    error = fails(host, tmp_path, answers(b"", content_length=str(1 << 40)))
    assert isinstance(error, AluoPictureError)
    assert str(1 << 40) in str(error)
    assert host.asked == 1


def test_a_picture_that_turns_out_too_large_is_not_read_on(host: Host, tmp_path: Path) -> None:
    def sends_a_lot(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(1024):
            handler.wfile.write(bytes(1 << 16))

    error = fails(host, tmp_path, sends_a_lot)
    assert isinstance(error, AluoPictureError)
    assert "max_bytes" in str(error)


def test_a_picture_of_just_the_right_size_lands(host: Host, tmp_path: Path) -> None:
    landed(host, tmp_path, answers(PNG), max_bytes=len(PNG))
    assert isinstance(fails(host, tmp_path, answers(PNG), max_bytes=len(PNG) - 1), AluoPictureError)


def test_a_host_that_stays_in_trouble_ends_the_tries(host: Host, tmp_path: Path) -> None:
    # It asks for more time than a picture is worth.
    error = fails(host, tmp_path, answers(b"", status=503, retry_after="300"))
    assert isinstance(error, AluoServerError)
    assert (error.http_status, error.retry_after, host.asked) == (503, 300.0, 1)


def test_an_address_that_nobody_answers_is_given_up_after_a_minute(tmp_path: Path) -> None:
    pauses: list[float] = []
    with socket.socket() as holding, time_machine.travel(0.0, tick=False) as clock:
        holding.bind(("127.0.0.1", 0))  # without listen(), it refuses connections

        def pausing(seconds: float) -> None:
            pauses.append(seconds)
            clock.shift(seconds)

        url = f"http://127.0.0.1:{holding.getsockname()[1]}/1.png"
        with pytest.raises(AluoConnectionError, match=r"(?i)connect"):
            land_now(edit(url), tmp_path, pausing=pausing)
    assert len(pauses) > 3
    assert sum(pauses) <= 60
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_never_whole_in_memory(host: Host, tmp_path: Path) -> None:
    size = 64 << 20

    def sends(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(size))
        handler.end_headers()
        block = bytes(1 << 16)
        for _ in range(size // len(block)):
            handler.wfile.write(block)

    tracemalloc.start()
    try:
        error = fails(host, tmp_path, sends, max_bytes=size)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(error, AluoPictureError)  # these bytes are no picture, which the last of them shows
    assert peak < 10 << 20


def test_a_folder_that_cannot_be_made_is_an_error(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AluoPictureError, match="cannot be kept: NotADirectoryError"):
        landed(host, tmp_path / "file" / "folder", answers(PNG))
    assert host.asked == 0


def script(host: Host, folder: Path, *before: str) -> list[str]:
    """Return the command of a process that lands a picture."""
    lines = f"""
        import asyncio
        from dataclasses import replace

        from airflow_aluo.landing import How, land
        from airflow_aluo.protocol import record
        from airflow_aluo.protocol.account import ANONYMOUS
        from airflow_aluo.protocol.errors import AluoError
        from airflow_aluo.storage import Folder
        from airflow_aluo.transport.with_aiohttp import AiohttpDriver

        async def main():
            edit = record.of_urls([{host.url!r}]) | {{"aluo_task_id": "edit-1"}}
            how = How(folder=Folder({str(folder)!r}), max_bytes=1 << 24)
            async with AiohttpDriver(replace(ANONYMOUS, allow_private_hosts=("127.0.0.1",))) as driver:
                await land(edit, how, driver, lambda *_: None)

        try:
            asyncio.run(main())
        except AluoError as error:
            print(type(error).__name__, error)
    """
    return [sys.executable, "-c", "\n".join([*before, textwrap.dedent(lines)])]


def test_a_process_that_is_killed_in_the_middle_leaves_no_half_picture(host: Host, tmp_path: Path) -> None:
    def stalls(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(PNG) + (4 << 20)))
        handler.end_headers()
        handler.wfile.write(PNG + bytes(3 << 20))
        host.done.wait(PATIENCE)

    host.behaviours = (stalls,)
    with subprocess.Popen(script(host, tmp_path)) as process:
        try:
            ends_at = time.monotonic() + PATIENCE
            while not any(path.stat().st_size for path in tmp_path.iterdir()):
                assert process.poll() is None
                assert time.monotonic() < ends_at
                time.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    assert left.suffix == ".part"


@pytest.mark.parametrize(
    ("size", "limit"),
    [
        ((400, 300), 0),
        ((400, 300), 100_000),
        ((8, 8), 10),  # written only when its file is closed
    ],
)
def test_a_disk_that_is_full_is_named_and_leaves_no_half_picture(
    host: Host, tmp_path: Path, size: tuple[int, int], limit: int
) -> None:
    content = drawn("PNG", size)
    assert len(content) > limit
    host.behaviours = (answers(content),)
    # The kernel lets no file of the process grow beyond the limit: write() fails as on a full disk.
    before = [
        "import atexit, resource",
        "limits = resource.getrlimit(resource.RLIMIT_FSIZE)",
        "atexit.register(resource.setrlimit, resource.RLIMIT_FSIZE, limits)",
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, limits[1]))",
    ]
    done = subprocess.run(
        script(host, tmp_path, *before), capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert done.stdout.startswith("AluoPictureError ")
    assert "cannot be written: [Errno 27] File too large" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert host.asked == 1


# --- what is told of pictures that do not come at once, or not at all


def test_all_bad_pictures_of_an_edit_are_named_with_what_is_wrong(host: Host, tmp_path: Path) -> None:
    host.behaviours = (answers(b"", status=400),)
    base = host.url.partition("/1.png")[0]
    with pytest.raises(AluoPictureError) as caught:
        land_now(edit(*(f"{base}/{number}.png?signature=secret" for number in range(7))), tmp_path)
    said = str(caught.value)
    assert said.startswith("7 of 7 pictures did not land: picture ")
    assert said.endswith("; and 2 more")
    assert [number for number in range(7) if f"{base}/{number}.png?…" in said] == [0, 1, 2, 3, 4]
    assert said.count("HTTP 400") == 5
    assert (caught.value.url, caught.value.http_status) == (f"{base}/0.png?…", 400)


def test_the_one_bad_picture_of_an_edit_is_told_as_it_is(host: Host, tmp_path: Path) -> None:
    with pytest.raises(
        AluoPictureError, match=r"^picture http://127\.0\.0\.1:\d+/1\.png\?… is not a picture"
    ):
        landed(host, tmp_path, answers(b"nothing"))


def test_trying_again_is_told_once_for_each_picture(host: Host, tmp_path: Path) -> None:
    told: list[str] = []
    broken = answers(PNG[:100], content_length=str(len(PNG)))
    in_trouble = answers(b"", status=503, retry_after="0")

    def trouble(message: str, *args: object) -> None:
        told.append(message % args)

    landed(host, tmp_path, in_trouble, broken, answers(PNG), trouble=trouble)
    (line,) = told
    assert line.startswith("trying again, for up to 60 s: picture http://127.0.0.1:")
    assert line.endswith("/1.png?… answered HTTP 503")


def breaks_off_in_a_chunk(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc")
    handler.close_connection = True


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (
            answers(PNG[:100], content_length="379856"),
            r"^no whole reply from \S+/1\.png\?… \(the reply broke off after 100 of 379856 bytes\)$",
        ),
        (
            breaks_off_in_a_chunk,
            r"^no whole reply from \S+/1\.png\?… \(the reply broke off after 3 bytes\)$",
        ),
        (
            answers(b"", status=503),
            r"^picture \S+/1\.png\?… answered HTTP 503$",
        ),
    ],
)
def test_what_did_not_come_within_a_minute_is_named_on_one_line(
    host: Host, tmp_path: Path, behave: Callable[[Handler], object], said: str
) -> None:
    host.behaviours = (behave,)
    with time_machine.travel(0.0, tick=False) as clock, pytest.raises(AluoError, match=said):
        land_now(edit(host.url), tmp_path, pausing=clock.shift)
    assert host.asked > 3


def test_of_thousands_in_trouble_the_log_names_a_few(tmp_path: Path) -> None:
    class Ti:
        dag_id, run_id, task_id, map_index = "a_dag", "a_run", "a_task", -1

    class Log:
        told: ClassVar[list[str]] = []

        def info(self, message: str, *args: object) -> None:
            self.told.append(message % args)

    how = how_of_task(Ti(), str(tmp_path), Log(), max_bytes=1)
    for number in range(2000):
        how.trouble("picture %d", number)
    assert Log.told[:2] == ["picture 0", "picture 1"]
    assert Log.told[9:] == ["picture 9", "more pictures are tried again; they are not named here"]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_plain_address_that_leads_to_nothing_is_no_result_that_was_landed_too_late(
    host: Host, tmp_path: Path, status: int
) -> None:
    host.behaviours = (answers(b"", status=status),)
    with pytest.raises(AluoPictureError, match=rf"HTTP {status}; is the address right") as caught:
        land_now(record.of_urls([host.url]), tmp_path)
    assert "short-lived" not in str(caught.value)
    assert caught.value.http_status == status


def test_what_stands_there_may_be_kept_only_if_it_is_a_picture(host: Host, tmp_path: Path) -> None:
    for there, helps in ((drawn("PNG"), True), (b"no picture", False)):
        (tmp_path / "edit-1-0.png").write_bytes(there)
        with pytest.raises(AluoPictureError, match="another file stands at") as caught:
            landed(host, tmp_path, answers(PNG))
        assert ('if_exists="skip" to keep it' in str(caught.value)) == helps
    with pytest.raises(AluoPictureError, match=r'if_exists="skip" to keep it, or set if_exists="overwrite"'):
        landed(host, tmp_path, answers(PNG), if_exists="fail")


def test_a_picture_is_called_after_the_photo_at_the_start_of_its_chain(host: Host, tmp_path: Path) -> None:
    name = Name("{photo}-{index}.{ext}", allowed=PLACEHOLDERS)
    host.behaviours = (answers(PNG),)
    chain: Any = edit(host.url, image_urls=[], image_files=["/data/edit_1-0.png"])
    file = land_now(chain | {"source": "https://shop.example/jug.jpg"}, tmp_path, name=name)["files"][0]
    assert Path(file["path"]).name == "jug-0.png"


def test_what_is_there_already_is_told_so(host: Host, tmp_path: Path) -> None:
    told: list[str] = []

    def tell(message: str, *args: object) -> None:
        told.append(message % args)

    async def main() -> None:
        async with AiohttpDriver(LOCAL) as driver:
            for if_exists in ("skip_identical", "skip_identical", "skip"):
                how = How(folder=Folder(str(tmp_path)), max_bytes=1 << 20, if_exists=if_exists)  # type: ignore[arg-type]
                await land(edit(host.url), how, driver, tell)

    host.behaviours = (answers(PNG),)
    asyncio.run(main())
    address, path = host.url.partition("?")[0] + "?…", tmp_path / "edit-1-0.png"
    assert told == [
        f"landed {address} as {path}",
        f"{address} is there already as {path}",
        f"kept what was there instead of {address}: {path}",
    ]
