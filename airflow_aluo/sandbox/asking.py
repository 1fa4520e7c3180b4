"""Reads the body of a POST: JSON or a form, as the vendor takes both."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from airflow_aluo.sandbox.asked import (
    FILE_FIELD,
    Asked,
    Upload,
    bad_request,
    from_form,
    from_json,
    sayable,
)
from airflow_aluo.sandbox.envelopes import Refusal
from airflow_aluo.sandbox.sources import MOST_BYTES


@dataclass(frozen=True, slots=True)
class Body:
    """What came in: the prompt as far as it can be told, and the request once it is asked for.

    ``asked`` raises ``Refusal``: whether the request is any good is looked at after the key.
    """

    prompt: str
    asked: Callable[[], Asked]


async def read_body(request: Request) -> Body:
    """Read the whole body of a POST."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if media_type == "application/json":
            return _json_body(await request.body())
        if media_type == "multipart/form-data":
            return await _form_body(request)
    except Refusal as error:
        return _unreadable(error)
    return _unreadable(
        bad_request("Content-Type must be application/json or multipart/form-data", media_type)
    )


def _unreadable(refusal: Refusal) -> Body:
    def asked() -> Asked:
        raise refusal

    return Body("", asked)


def _json_body(data: bytes) -> Body:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise bad_request("The request body is not valid JSON", str(error)) from error
    prompt = body.get("prompt") if isinstance(body, dict) else None
    told = prompt if isinstance(prompt, str) and sayable(prompt) else ""
    return Body(told, lambda: from_json(body))


async def _form_body(request: Request) -> Body:
    fields: dict[str, str] = {}
    uploads: list[Upload] = []
    try:
        async with request.form() as form:
            for name, value in form.multi_items():
                if isinstance(value, str):
                    fields.setdefault(name, value)
                elif FILE_FIELD.fullmatch(name):
                    uploads.append(await _upload(name, value))
    except (HTTPException, ValueError) as error:  # an older Starlette lets its parser's own error through
        raise bad_request("The form cannot be read", str(getattr(error, "detail", error))) from error
    return Body(fields.get("prompt", ""), lambda: from_form(fields, uploads))


async def _upload(name: str, file: UploadFile) -> Upload:
    data = await file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise bad_request(f"{name} is larger than {MOST_BYTES // 1024**2} MB")
    return Upload(field=name, filename=file.filename or name, data=data)
