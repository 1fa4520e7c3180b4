"""The addresses that answer with pictures. All only read, and only what one record names."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

from airflow_aluo.ui.archive import archive
from airflow_aluo.ui.asking import AskedDep, GalleryDep, ThumbnailsDep, there
from airflow_aluo.ui.cards import file_name
from airflow_aluo.ui.images import keys
from airflow_aluo.ui.originals import NoPicture, original, versioned, wanted
from airflow_aluo.ui.permissions import OF_A_DAG
from airflow_aluo.ui.thumbnails import CONTENT_TYPE, PHOTO_SIDE, SIDES

if TYPE_CHECKING:
    from airflow_aluo.ui.gallery_data import Gallery
    from airflow_aluo.ui.originals import Wanted

#: Asked for again each time: another try of a task has other pictures at the same address.
_CACHED: Final = {"Cache-Control": "private, no-cache"}

_RUN: Final = "/api/dags/{dag_id}/runs/{run_id}"

router = APIRouter()


@router.get(f"{_RUN}/pictures.zip", dependencies=OF_A_DAG)
def pictures(dag_id: str, run_id: str, asked: AskedDep, gallery: GalleryDep) -> Response:
    """Send all result pictures of a run."""
    found = there(gallery.edits(dag_id, run_id, asked), f"run {run_id!r} of DAG {dag_id!r}")
    headers = {
        "Content-Disposition": _attachment(f"{dag_id}-{run_id}.png", "zip"),
        "Cache-Control": "no-store",
    }
    return StreamingResponse(archive(found), media_type="application/zip", headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Which picture is asked for: the path's parts."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    position: int
    kind: Literal["before", "after"]
    number: int


@router.get(
    f"{_RUN}/tasks/{{task_id}}/{{map_index}}/pictures/{{position}}/{{kind}}/{{number}}",
    dependencies=OF_A_DAG,
)
async def picture(
    request: Request,
    place: Annotated[_Place, Depends()],
    gallery: GalleryDep,
    thumbnails: ThumbnailsDep,
    size: Literal["thumb", "large", "original"] = "thumb",
) -> Response:
    """Send a picture of one record."""
    found = await asyncio.to_thread(_wanted, gallery, place)
    # A photo's own bytes are not given away: whoever may write XComs could name any file.
    whole = size == "original" and place.kind == "after"
    side = 0 if whole else SIDES.get(size, PHOTO_SIDE)
    tags = [f'"{one[:32]}"' for one in keys(found, side, place.dag_id)]
    asked = request.headers.get("if-none-match", "")
    known = [tag for tag in tags if tag in asked]
    # That a photo's tag is right tells of its file: it has to be shown to be a picture first.
    if known and (whole or not any(one.is_file and one.sha256 is None for one in found.sources)):
        return Response(status_code=304, headers={"ETag": known[0], **_CACHED})
    try:
        if whole:
            return await _original(found, tags)
        content, source = await thumbnails.get(found, side, place.dag_id)
    except NoPicture as reason:
        raise HTTPException(404, f"picture {found.name!r} cannot be shown: {reason}") from None
    headers = {**_CACHED, "ETag": tags[found.sources.index(source)]}
    if headers["ETag"] in known:
        return Response(status_code=304, headers=headers)
    if size == "original":
        headers["Content-Disposition"] = _attachment(found.name, "webp")
    return Response(content, media_type=CONTENT_TYPE, headers=headers)


def _wanted(gallery: Gallery, place: _Place) -> Wanted:
    record = gallery.record(place.dag_id, place.run_id, place.task_id, place.map_index, place.position)
    found = wanted(
        there(record, f"edit {place.position} of task {place.task_id!r}"), place.kind, place.number
    )
    there_ = there(found, f"picture {place.number} ({place.kind}) of edit {place.position}")
    return versioned(there_, place.run_id)


async def _original(found: Wanted, tags: list[str]) -> Response:
    got = await original(found)
    headers = {
        **_CACHED,
        "Content-Disposition": _attachment(found.name, got.picture.format),
        "Content-Length": str(got.size),
        "ETag": tags[found.sources.index(got.source)],
    }
    return StreamingResponse(
        got.chunks(),
        media_type=got.picture.content_type,
        headers=headers,
        background=BackgroundTask(got.file.close),
    )


def _attachment(name: str, format_: str) -> str:
    """Return the header that has a file saved under a name: safe in every system, in ASCII and as it is."""
    safe = file_name(name, format_)
    plain = safe.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"
