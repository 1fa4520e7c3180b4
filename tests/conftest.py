"""What every test may use: recorded replies, a pretend Aluo, what Airflow gives to a task, patience."""

import asyncio
import atexit
import contextvars
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import DEVNULL, PIPE
from threading import Thread
from typing import Any

import pytest
import requests
import time_machine
from hypothesis import settings

from airflow_aluo.protocol.envelope import Reply

# An Airflow of nobody's: whatever imports it later finds its home here, and no settings of the machine's.
for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_", "ALUO_"))]:
    del os.environ[name]
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="aluo-tests-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

# A shell's job in the background ignores it, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says something about the machine, nothing about the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

_FOLDER = Path(__file__).with_name("replies")


@pytest.fixture(autouse=True)
def _triggers_fire_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to hear first that a task has left its worker: there is none."""
    monkeypatch.setattr("airflow_aluo.triggers.photo_edit.SHORTEST_ABSENCE", 0.0)


@pytest.fixture(scope="session")
def recorded() -> Callable[..., Reply]:
    """Return a function that reads ``tests/replies/<case>/<http_status>.*``."""

    def reply(case: str, headers: Mapping[str, str] | None = None, at: float = 0.0) -> Reply:
        (path,) = (_FOLDER / case).iterdir()
        return Reply(int(path.stem), headers or {}, path.read_bytes(), at)

    return reply


KEY = "sk-0123456789abcdef-of-a-test"


class Connections:
    """Sets Airflow connections of the type ``aluo``, for the length of a test."""

    key = KEY

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def set(self, host: str, conn_id: str = "aluo_default", *, password: str = KEY, **extra: Any) -> None:
        fast = {} if "plan" in extra else {"requests_per_minute": 60_000}  # a test is not to wait for a turn
        self.set_raw(conn_id, host=host, password=password, extra=fast | extra)

    def set_raw(self, conn_id: str = "aluo_default", **fields: Any) -> None:
        connection = json.dumps({"conn_type": "aluo", **fields})
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", connection)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    """No connection at all, until the test sets one. No proxy of the machine's is asked."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return Connections(monkeypatch)


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a port that refuses connections."""
    with socket.socket() as holding:  # bound but not listening: nobody else gets it meanwhile
        holding.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{holding.getsockname()[1]}"


class PretendAluo:
    """The sandbox, and what a test asks of it."""

    def __init__(self, api_url: str, connections: Connections) -> None:
        self.api_url, self.base_url = api_url, api_url.removesuffix("/api")
        self.photo = f"{self.base_url}/photos/coffee.jpg"
        self._session = requests.Session()
        self._session.trust_env = False
        connections.set(self.api_url)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        reply = self._session.request(method, f"{self.base_url}/sandbox/{path}", json=body, timeout=20)
        reply.raise_for_status()
        return reply.json()

    def fault(self, kind: str, **more: Any) -> None:
        self.control("POST", "faults", {"kind": kind, **more})

    def settings(self, **changes: Any) -> None:
        self.control("PUT", "settings", changes)

    def close(self) -> None:
        self._session.close()

    @property
    def ledger(self) -> Any:
        return self.control("GET", "ledger")

    @property
    def accepted(self) -> int:
        accepted: int = self.ledger["totals"]["accepted"]
        return accepted

    @property
    def calls(self) -> list[str]:
        """What was asked: ``POST generate``, ``GET status``, ``GET <picture>``."""
        return [f"{one['method']} {one['path'].rpartition('/')[2]}" for one in self.ledger["requests"]]


@pytest.fixture(scope="session")
def _one_sandbox() -> Iterator[str]:
    # A process of its own: it does not travel in time when a test does.
    command = [sys.executable, "-m", "airflow_aluo.sandbox", "--no-rate-limit", "--speed", "1000"]
    with subprocess.Popen(command, stdout=PIPE, stderr=DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().removeprefix("sandbox: ").strip()
        finally:
            process.terminate()


@pytest.fixture
def sandbox(_one_sandbox: str, connections: Connections) -> Iterator[PretendAluo]:
    """A pretend Aluo, as good as new; the connection ``aluo_default`` leads to it."""
    aluo = PretendAluo(_one_sandbox, connections)
    before = aluo.control("GET", "settings")
    aluo.control("DELETE", "ledger")
    aluo.control("PUT", f"accounts/{KEY}", {"plan": "pro", "balance": 10_000})
    yield aluo
    aluo.control("DELETE", "faults")
    aluo.control("POST", "release")
    aluo.control("PUT", "settings", before)
    aluo.close()


class Played:
    """A server that plays replies, one a request, and the last one for ever."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._replies: list[tuple[int, bytes, dict[str, str], Callable[[], object]]] = []
        played = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                seen = {name.lower(): value for name, value in self.headers.items()}
                played.requests.append((f"{self.command} {self.path}", seen))
                replies = played._replies
                status, body, headers, meanwhile = replies.pop(0) if len(replies) > 1 else replies[0]
                meanwhile()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815  # http.server's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
                pass

        class Server(ThreadingHTTPServer):
            # Of five, the usual: who comes sixth at the same moment waits for a second, or three, or seven.
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def reply(
        self,
        status: int,
        body: Any = b"",
        *,
        headers: Mapping[str, str] | None = None,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        """Add a reply. ``meanwhile``: what happens before it is sent."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._replies.append((status, content, dict(headers or {}), meanwhile))

    def anew(self) -> None:
        """Forget the replies that are left."""
        self._replies.clear()

    def status(self, word: str, *urls: str, **more: Any) -> None:
        """Add a look's answer."""
        data = {"status": word} | ({"images": [{"url": url} for url in urls]} if urls else {})
        self.reply(200, {"code": 0, "success": True, "data": data}, **more)

    def refuse(self, status: int, code: int, **more: Any) -> None:
        """Add a refusal in Aluo's envelope."""
        self.reply(status, {"code": code, "success": False, "message": "no", "error": "no"}, **more)


@pytest.fixture
def played(connections: Connections) -> Iterator[Played]:
    """A server that plays replies; the connection ``aluo_default`` leads to it."""
    server = Played()
    connections.set(server.url)
    yield server
    server.close()


@pytest.fixture
def clock() -> "Iterator[time_machine.Traveller]":  # a string: older ones have another name for it
    """Moves the time of this process: ``clock.shift(61)``."""
    with time_machine.travel(time.time(), tick=True) as traveller:
        yield traveller


class TaskInstance:
    """What our tasks ask of Airflow's task instance; its XComs are plain JSON, as Airflow's."""

    dag_id, run_id, map_index, try_number, max_tries = "a_dag", "a_run", -1, 1, 2

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.xcoms: dict[tuple[str, str], Any] = {}
        self.first_reschedule: datetime | None = None

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[self.task_id, key] = json.loads(json.dumps(value))

    def xcom_pull(
        self, *, task_ids: str, key: str = "return_value", default: Any = None, map_indexes: Any = None
    ) -> Any:
        assert map_indexes in {-1, None}
        return self.xcoms.get((task_ids, key), default)

    def get_first_reschedule_date(self, _: Any) -> datetime | None:
        return self.first_reschedule


class TaskStateStore:
    """What our tasks ask of Airflow's task state store; its values are plain JSON, as Airflow's."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        #: Whose values these are now, as Airflow tells tasks apart.
        self.task_id = ""
        #: What was done to it, in order: ``set aluo_edit``.
        self.done: list[str] = []
        #: Called before each of these; may raise.
        self.before: Callable[[str], object] = lambda _: None

    def get(self, key: str) -> Any:
        self._do(f"get {key}")
        found = self.values.get(f"{self.task_id}/{key}")
        return None if found is None else json.loads(found)

    def set(self, key: str, value: Any) -> None:
        self._do(f"set {key}")
        self.values[f"{self.task_id}/{key}"] = json.dumps(value)

    def delete(self, key: str) -> None:
        self._do(f"delete {key}")
        self.values.pop(f"{self.task_id}/{key}", None)

    def _do(self, what: str) -> None:
        self.before(what)
        self.done.append(what)


class Tasks:
    """Runs a task as Airflow's worker, scheduler and triggerer do together."""

    def __init__(self) -> None:
        self.ti = TaskInstance("a_task")
        #: ``None`` for an Airflow that has none.
        self.store: TaskStateStore | None = TaskStateStore()
        #: How the worker was left, in order: ``TaskDeferred`` or ``AirflowRescheduleException``.
        self.left: list[BaseException] = []

    def context(self, task: Any, **params: Any) -> dict[str, Any]:
        self.ti.task_id = task.task_id
        found = {"ti": self.ti, "task_instance": self.ti, "task": task, "params": params, "ds": "2026-11-22"}
        if self.store is None:
            return found
        self.store.task_id = task.task_id
        return found | {"task_state_store": self.store}

    def next_try(self, *, cleared: bool = False, retries: int = 2) -> None:
        """Go on as Airflow does with a retry, or when a person has cleared the task."""
        if cleared:
            self.ti.max_tries = self.ti.try_number + retries
        self.ti.try_number += 1
        self.ti.xcoms = {key: value for key, value in self.ti.xcoms.items() if key[0] != self.ti.task_id}

    def start(self, task: Any, **params: Any) -> Any:
        """Render and execute once; what ``execute`` raises is raised."""
        from airflow.sdk.bases.operator import ExecutorSafeguard

        task = task.prepare_for_execution()
        context = self.context(task, **params)
        task.render_template_fields(context)
        sentinel = {f"{type(task).__name__}__sentinel": ExecutorSafeguard.sentinel_value}
        return contextvars.copy_context().run(functools.partial(task.execute, context, **sentinel))

    def trigger(self, deferred: Any) -> Any:
        """Return the trigger of a deferral, made again from what Airflow's database holds of it."""
        from tests.which_airflow import deserialize, import_string, serialize

        path, arguments = deferred.trigger.serialize()
        return import_string(path)(**deserialize(json.loads(json.dumps(serialize(arguments)))))

    def event(self, deferred: Any) -> Any:
        """Run a deferral's trigger and return its event's payload, as the worker gets it."""

        async def first() -> Any:
            return [event async for event in self.trigger(deferred).run()]

        (event,) = asyncio.run(first())
        return json.loads(event.model_dump_json())["payload"]

    def resume(self, task: Any, method: str, arguments: Mapping[str, Any]) -> Any:
        return task.resume_execution(method, dict(arguments), self.context(task))

    def run(self, task: Any, **params: Any) -> Any:
        """Execute until the task has ended, deferrals and reschedules included."""
        from airflow_aluo.airflow_names import AirflowRescheduleException
        from tests.which_airflow import TaskDeferred

        start = functools.partial(self.start, task, **params)
        while True:
            try:
                return start()
            except TaskDeferred as deferred:
                self.left.append(deferred)
                event = {"event": self.event(deferred)}
                start = functools.partial(self.resume, task, deferred.method_name, event)
            except AirflowRescheduleException as rescheduled:
                self.left.append(rescheduled)
                assert len(self.left) < 100, "this wait does not end"
                self.ti.first_reschedule = self.ti.first_reschedule or datetime.now(UTC)
                time.sleep(max(rescheduled.reschedule_date.timestamp() - time.time(), 0.0))


@pytest.fixture
def tasks() -> Tasks:
    """Runs tasks as Airflow does, without an Airflow."""
    return Tasks()


@pytest.fixture
def no_store(tasks: Tasks) -> None:
    """An Airflow that has no task state store."""
    tasks.store = None


@pytest.fixture
def logs() -> Iterator[list[str]]:
    """What Airflow's loggers were told: ``warning: no look at edit …``."""
    import airflow.sdk  # noqa: F401  # it configures the loggers
    from structlog.testing import capture_logs

    lines: list[str] = []
    with capture_logs([lambda _, level, event: lines.append(f"{level}: {event['event']}") or event]):
        yield lines


class Statsd:
    """A StatsD server on loopback that adds up what it is sent."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        #: As they came: ``airflow.aluo.looks,conn_id=aluo_default:1|c``.
        self.lines: list[str] = []
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while content := self._socket.recv(65_535):
            self.lines += content.decode().splitlines()

    def environment(self) -> dict[str, str]:
        """Return what makes an Airflow send its metrics here: ours only, with their tags in their names."""
        settings = {
            "STATSD_ON": "True",
            "STATSD_HOST": "127.0.0.1",
            "STATSD_PORT": str(self.port),
            "STATSD_INFLUXDB_ENABLED": "True",
            "METRICS_ALLOW_LIST": "^aluo",
        }
        return {f"AIRFLOW__METRICS__{name}": value for name, value in settings.items()}

    def forget(self) -> None:
        """Forget what came so far."""
        self._settle()
        self.lines.clear()

    def found(self, **tags: str) -> dict[str, float]:
        """Return the sums of counters, the number of timings and the last of gauges, by their names.

        :param tags: those of what counts; all counts where none is named.
        """
        self._settle()
        found: dict[str, float] = {}
        for line in self.lines:
            name, _, value = line.rpartition(":")
            name, *given = name.removeprefix("airflow.").split(",")
            if not set(tags.items()) <= {tuple(tag.split("=", 1)) for tag in given}:
                continue
            number, kind = value.split("|")[:2]
            more = {"c": float(number), "ms": 1.0, "g": float(number) - found.get(name, 0.0)}[kind]
            found[name] = found.get(name, 0.0) + more
        return found

    def timings(self, name: str) -> list[float]:
        """Return the timings of that name, in milliseconds."""
        self._settle()
        matching = (
            line for line in self.lines if line.startswith(f"airflow.{name}") and line.endswith("|ms")
        )
        return [float(line.rpartition(":")[2].removesuffix("|ms")) for line in matching]

    def _settle(self) -> None:
        """Wait until all that was sent before has been read."""
        mark = f"mark-{time.monotonic_ns()}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark.encode(), ("127.0.0.1", self.port))
        deadline = time.monotonic() + 10
        while mark not in self.lines:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        self.lines.remove(mark)


@pytest.fixture(scope="session")
def _one_statsd() -> Statsd:
    return Statsd()


@pytest.fixture
def statsd(_one_statsd: Statsd, monkeypatch: pytest.MonkeyPatch) -> Iterator[Statsd]:
    """A StatsD server, to which this process sends metrics by Airflow's own client."""
    from tests.which_airflow import send_stats_by

    for name, value in _one_statsd.environment().items():
        monkeypatch.setenv(name, value)
    send_stats_by()
    _one_statsd.forget()
    yield _one_statsd
    for name in _one_statsd.environment():
        monkeypatch.delenv(name)
    send_stats_by()
