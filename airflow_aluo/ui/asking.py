"""What all routes take from a request: what is asked for, and what the application keeps."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from fastapi import Depends, HTTPException, Query, Request

from airflow_aluo.ui.answer import Asked
from airflow_aluo.ui.gallery_data import Gallery
from airflow_aluo.ui.images import Thumbnails

T = TypeVar("T")

_State = Literal["succeeded", "running", "failed", "unknown"]
_Text = Annotated[str | None, Query(max_length=1000)]


async def _asked(  # noqa: PLR0917  # the query's parameters
    task_id: _Text = None,
    map_index: int | None = None,
    state: _State | None = None,
    text: _Text = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 24,
) -> Asked:
    return Asked(
        task_id=task_id or None, map_index=map_index, state=state, text=text, offset=offset, limit=limit
    )


async def _gallery(request: Request) -> Gallery:
    found: Gallery = request.app.state.gallery
    return found


async def _thumbnails(request: Request) -> Thumbnails:
    found: Thumbnails = request.app.state.thumbnails
    return found


AskedDep = Annotated[Asked, Depends(_asked)]
GalleryDep = Annotated[Gallery, Depends(_gallery)]
ThumbnailsDep = Annotated[Thumbnails, Depends(_thumbnails)]


def there(found: T | None, what: str) -> T:
    """Return what was found.

    :raises HTTPException: 404, nothing was.
    """
    if found is None:
        raise HTTPException(404, f"there is no {what}; it may have been cleared or deleted since")
    return found
