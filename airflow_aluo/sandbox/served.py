"""Serves pictures without a key, as a CDN does: edited ones, uploads, the photos of the sandbox."""

from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import FileResponse

from airflow_aluo.sandbox.mishaps import meet, truncated
from airflow_aluo.sandbox.shelf import media_type
from airflow_aluo.sandbox.state import State
from airflow_aluo.sandbox.vendor import SandboxState

router = APIRouter()
_METHODS = ["GET", "HEAD"]


@router.api_route("/pictures/{name}", methods=_METHODS, include_in_schema=False)
async def picture(request: Request, name: str, state: SandboxState) -> Response:
    """Return an edited picture, as long as its address works."""
    aluo_task_id = name.partition("-")[0]
    edit = state.book.edits.get(aluo_task_id)
    if edit is not None:
        request.state.note.aluo_task_id = aluo_task_id
        request.state.note.prompt = edit.asked.prompt
    fault = state.faults.take("picture", edit.asked.prompt if edit else "")

    async def answer() -> Response:
        path = _found(state.pictures.find(name))
        _check_address(request, state, name)
        if fault is not None and fault.kind == "truncated_picture":
            return truncated(path, media_type(path))
        return FileResponse(path, media_type=media_type(path))

    return await meet(request, state.gate, fault, answer)


@router.api_route("/uploads/{name}", methods=_METHODS, include_in_schema=False)
@router.api_route("/photos/{name}", methods=_METHODS, include_in_schema=False)
async def photo(request: Request, state: SandboxState) -> Response:
    """Return a photo that was uploaded or that comes with the sandbox."""
    path = _found(state.own_file(request.url.path))
    return FileResponse(path, media_type=media_type(path))


def _found(path: Path | None) -> Path:
    if path is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return path


def _check_address(request: Request, state: State, name: str) -> None:
    """Answer 403 to an address that has expired, if addresses do."""
    query = request.query_params
    if state.settings.url_lifetime is not None and not state.pictures.works(
        name, query.get("expires", ""), query.get("signature", ""), state.clock()
    ):
        raise HTTPException(HTTPStatus.FORBIDDEN, "this address has expired")
