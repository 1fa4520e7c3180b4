"""Photos are loaded some edits ahead of their turn, in order, and no further."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from airflow_aluo.batch.photos import AHEAD, ahead, load, unreadable
from airflow_aluo.protocol import photo_edit
from airflow_aluo.protocol.errors import AluoRequestInvalid
from airflow_aluo.protocol.photo_edit import PhotoEdit


async def test_a_few_are_loaded_ahead_and_no_more() -> None:
    begun: list[int] = []

    async def load_of(place: int) -> Sequence[Any]:
        begun.append(place)
        await asyncio.sleep(0)
        return [place]

    for number, (place, loading) in enumerate(ahead(range(10, 30), load_of)):
        assert place == 10 + number
        assert await loading == [place]
        await asyncio.sleep(0)
        assert begun[-1] == min(place + AHEAD, 29)
    assert begun == list(range(10, 30))


async def test_who_breaks_off_leaves_no_loading_behind() -> None:
    async def load_of(_: int) -> Sequence[Any]:
        await asyncio.Event().wait()
        return ()

    for _ in (going := ahead(range(10), load_of)):
        break
    going.close()  # type: ignore[attr-defined]  # it is a generator
    before = asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]  # a task runs
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    left = [one for one in before if not one.done()]
    assert len(left) == 1, "only that of the place that was given"
    left[0].cancel()


async def test_what_cannot_be_loaded_is_refused() -> None:
    edit = photo_edit.read({"prompt": "x", "image_files": "/nowhere/a.png"})
    with pytest.raises(AluoRequestInvalid):
        await load(edit)
    assert await load(photo_edit.read({"prompt": "x", "image_urls": "https://x.example/a.png"})) == ()


def asked(*files: str) -> PhotoEdit:
    return photo_edit.read({"prompt": "x", "image_files": list(files)})


def test_each_local_file_that_cannot_be_read_is_named_by_its_place(tmp_path: Path) -> None:
    there, folder = tmp_path / "a.png", tmp_path / "folder"
    there.touch()
    folder.mkdir()
    gone = f"file://{tmp_path}/gone.png"
    edits = [asked(str(there)), asked(gone), asked(str(there), str(folder), "~nobody/x.png"), asked("\0")]
    found = unreadable(edits, [0, 1, 2, 3])
    assert [one.parameter for one in found] == [
        "[1] image_files[0]",
        "[2] image_files[1]",
        "[2] image_files[2]",
        "[3] image_files[0]",
    ]
    assert [one.expected for one in found[:2]] == [
        "a file that this worker can read (there is none)",
        "a file that this worker can read (it is no file)",
    ]


def test_what_is_not_about_to_be_sent_or_lies_in_a_store_is_not_asked_for() -> None:
    assert unreadable([asked("/nowhere/a.png"), asked("s3://conn@bucket/a.png")], [1]) == []


async def test_a_photo_that_is_gone_by_its_turn_is_named_once_and_says_of_what_nothing_was_sent() -> None:
    with pytest.raises(AluoRequestInvalid) as caught:
        await load(asked("/nowhere/a.png"))
    assert str(caught.value).startswith("an edit cannot be used, nothing was sent for it: image_files[0]: ")
    assert str(caught.value).count("/nowhere/a.png") == 1
