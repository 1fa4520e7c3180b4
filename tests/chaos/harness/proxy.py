"""A proxy in front of Airflow's execution API, which can hold what workers tell the task state store.

A worker's supervisor asks ``GET/PUT/DELETE /execution/store/ti/{ti_id}/{key}``. Which run an id belongs to
is learned from the answer to ``PATCH /execution/task-instances/{ti_id}/run``.
"""

import http.client
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

Side = Literal["request", "reply"]
#: What becomes of an exchange that was held.
Verdict = Literal["go on", "hang up", "refuse"]

_STORE = re.compile(r"^/execution/store/ti/([0-9a-f-]{36})/(.+)$")
_TASK = re.compile(r"^/execution/task-instances/([0-9a-f-]{36})/(run|state)$")
#: Seconds that one call may take at the API server.
TIMEOUT = 60.0
#: Headers that speak of one connection only; and what would have replies compressed, which are read here.
_NOT_PASSED = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding"}


def _stage(value: Mapping[str, Any]) -> str:
    """Return the stage of an entry, or all stages of a batch's entries."""
    if "entries" in value:
        return ",".join(sorted({str(entry["stage"]) for entry in value["entries"].values()}))
    return str(value.get("stage", ""))


@dataclass(frozen=True, slots=True)
class Said:
    """One thing that a worker told or asked Airflow, as far as this suite cares."""

    at: float
    run_id: str
    ti_id: str
    #: ``GET``, ``PUT`` or ``DELETE`` of the store, ``run`` for a start, or ``state``.
    verb: str
    #: The store's key; of a start the process id, of a state the state.
    what: str
    #: The stage of what is stored.
    stage: str = ""
    #: The whole of what is stored.
    value: Any = None

    def __str__(self) -> str:
        return " ".join(filter(None, [self.verb, self.what, self.stage]))


class Hold:
    """One exchange that is going to be held: before it is forwarded, or before its reply is given back."""

    def __init__(self, matches: Callable[[Said], bool], side: Side) -> None:
        self.matches = matches
        self.side = side
        self._said: Said | None = None
        self._reached = threading.Event()
        self._decided = threading.Event()
        self._verdict: Verdict = "go on"

    def wait(self, seconds: float) -> Said:
        """Wait until the exchange is held, and return what was said."""
        if not self._reached.wait(seconds) or self._said is None:
            raise TimeoutError(f"nothing was held within {seconds:.0f} s")
        return self._said

    def release(self) -> None:
        """Let it go on."""
        self._decided.set()

    def drop(self) -> None:
        """Close its connection instead."""
        self._decide("hang up")

    def refuse(self) -> None:
        """Answer with an error instead, after which nobody asks again by himself."""
        self._decide("refuse")

    def _decide(self, verdict: Verdict) -> None:
        if not self._decided.is_set():
            self._verdict = verdict
            self._decided.set()

    def hold(self, said: Said) -> Verdict:
        """Hold what was said until it is decided; return what becomes of it."""
        self._said = said
        self._reached.set()
        self._decided.wait()
        return self._verdict


@dataclass(slots=True)
class _Memory:
    """What was said so far."""

    said: list[Said] = field(default_factory=list)
    run_ids: dict[str, str] = field(default_factory=dict)


class ExecutionProxy:
    """Forwards everything to ``upstream`` (``http://host:port``), and holds what a test asks it to hold."""

    def __init__(self, port: int = 0) -> None:
        self.upstream = ""
        self._memory = _Memory()
        self._holds: list[Hold] = []
        self._changed = threading.Condition()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for hold in list(self._holds):
            hold.drop()
        self._server.shutdown()
        self._server.server_close()

    def hold(self, run_id: str, text: str, *, side: Side = "request") -> Hold:
        """Hold the next thing that a task of this run says and that reads so: ``PUT aluo_edit intent``."""
        hold = Hold(lambda said: said.run_id == run_id and str(said) == text, side)
        with self._changed:
            self._holds.append(hold)
        return hold

    def said(self, run_id: str) -> list[Said]:
        """All that was said by the tasks of a run, in order."""
        with self._changed:
            return [one for one in self._memory.said if one.run_id == run_id]

    def wait_for(self, run_id: str, text: str, *, seconds: float, after: float = 0.0) -> Said:
        """Wait until a task of the run says what begins so: ``state deferred``.

        :param after: epoch seconds; what was said before them does not count.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for one in self._memory.said:
                    if one.run_id == run_id and one.at > after and str(one).startswith(text):
                        return one
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{run_id} did not say {text!r} within {seconds:.0f} s")
                self._changed.wait(left)

    # --- for the handler -----------------------------------------------------------------------

    def heard(self, method: str, path: str, body: bytes) -> Said | None:
        """Return what a request says, if it is one that this suite cares about."""
        path = urlsplit(path).path
        if match := _STORE.match(path):
            value = json.loads(body).get("value") if body else None
            stage = _stage(value) if isinstance(value, dict) else ""
            return self._said(match[1], method, unquote(match[2]), stage, value)
        if method == "PATCH" and (match := _TASK.match(path)):
            content = json.loads(body)
            what = content["pid"] if match[2] == "run" else content["state"]
            return self._said(match[1], match[2], str(what))
        return None

    def _said(self, ti_id: str, verb: str, what: str, stage: str = "", value: Any = None) -> Said:
        run_id = self._memory.run_ids.get(ti_id, "")
        return Said(time.time(), run_id, ti_id, verb, what, stage, value)

    def learned(self, said: Said, status: int, reply: bytes) -> Said:
        """Write down what was said and answered; return it with the run that it is about."""
        with self._changed:
            if said.verb == "run" and status == http.client.OK:
                self._memory.run_ids[said.ti_id] = json.loads(reply)["dag_run"]["run_id"]
                said = self._said(said.ti_id, said.verb, said.what)
            self._memory.said.append(said)
            self._changed.notify_all()
        return said

    def take(self, said: Said, side: Side) -> Hold | None:
        """Return the hold that meets this exchange."""
        with self._changed:
            for hold in self._holds:
                if hold.side == side and hold.matches(said):
                    self._holds.remove(hold)
                    return hold
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of lost connections: workers are killed here."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    proxy: "ExecutionProxy"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = self.proxy.heard(self.command, self.path, body)
        if said and not self._goes_on(said, "request"):
            return
        try:
            status, headers, reply = self._ask(body)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # as if nobody listened
            return
        if said and not self._goes_on(self.proxy.learned(said, status, reply), "reply"):
            return
        self._answer(status, headers, reply)

    def _goes_on(self, said: Said, side: Side) -> bool:
        hold = self.proxy.take(said, side)
        verdict = hold.hold(said) if hold else "go on"
        if verdict == "hang up":
            self.close_connection = True
        elif verdict == "refuse":
            reason = b'{"detail": {"reason": "chaos", "message": "refused by the chaos suite"}}'
            self._answer(http.client.FORBIDDEN, {"Content-Type": "application/json"}, reason)
        return verdict == "go on"

    def _answer(self, status: int, headers: Mapping[str, str], reply: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != http.client.NO_CONTENT:
            self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = _forward  # noqa: N815  # http.server's names

    def _ask(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        # A connection for each call: one that is kept may have been closed by the server meanwhile.
        address = urlsplit(self.proxy.upstream)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=TIMEOUT)
        try:
            headers = _passed(self.headers)
            if body or self.command in {"PUT", "POST", "PATCH"}:
                headers["Content-Length"] = str(len(body))
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, _passed(answer.headers), answer.read()
        finally:
            connection.close()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
        """Say nothing."""


def _passed(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _NOT_PASSED}
