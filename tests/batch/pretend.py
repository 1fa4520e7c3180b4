"""A fast pretend Aluo for thousands of edits: ``python -m tests.batch.pretend <seconds a POST takes>``.

It accepts everything, is done at once, and counts: ``GET /counts`` says how many edits it has accepted and
how many POSTs were under way at most.
"""

import asyncio
import json
import sys
from typing import Any

ADDRESS = "https://cdn.example/{}.png"


class Aluo:
    """What was asked of it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.accepted = self.posts = self.most_posts = self.looks = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                await reader.readexactly(int(headers.get("content-length", 0)))
                body = json.dumps(await self.answer(*lines[0].split(" ")[:2])).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, method: str, path: str) -> Any:
        if path == "/counts":
            return {"accepted": self.accepted, "most_posts": self.most_posts, "looks": self.looks}
        data: dict[str, Any]
        if method == "POST":
            self.posts += 1
            self.most_posts = max(self.posts, self.most_posts)
            await asyncio.sleep(self.seconds)
            self.posts -= 1
            self.accepted += 1
            data = {"taskId": f"edit_{self.accepted:09d}"}
        else:
            self.looks += 1
            data = {"status": "SUCCESS", "images": [{"url": ADDRESS.format(path.rpartition("=")[2])}]}
        return {"code": 0, "success": True, "data": data}


async def main() -> None:
    aluo = Aluo(float(sys.argv[1]))
    server = await asyncio.start_server(aluo.serve, "127.0.0.1", backlog=1000)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
