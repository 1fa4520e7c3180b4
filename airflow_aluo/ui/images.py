"""Thumbnails, made once however many ask for them at the same time, and kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from airflow_aluo.ui.originals import first
from airflow_aluo.ui.thumbnails import made

if TYPE_CHECKING:
    from airflow_aluo.ui.originals import Source, Wanted
    from airflow_aluo.ui.shelf import Shelf

    _Made = tuple[bytes, Source]


class Thumbnails:
    """Makes thumbnails. ``shelf``: where they are kept."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._under_way: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Task[_Made]]] = (
            WeakKeyDictionary()
        )

    async def get(self, picture: Wanted, side: int, owner: str) -> tuple[bytes, Source]:
        """Return a picture as WebP, and which of its sources had it.

        :param side: longest, in pixels.
        :param owner: who may see it, in a word: what is kept for one is not given to another.
        :raises NoPicture: it cannot be had.
        """
        key = ".".join(keys(picture, side, owner))
        under_way = self._under_way.setdefault(asyncio.get_running_loop(), {})
        if key not in under_way:
            # The shelf is asked within it: who had asked it first, and heard of nothing, might go on only
            # when others have made the thumbnail and are done, and would make it again.
            task = asyncio.create_task(self._kept_or_made(picture, side, owner))
            under_way[key] = task
            task.add_done_callback(lambda done: _forget(under_way, key, done))
        return await asyncio.shield(under_way[key])  # whoever goes away does not take it from the others

    async def _kept_or_made(self, picture: Wanted, side: int, owner: str) -> tuple[bytes, Source]:
        known = keys(picture, side, owner)
        for key, source in zip(known, picture.sources, strict=True):
            if (kept := await asyncio.to_thread(self._shelf.get, key)) is not None:
                return kept, source
        # Not looked at first: to tell what some formats are takes as long as to make them small.
        file, source, content = await first(picture, lambda file: made(file, side, picture.formats))
        file.close()
        await asyncio.to_thread(self._shelf.put, known[picture.sources.index(source)], content)
        return content, source


def keys(picture: Wanted, side: int, owner: str) -> list[str]:
    """Return by what a thumbnail is known, for each of the picture's sources."""
    known = [[one.sha256] if one.sha256 else [one.address, one.version] for one in picture.sources]
    return [hashlib.sha256(json.dumps([owner, side, *one]).encode()).hexdigest() for one in known]


def _forget(under_way: dict[str, asyncio.Task[_Made]], key: str, done: asyncio.Task[_Made]) -> None:
    under_way.pop(key, None)
    if not done.cancelled():
        done.exception()  # everybody may have gone away; it is no news then
