"""Breaks a call's connection off: before its reply, within it, or while its body is sent.

The connection is there when the server is this package's own (``serving.py``).
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from fastapi import Request, Response
from fastapi.responses import FileResponse, StreamingResponse

#: Bytes of a body up to which it counts as one that comes in one piece, with the head.
_ONE_PIECE: Final = 64 * 1024
#: What makes the system reset a connection when it is closed: no lingering, not even a second.
_NO_GOODBYE: Final = struct.pack("ii", 1, 0)


async def drop(request: Request, *, reset: bool = False) -> Response:
    """Close the connection without a word, or reset it. What is returned is never sent."""
    request.state.note.dropped = True
    transport = request.state.transport
    if reset and not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_GOODBYE)
    transport.abort()
    # The server hears of the closed connection in the loop's next round; before that it would
    # take the call for one that was forgotten.
    await asyncio.sleep(0)
    return Response()


async def cut_off(request: Request) -> Response:
    """Reset the connection while the body is sent: a large one has begun to come, a small one not."""
    if int(request.headers.get("content-length", 0)) > _ONE_PIECE:
        await anext(request.stream(), b"")
    return await drop(request, reset=True)


def broken_off(request: Request, reply: Response) -> Response:
    """Half a reply, though its whole length is promised; then the connection closes."""
    data = Path(reply.path).read_bytes() if isinstance(reply, FileResponse) else bytes(reply.body)

    async def half() -> AsyncIterator[bytes]:
        yield data[: len(data) // 2]
        request.state.transport.close()
        request.state.note.dropped = True
        await asyncio.sleep(0)

    headers = {**reply.headers, "content-length": str(len(data))}
    return StreamingResponse(half(), reply.status_code, headers)
