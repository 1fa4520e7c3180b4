"""A loopback HTTPS server that answers looks, as cheaply as Python can, and counts them.

Run in a process of its own: ``python -m peers.server <folder>``. It writes ``authority.pem`` and ``board``
there and prints its port.
"""

import asyncio
import datetime as dt
import ipaddress
import json
import mmap
import resource
import ssl
import struct
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: What the peers ask: dbt Cloud's status of a run; to the http provider's sensor 404 means "not yet".
DBT_PATH, HTTP_PATH = b"GET /api/v2/accounts/", b"GET /waiting/"


class Board:
    """What server and clients tell each other without a request: shared memory, two numbers of eight bytes.

    How many requests were answered so far, and whether the edits are still running (0) or done (1).
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 16)

    @property
    def answered(self) -> int:
        return int(struct.unpack_from("q", self._memory, 0)[0])

    @answered.setter
    def answered(self, value: int) -> None:
        struct.pack_into("q", self._memory, 0, value)

    @property
    def done(self) -> bool:
        return bool(struct.unpack_from("q", self._memory, 8)[0])

    @done.setter
    def done(self, value: bool) -> None:
        struct.pack_into("q", self._memory, 8, int(value))


def reply(status: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def aluo(status: str, **more: object) -> bytes:
    data = {"taskId": "edit-00000000", "status": status, **more}
    return reply("200 OK", {"code": 0, "success": True, "message": "success", "data": data})


def dbt(code: int) -> bytes:
    data = {"id": 1, "job_id": 1, "account_id": 1, "status": code, "status_humanized": "Whatever"}
    return reply("200 OK", {"status": {"code": 200, "is_success": True}, "data": data})


#: Replies to edits that run, and to those that are done.
PICTURES = [{"url": "https://pictures.example/1.png"}]
ALUO = (aluo("PROCESSING"), aluo("SUCCESS", images=PICTURES))
DBT = (dbt(3), dbt(10))
HTTP = (reply("404 Not Found", {"status": "PROCESSING"}), reply("200 OK", {"status": "SUCCESS"}))


class Answering(asyncio.Protocol):
    """Answers each request as soon as its head is there; nobody sends a body."""

    def __init__(self, board: Board) -> None:
        self._board, self._buffer = board, b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            replies = DBT if head.startswith(DBT_PATH) else HTTP if head.startswith(HTTP_PATH) else ALUO
            self._transport.write(replies[self._board.done])
            self._board.answered += 1


def certificate(folder: Path) -> ssl.SSLContext:
    """Write a certificate that vouches for itself, for 127.0.0.1; return a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A benchmark's server")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "authority.pem").write_bytes(made.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(private + made.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def allow_many_files() -> None:
    """Let this process hold thousands of connections."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def main(folder: Path) -> None:
    allow_many_files()
    context, board = certificate(folder), Board(folder / "board")
    server = await asyncio.get_running_loop().create_server(
        lambda: Answering(board), "127.0.0.1", 0, ssl=context, backlog=8192
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
