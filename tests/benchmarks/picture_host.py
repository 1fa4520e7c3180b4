"""Serves pictures to `bench_landing.py`: ``picture_host.py <folder>`` prints its port and goes on for ever.

A thread a connection, which stays open; the kernel copies a file into its socket (``sendfile``).
"""

import io
import sys
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

#: Where a comment may stand: behind a PNG's first chunk, and behind a JPEG's first two bytes.
_PNG_START, _JPEG_START = 33, 2
#: Pixels of a PNG and a JPEG of noise that have about 1 MB.
_SIZES = {"PNG": (576, 576), "JPEG": (920, 920)}


def draw(folder: Path, count: int) -> Iterator[Path]:
    """Write so many different pictures of about 1 MB: two of noise, each with a comment of its own."""
    noise = {}
    for kind, size in _SIZES.items():
        file = io.BytesIO()
        bands = [Image.effect_noise(size, 80) for _ in "RGB"]
        Image.merge("RGB", bands).save(file, kind, **{"quality": 95} if kind == "JPEG" else {})
        noise[kind] = file.getvalue()
    for number in range(count):
        comment = b"Comment\0picture %d" % number
        if number % 2:
            kind, start, name = "JPEG", _JPEG_START, f"{number:04}.jpg"
            part = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        else:
            kind, start, name = "PNG", _PNG_START, f"{number:04}.png"
            chunk = b"tEXt" + comment
            part = len(comment).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        path = folder / name
        path.write_bytes(noise[kind][:start] + part + noise[kind][start:])
        yield path


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def copyfile(self, source: BinaryIO, outputfile: Any) -> None:  # noqa: ARG002
        """Let the kernel copy."""
        self.connection.sendfile(source)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class _Host(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients may leave."""


def main() -> None:
    with _Host(("127.0.0.1", 0), partial(_Handler, directory=sys.argv[1])) as host:
        print(host.server_port, flush=True)
        host.serve_forever()


if __name__ == "__main__":
    main()
