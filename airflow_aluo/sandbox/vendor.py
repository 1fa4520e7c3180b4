"""The vendor's two endpoints.

Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22).
"""

import asyncio
import math
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from airflow_aluo.protocol.vocabulary import (
    ASPECT_RATIOS,
    GENERATE_PATH,
    MAX_REFERENCE_IMAGES,
    OUTPUT_FORMATS,
    STATUS_PATH,
    STATUS_SUCCESS,
)
from airflow_aluo.sandbox.accounts import Account
from airflow_aluo.sandbox.asked import MOST_PICTURES, Asked, bad_request
from airflow_aluo.sandbox.asking import Body, read_body
from airflow_aluo.sandbox.book import Edit, Input
from airflow_aluo.sandbox.envelopes import Refusal, success
from airflow_aluo.sandbox.faults import Fault
from airflow_aluo.sandbox.mishaps import meet
from airflow_aluo.sandbox.pictures import NotAPicture
from airflow_aluo.sandbox.state import State

router = APIRouter(prefix="/api")


def the_state(request: Request) -> State:
    """Return the state of the sandbox that this call came to."""
    state: State = request.app.state.sandbox
    return state


SandboxState = Annotated[State, Depends(the_state)]

_TEXT = {"type": "string"}
_COMMON = {
    "prompt": _TEXT,
    "aspectRatio": {"enum": list(ASPECT_RATIOS)},
    "outputFormat": {"enum": list(OUTPUT_FORMATS)},
}
_PHOTOS = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MAX_REFERENCE_IMAGES}
_COUNT = {"type": "integer", "minimum": 1, "maximum": MOST_PICTURES}
_FILES = {f"file{n}": {"type": "string", "format": "binary"} for n in range(MAX_REFERENCE_IMAGES)}
_AS_JSON = {
    "type": "object",
    "properties": {**_COMMON, "imageUrls": _PHOTOS, "numImages": _COUNT},
    "required": ["prompt", "imageUrls"],
}
_AS_FORM = {
    "type": "object",
    "properties": {**_COMMON, **_FILES},
    "required": ["prompt", "file0"],
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {"schema": _AS_JSON},
        "multipart/form-data": {"schema": _AS_FORM},
    },
}
_TASK_ID = {"name": "taskId", "in": "query", "required": True, "schema": _TEXT}


@router.post(GENERATE_PATH, openapi_extra={"requestBody": _BODY})
async def generate(request: Request, state: SandboxState) -> Response:
    """Accept an edit."""
    note = request.state.note
    fault = state.faults.take("generate", None, _key(request))
    try:
        return await meet(request, state.gate, fault, lambda: _read(request, state))
    finally:
        note.refused = note.aluo_task_id is None


@router.get(STATUS_PATH, openapi_extra={"parameters": [_TASK_ID]})
async def status(request: Request, state: SandboxState) -> Response:
    """Say where an edit stands."""
    aluo_task_id = request.query_params.get("taskId", "")
    edit = state.book.edits.get(aluo_task_id)
    request.state.note.aluo_task_id = aluo_task_id or None
    request.state.note.prompt = edit.asked.prompt if edit else None
    fault = state.faults.take("status", edit.asked.prompt if edit else "", _key(request))

    async def answer() -> Response:
        account = _authorise(request, state)
        if not aluo_task_id:
            raise bad_request("taskId is required")
        return _status(request, state, account, edit, fault)

    return await meet(request, state.gate, fault, answer)


def _key(request: Request) -> str:
    """Return the key that a call carries; "" if it carries none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _authorise(request: Request, state: State) -> Account:
    """Return the account behind the call's key.

    :raises Refusal: 401, or 429 when the account asks too fast. What a 429 looks like is not
        documented: the error envelope with code -1 and ``Retry-After`` in whole seconds are this
        sandbox's choice.
    """
    account = state.accounts.find(_key(request))
    if account is None:
        raise Refusal(HTTPStatus.UNAUTHORIZED, "Invalid API key", error="no account has this key")
    request.state.note.account = account.name
    wait = account.call(state.clock(), state.settings.window_seconds())
    if wait > 0:
        raise Refusal(
            HTTPStatus.TOO_MANY_REQUESTS,
            "Too many requests",
            error=f"plan {account.plan}: a call is allowed again in {wait:.1f} s",
            retry_after=str(math.ceil(wait)),
        )
    state.settle()
    return account


async def _read(request: Request, state: State) -> Response:
    body = await read_body(request)
    request.state.note.prompt = body.prompt or None
    fault = state.faults.take("generate", body.prompt, _key(request))
    return await meet(request, state.gate, fault, lambda: _generate(request, state, body, fault))


async def _generate(request: Request, state: State, body: Body, fault: Fault | None) -> Response:
    account = _authorise(request, state)
    asked = body.asked()
    base = str(request.base_url).rstrip("/")
    inputs = await asyncio.to_thread(_inputs, state, asked, base)
    if not account.can_pay():
        raise Refusal(
            HTTPStatus.PAYMENT_REQUIRED,
            "Insufficient credits",
            error=f"balance {account.balance}, of which {account.reserved} are set aside for edits"
            f" under way; an edit costs {account.price}",
        )
    failure = None
    if fault is not None and fault.kind == "edit_fails":
        reason = "The edit failed because a test asked for it"
        failure = reason if fault.message is None else fault.message
    edit = state.accept(account, asked, inputs, own_port=request.scope["server"][1], failure=failure)
    request.state.note.aluo_task_id = edit.aluo_task_id
    if state.settings.slow_post:
        await state.finished(edit)
    data = _accepted(edit)
    if fault is not None and fault.kind == "success_without_task_id":
        del data["taskId"]
    return JSONResponse(success(data, deducted=edit.charged, remaining=account.balance))


def _inputs(state: State, asked: Asked, base: str) -> list[Input]:
    """Return the edit's photos. Runs in a thread: uploads are opened and written."""
    inputs = []
    for image in asked.images:
        if isinstance(image, str):
            inputs.append(Input(address=image))
            continue
        try:
            inputs.append(state.keep(image, base))
        except NotAPicture as error:
            raise bad_request(f"{image.field} is not a picture", str(error)) from error
    return inputs


def _accepted(edit: Edit) -> dict[str, Any]:
    name = edit.aluo_task_id
    return {
        "provider": "sandbox",
        "model": "default",
        "taskId": int(name) if name.isdigit() else name,
        "prompt": edit.asked.prompt,
        "aspectRatio": edit.asked.aspect_ratio,
        "inputImages": [one.address for one in edit.inputs],
        "numImages": edit.asked.num_images,
    }


def _status(
    request: Request, state: State, account: Account, edit: Edit | None, fault: Fault | None
) -> Response:
    """Where an edit stands, or the word that a fault says instead, as if no more was known.

    :raises Refusal: 404 with code -1, which is this sandbox's choice, for an edit that the account
        does not have: what the vendor says is not documented.
    """
    if edit is None or edit.account is not account:
        raise Refusal(HTTPStatus.NOT_FOUND, "Task not found", error="this account has no such task")
    if fault is not None and fault.kind == "word":
        return JSONResponse(success({"status": fault.word}, deducted=0, remaining=account.balance))
    data: dict[str, Any] = {"status": edit.status or state.settings.running_word}
    if edit.status == STATUS_SUCCESS:
        data["images"] = state.picture_addresses(edit, str(request.base_url).rstrip("/"))
        if fault is not None and fault.kind == "success_without_pictures":
            data["images"] = []
    elif edit.failure and edit.status:
        data["error"] = edit.failure
    return JSONResponse(success(data, deducted=edit.charged, remaining=account.balance))
