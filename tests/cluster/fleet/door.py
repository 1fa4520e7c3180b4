"""A door before a server of this machine: `python door.py PORT UPSTREAM_PORT`.

Who stops it shuts the server off: what was being said is cut, and whoever knocks afterwards is refused,
while the server behind it remembers all.
"""

import asyncio
import sys
from contextlib import suppress

LOOPBACK = "127.0.0.1"
PIECE = 1 << 16


async def main(port: int, upstream: int) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                writer.write(piece)
                await writer.drain()
        with suppress(OSError):
            writer.close()

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(LOOPBACK, upstream)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))

    server = await asyncio.start_server(welcome, LOOPBACK, port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
