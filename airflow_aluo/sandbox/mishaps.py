"""Does to a call what a fault says."""

import http.client
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from airflow_aluo.sandbox.breaks import broken_off, cut_off, drop
from airflow_aluo.sandbox.envelopes import Refusal, refused, success
from airflow_aluo.sandbox.faults import Fault
from airflow_aluo.sandbox.gate import Gate

#: What a gateway in front of the API would say.
HTML = "<html><head><title>{status}</title></head><body><h1>{status} {phrase}</h1></body></html>"
#: A reply to a POST that accepted nothing.
FALSE = success({"taskId": "edit_123456789"}, deducted=0, remaining=0)
#: A reply in the middle of which the line broke.
HALF = json.dumps(FALSE)[:42]

Answer = Callable[[], Awaitable[Response]]


async def meet(request: Request, gate: Gate, fault: Fault | None, answer: Answer) -> Response:
    """Return the reply to a call that meets a fault, or the real answer if there is none.

    :raises Refusal: the real answer is one.
    """
    if fault is None:
        return await answer()
    reply: Response | None = None
    if fault.comes_after:
        try:
            reply = await answer()
        except Refusal as refusal:
            reply = refused(refusal)
    await gate.pause(fault.seconds)
    match fault.kind:
        case "hold":
            await gate.hold()
        case "drop_upload":
            return await cut_off(request)
        case "drop_before":
            return await drop(request, reset=True)
        case "drop_after" if not isinstance(reply, FileResponse):
            return await drop(request)
        case "drop_after" | "half_reply":
            return broken_off(request, reply or JSONResponse(FALSE, fault.status or HTTPStatus.OK))
    return _instead(fault) or reply or await answer()


def truncated(path: Path, media_type: str) -> Response:
    """Half a file whose length nobody promised to be longer: only a look at it shows the fault."""
    data = path.read_bytes()
    return Response(data[: len(data) // 2], media_type=media_type)


def _instead(fault: Fault) -> Response | None:
    """Return the reply that a fault puts in the real one's place, if it does."""
    maker = _MAKERS.get(fault.kind)
    reply = maker(fault) if maker else None
    if reply is not None and fault.retry_after is not None:
        reply.headers["Retry-After"] = fault.retry_after
    return reply


def _phrase(status: int) -> str:
    """Return a status's name; a gateway may use one that has none."""
    return http.client.responses.get(status, "Unknown")


def _error(fault: Fault) -> Response:
    status = fault.status or HTTPStatus.SERVICE_UNAVAILABLE
    return refused(Refusal(status, fault.message or _phrase(status)), code=fault.code)


def _html(fault: Fault) -> Response:
    status = fault.status or HTTPStatus.BAD_GATEWAY
    page = HTML.format(status=int(status), phrase=fault.message or _phrase(status))
    return HTMLResponse(page, status_code=status)


def _html_picture(fault: Fault) -> Response:
    status = fault.status or HTTPStatus.OK
    return HTMLResponse(HTML.format(status=int(status), phrase="no picture"), status_code=status)


def _half_json(fault: Fault) -> Response:
    return Response(HALF, status_code=fault.status or HTTPStatus.OK, media_type="application/json")


def _empty(fault: Fault) -> Response:
    return Response(status_code=fault.status or HTTPStatus.OK)


def _redirect(fault: Fault) -> Response:
    """To an address where nobody listens, unless the fault names another."""
    headers = {"Location": fault.location or "http://127.0.0.1:9/elsewhere"}
    return Response(status_code=fault.status or HTTPStatus.FOUND, headers=headers)


def _success_false(fault: Fault) -> Response:
    refusal = Refusal(HTTPStatus.BAD_REQUEST, fault.message or "Processing failed")
    return refused(refusal, http_status=fault.status or HTTPStatus.OK, code=fault.code)


def _wrong_shape(fault: Fault) -> Response:
    body: dict[str, Any] = {"code": 0, "success": True, "data": []}
    return JSONResponse(body, status_code=fault.status or HTTPStatus.OK)


_MAKERS: dict[str, Callable[[Fault], Response]] = {
    "http_status": _error,
    "html": _html,
    "html_picture": _html_picture,
    "half_json": _half_json,
    "empty": _empty,
    "redirect": _redirect,
    "success_false_200": _success_false,
    "wrong_shape": _wrong_shape,
}
