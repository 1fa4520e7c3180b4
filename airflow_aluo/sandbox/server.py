"""The pretend Aluo as an app, and as a thread for tests."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_aluo.protocol.vocabulary import Plan
from airflow_aluo.sandbox import control, served, vendor
from airflow_aluo.sandbox.accounts import FRESH_BALANCE, FRESH_PLAN, Accounts
from airflow_aluo.sandbox.book import Note
from airflow_aluo.sandbox.breaks import drop
from airflow_aluo.sandbox.envelopes import Refusal, refused
from airflow_aluo.sandbox.gate import Closed
from airflow_aluo.sandbox.serving import Server, address, bound
from airflow_aluo.sandbox.settings import Settings
from airflow_aluo.sandbox.state import State

#: Calls that the ledger shows; what tests ask the sandbox itself is nobody's business.
_NOTED = ("/api/", "/pictures/")


class Recorder:
    """Notes calls in the ledger when they come, and what they were answered."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note one call, and pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        note = Note(at=self._state.clock(), method=scope["method"], path=scope["path"])
        if note.path.startswith(_NOTED):
            self._state.book.notes.append(note)
        scope.setdefault("state", {})["note"] = note

        async def noted(message: Message) -> None:
            if note.dropped:
                return
            if message["type"] == "http.response.start":
                note.http_status = message["status"]
            await send(message)

        await self._app(scope, receive, noted)


async def _answer_refusal(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)  # noqa: S101 - FastAPI's type for handlers is wider
    return refused(refusal)


async def _answer_nobody(request: Request, _: Exception) -> Response:
    """Say nothing: the sandbox ends, or whoever called went away in the middle of the upload."""
    return await drop(request)


async def _answer_http(request: Request, error: Exception) -> Response:
    """Under /api even "no such address" comes in the vendor's envelope; elsewhere as FastAPI's."""
    assert isinstance(error, HTTPException)  # noqa: S101 - FastAPI's type for handlers is wider
    if request.url.path.startswith("/api/"):
        reply: Response = refused(Refusal(error.status_code, str(error.detail)))
        reply.headers.update(error.headers or {})
        return reply
    return await http_exception_handler(request, error)


async def _answer_crash(_: Request, error: Exception) -> Response:
    problem = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Server error", error=type(error).__name__)
    return refused(problem)


def create_app(state: State) -> FastAPI:
    """Return the app around a state: the vendor's API under /api, its own under /sandbox."""
    # No page of documentation: those that FastAPI makes load their scripts from the internet.
    app = FastAPI(title="Aluo sandbox", docs_url=None, redoc_url=None, openapi_url="/sandbox/openapi.json")
    app.state.sandbox = state
    app.include_router(vendor.router)
    app.include_router(served.router)
    app.include_router(control.router)
    app.add_middleware(Recorder, state=state)
    app.add_exception_handler(Refusal, _answer_refusal)
    app.add_exception_handler(Closed, _answer_nobody)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(Exception, _answer_crash)
    return app


@dataclass(frozen=True, slots=True)
class Running:
    """A sandbox that runs in a thread. Addresses have no slash at their end."""

    #: What an Airflow connection's host would be: ``http://127.0.0.1:PORT/api``.
    api_url: str
    #: Under it are ledger, settings, faults and the rest: ``http://127.0.0.1:PORT/sandbox``.
    control_url: str
    #: ``http://127.0.0.1:PORT``, under which pictures and photos are served.
    base_url: str
    #: For a look inside; only the sandbox's own thread may change it.
    state: State


@contextmanager
def running(
    *,
    strict: bool = False,
    plan: Plan = FRESH_PLAN,
    balance: int = FRESH_BALANCE,
    seed: int | None = None,
    **settings: Any,
) -> Iterator[Running]:
    """Run a sandbox in a thread on a free loopback port, for as long as the block lasts.

    ``settings`` are those of ``airflow_aluo.sandbox.settings.Settings``. ``seed`` makes ids and
    durations the same each time.
    """
    chosen = Settings().changed(settings)
    with TemporaryDirectory(prefix="aluo-sandbox-") as folder, bound("127.0.0.1", 0) as listening:
        base = address(listening)
        state = State(
            Path(folder),
            settings=chosen,
            accounts=Accounts(strict=strict, plan=plan, balance=balance),
            dice=None if seed is None else random.Random(seed),
        )
        server = Server(create_app(state), state.close)
        ready = threading.Event()
        server.ready = ready.set
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve([listening])), name="aluo-sandbox", daemon=True
        )
        thread.start()
        ready.wait()
        try:
            yield Running(f"{base}/api", f"{base}/sandbox", base, state)
        finally:
            server.should_exit = True
            thread.join()
