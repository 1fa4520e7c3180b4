"""Loads the photos of the next edits before their turn: a slow store must not let a turn grow old."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from airflow_aluo.storage import load_photos

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

    from airflow_aluo.protocol.calls import Upload
    from airflow_aluo.protocol.photo_edit import PhotoEdit

#: Edits whose photos are loaded, or are being loaded, while the one before them waits for its turn.
AHEAD: Final = 4


async def load(edit: PhotoEdit) -> Sequence[Upload]:
    """Return what an edit uploads.

    :raises AluoRequestInvalid: a photo cannot be read.
    """
    return await asyncio.to_thread(load_photos, edit.image_files) if edit.image_files else ()


def ahead(
    places: Iterable[int], load_of: Callable[[int], Awaitable[Sequence[Upload]]]
) -> Iterator[tuple[int, Awaitable[Sequence[Upload]]]]:
    """Give the places in their order, each with the loading of its photos, begun some places earlier."""
    loading: deque[tuple[int, asyncio.Future[Sequence[Upload]]]] = deque()
    try:
        for place in places:
            loading.append((place, asyncio.ensure_future(load_of(place))))
            if len(loading) > AHEAD:
                yield loading.popleft()
        while loading:
            yield loading.popleft()
    finally:
        for _, one in loading:
            one.cancel()
