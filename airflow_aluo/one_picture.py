"""One picture on its way: fetched into a scratch file, checked, and only then given its name."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.intake import Intake
from airflow_aluo.pictures import RESULT_FORMATS, inspect
from airflow_aluo.protocol import calls, flows
from airflow_aluo.protocol.errors import AluoError, AluoPictureError
from airflow_aluo.protocol.record import LandedFile
from airflow_aluo.protocol.rendered import named
from airflow_aluo.protocol.schedule import RetryRule
from airflow_aluo.storage import opened_source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from airflow_aluo.arguments import IfExists
    from airflow_aluo.pictures import Picture
    from airflow_aluo.protocol.flows import Watcher
    from airflow_aluo.storage import Folder
    from airflow_aluo.transport.with_aiohttp import AiohttpDriver

#: A picture's address can be asked as often as one likes.
FETCH_RULE: Final = RetryRule(budget=60.0)

#: Part by which a picture's ratio may differ from the one that was asked for.
RATIO_TOLERANCE: Final = 0.02

_EXTENSIONS: Final = {"png": "png", "jpeg": "jpg", "webp": "webp"}


class OnePicture:
    """A picture that is to land.

    :param url: its address.
    :param name: gives its name in the folder, by the extension that follows from its bytes.
    :param request: what was asked for and is to be checked; empty for nothing.
    :param if_exists: what to do where a file has that name.
    :param max_bytes: largest that lands.
    :param tell: is told, once, that it is not had at the first try.
    """

    #: What has become of it, for the log: its address and its file's come in.
    what = "landed %s as %s"
    #: When its file was written, as the store tells: the same at every try. Epoch seconds.
    written_at = 0.0

    def __init__(
        self,
        url: str,
        folder: Folder,
        *,
        name: Callable[[str], str],
        request: Mapping[str, Any],
        if_exists: IfExists,
        max_bytes: int,
        tell: Watcher,
    ) -> None:
        self._url, self._folder, self._name, self._tell = url, folder, name, tell
        self._request, self._if_exists, self._max_bytes = request, if_exists, max_bytes

    async def land(self, driver: AiohttpDriver) -> LandedFile:
        """Fetch it, unless something has its name that is to stay.

        :raises AluoPictureError: it is not what it should be, or cannot be kept; nothing of it is left.
        """
        try:
            if self._if_exists in {"skip", "fail"} and (there := await asyncio.to_thread(self._there)):
                return there
            with self._folder.scratch() as scratch:
                intake = Intake(scratch, self._url, self._max_bytes)
                senses = flows.Senses(now=time.time, dice=random.random)
                fetch = calls.picture(self._url, intake.start)
                await driver.run(flows.send(fetch, FETCH_RULE, senses, again=self._again))
                return await asyncio.to_thread(self._settle, scratch, intake)
        except AluoError:
            raise
        except Exception as error:  # each store has errors of its own, and the others go on
            raise self._wrong(f"cannot be kept: {type(error).__name__}: {error}") from error

    def _again(self, error: AluoError) -> None:
        self._tell("trying again, for up to %g s: %s", FETCH_RULE.budget, error)

    def _there(self) -> LandedFile | None:
        """Return what has the picture's name already, whatever its format."""
        for name in map(self._name, _EXTENSIONS.values()):
            if self._folder.size(name) is not None:
                if self._if_exists == "fail":
                    raise self._taken(name, "a file", "skip")
                return self._kept(name)
        return None

    def _kept(self, name: str) -> LandedFile:
        """Return what has a name already, and stays."""
        with opened_source(self._folder.address(name)) as file:
            try:
                picture = inspect(file, RESULT_FORMATS)
            except ValueError as error:
                raise self._taken(name, str(error)) from error
        self.what = "kept what was there instead of %s: %s"
        return self._file(name, self._folder.digest(name) or "", self._folder.size(name) or 0, picture)

    def _settle(self, scratch: Path, intake: Intake) -> LandedFile:
        """Check what has come, and give it its name."""
        with intake.complete() as file:
            try:
                # What came as long as announced is whole; what was not announced is read to its last pixel.
                picture = inspect(file, RESULT_FORMATS, decode=intake.announced is None)
            except ValueError as error:
                raise self._wrong(f"is {error}") from error
        if intake.content_type not in {None, picture.content_type}:
            raise self._wrong(f"was announced as {intake.content_type}, and is {picture.content_type}")
        if other := _not_as_asked(self._request, picture):
            raise self._wrong(f"{other}; strict=False lands it all the same")
        name, sha256 = self._name(_EXTENSIONS[picture.format]), intake.sha256.hexdigest()
        try:
            self._folder.keep(scratch, name, replace=self._if_exists == "overwrite")
        except FileExistsError:  # by now, or all along
            if self._if_exists == "skip":
                return self._kept(name)
            if self._folder.size(name) != intake.count or self._folder.digest(name) != sha256:
                raise self._taken(
                    name, "another file", *(["skip"] if self._is_picture(name) else [])
                ) from None
            self.what = "%s is there already as %s"
        return self._file(name, sha256, intake.count, picture)

    def _file(self, name: str, sha256: str, size: int, picture: Picture) -> LandedFile:
        self.written_at = self._folder.modified(name) or time.time()
        return LandedFile(
            path=self._folder.address(name),
            sha256=sha256,
            bytes=size,
            width=picture.width,
            height=picture.height,
            format=picture.format,
        )

    def _wrong(self, what: str) -> AluoPictureError:
        return AluoPictureError(f"picture {named(self._url)} {what}", url=named(self._url))

    def _is_picture(self, name: str) -> bool:
        with opened_source(self._folder.address(name)) as file:
            try:
                inspect(file, RESULT_FORMATS)
            except ValueError:
                return False
        return True

    def _taken(self, name: str, what: str, *helps: str) -> AluoPictureError:
        """Return the error of a name that something has. ``helps``: of ``if_exists``, beside overwriting."""
        other = "".join(f', if_exists="{one}" to keep it' for one in helps)
        return self._wrong(
            f"cannot land: {what} stands at {self._folder.address(name)}; choose another name or "
            f'destination, remove it{other}, or set if_exists="overwrite" to replace it'
        )


def _not_as_asked(request: Mapping[str, Any], picture: Picture) -> str | None:
    """Return in what a picture differs from the request, ``None`` for nothing."""
    asked = request.get("output_format")
    if asked and asked != picture.format:
        return f"is {picture.format}, and {asked} was asked for"
    if ratio := request.get("aspect_ratio"):
        width, height = map(int, ratio.split(":"))
        if abs(picture.width / picture.height * height / width - 1) > RATIO_TOLERANCE:
            return f"is {picture.width} x {picture.height}, and {ratio} was asked for"
    return None
