"""How the pictures of edits land: many at once, each whole and under its name, or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.one_picture import OnePicture
from airflow_aluo.protocol import calls, flows, record
from airflow_aluo.protocol.errors import AluoError, AluoPictureError, AluoRequestInvalid, Problem
from airflow_aluo.protocol.naming import DEFAULT_NAME, PLACEHOLDERS, Name
from airflow_aluo.protocol.rendered import bare, named, shown, stem
from airflow_aluo.protocol.schedule import RetryRule
from airflow_aluo.protocol.tally import Tally
from airflow_aluo.storage import Folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from airflow_aluo.arguments import IfExists
    from airflow_aluo.protocol.flows import Watcher
    from airflow_aluo.protocol.record import EditRecord, LandedFile
    from airflow_aluo.transport.with_aiohttp import AiohttpDriver

#: A look for fresh addresses: one, but for a moment's trouble.
LOOK_RULE: Final = RetryRule(budget=10.0)

#: HTTP statuses by which a host says that an address has expired.
EXPIRED: Final = {403, 404, 410}

#: Pictures of an edit that an error names, each with its address and what is wrong.
_NAMED: Final = 5

#: Lines of a kind that a task logs, however many pictures there are.
_LINES: Final = 10

#: Pictures that are fetched at once, where nobody says otherwise.
AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """Where and how pictures land."""

    folder: Folder
    max_bytes: int
    name: Name = field(default_factory=lambda: Name(DEFAULT_NAME, allowed=PLACEHOLDERS))
    #: The task's placeholders.
    values: Mapping[str, object] = field(default_factory=dict)
    if_exists: IfExists = "skip_identical"
    #: A picture in another format or ratio than was asked for does not land.
    strict: bool = True
    #: Is told when a picture is not had at the first try.
    trouble: Watcher = lambda *_: None
    #: One for each picture that may be fetched at the same time.
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))


class _Lines:
    """The first lines of a kind, of thousands, for the log.

    :param tell: the log's.
    :param more: the last line, which says that there are more.
    """

    def __init__(self, tell: Watcher, more: str) -> None:
        self._tell, self._more, self._left = tell, more, _LINES

    def __call__(self, message: str, /, *args: object) -> None:
        """Log it, or not."""
        if self._left > 0:
            self._tell(message, *args)
        elif not self._left:
            self._tell(self._more)
        self._left -= 1


def how_of_task(ti: Any, destination: str, log: Any, **more: Any) -> How:
    """Return how a task lands pictures; what a killed try of it has left half done is removed.

    :param ti: the task instance.
    :param log: the task's.
    :param more: of :class:`How`.
    """
    values = {name: getattr(ti, name) for name in ("dag_id", "run_id", "task_id", "map_index")}
    folder = Folder(destination, owner=hashlib.sha256(repr(values).encode()).hexdigest()[:12])
    folder.tidy()
    trouble = _Lines(log.info, "more pictures are tried again; they are not named here")
    return How(folder=folder, values=values, trouble=trouble, **more)


def check_names(edits: Sequence[tuple[int, EditRecord]], how: How) -> None:
    """Make sure that no two pictures get one name. The same edit may be there twice.

    :param edits: each with its position.
    :raises AluoRequestInvalid: names the two.
    """
    taken: dict[str, tuple[object, str, object]] = {}
    for position, edit in edits:
        for index, url in enumerate(edit["result_urls"]):
            values = {**how.values, **_values(edit, index, position)}
            name = how.name.of({**values, "ext": "ext"})
            identity: object = (edit["aluo_task_id"], index) if edit["aluo_task_id"] else (named(url), index)
            who = f"picture {index} of {edit['aluo_task_id'] or named(url)}"
            this = (identity, who, values["prompt"])
            other, whose, prompt = taken.setdefault(name.casefold(), this)
            if other != identity:
                seen = f"{shown(how.name.template)} calls {whose} and {who} {shown(name)}"
                adds = "{prompt}, {aluo_task_id}" if prompt != this[2] else "{aluo_task_id}"
                expected = f"another name for each; add {adds}, {{position}} or {{index}}"
                problem = Problem("name", seen, expected)
                raise AluoRequestInvalid("download", [problem], unharmed="nothing was fetched")


async def land(
    finished: EditRecord,
    how: How,
    driver: AiohttpDriver,
    tell: Watcher,
    *,
    position: int = 0,
    tally: Tally = Tally(),  # noqa: B008  # it has no state
) -> EditRecord:
    """Land all pictures of a finished edit; return its record with the files.

    All that can land does before anything is raised. Where an address has expired, one look at the edit asks
    for fresh ones.

    :param driver: of the edit's account: its proxy, certificates and time limits hold; its key is not sent to
        a picture's host.
    :param tell: is told what has landed.
    :param position: of the edit in its list.
    :param tally: counts the look.
    :raises AluoPictureError: a picture is not what it should be, or cannot be kept; nothing of it is left.
    :raises AluoConnectionError: no reply, after some tries.
    :raises AluoServerError: the picture's host was in trouble, after some tries.

    Of several that did not land the error names the first five; its type and facts are the first one's.
    """
    edit = _Edit(finished, how, driver, tell, position=position, tally=tally)
    landed = await asyncio.gather(*map(edit.picture, range(len(edit.urls))), return_exceptions=True)
    failed = [one for one in landed if isinstance(one, BaseException)]
    if failed:
        raise _together(failed, len(landed))
    files = [file for file, _ in _pairs(landed)]
    at = max((written_at for _, written_at in _pairs(landed)), default=0.0)
    return record.landed(finished | {"result_urls": edit.urls}, files, at=at)


def _together(failed: Sequence[BaseException], pictures: int) -> BaseException:
    """Return the one error that says why some of an edit's pictures did not land."""
    first = failed[0]
    for one in failed:
        if not isinstance(one, AluoError):
            return one
    if len(failed) == 1 or not isinstance(first, AluoError) or isinstance(first, AluoRequestInvalid):
        return first
    more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    said = "; ".join(str(one) for one in failed[:_NAMED])
    facts = {name: getattr(first, name) for name in first.facts}
    found = type(first)(f"{len(failed)} of {pictures} pictures did not land: {said}{more}", **facts)
    found.__cause__ = first
    return found


def _pairs(landed: Sequence[Any]) -> Iterator[tuple[LandedFile, float]]:
    yield from landed


class _Edit:
    """An edit whose pictures are landing."""

    def __init__(
        self,
        finished: EditRecord,
        how: How,
        driver: AiohttpDriver,
        tell: Watcher,
        *,
        position: int,
        tally: Tally,
    ) -> None:
        self.urls = list(finished["result_urls"])
        self._edit, self._how, self._driver, self._tell = finished, how, driver, tell
        self._position, self._tally = position, tally
        self._refreshing: asyncio.Task[list[str]] | None = None
        #: A fresh address has helped.
        self._refreshed = False

    async def picture(self, index: int) -> tuple[LandedFile, float]:
        """Land one picture; return its file, and when that was written."""
        async with self._how.free:
            try:
                return await self._land(index)
            except AluoPictureError as error:
                if error.http_status not in EXPIRED:
                    raise
                if self._edit["aluo_task_id"] is None:
                    raise _with(error, "is the address right, and still valid?") from error
                expired = _with(error, "its address has expired: results are short-lived, land them soon")
            if self._refreshing is None:
                self._refreshing = asyncio.ensure_future(self._look(expired))
            self.urls = await self._refreshing
            try:
                landed = await self._land(index)
            except AluoPictureError as error:
                if error.http_status not in EXPIRED:
                    raise
                raise _with(error, "a fresh address was asked for, and did not help") from error
            if not self._refreshed:
                self._refreshed = True
                what = "the addresses of edit %s had expired; a look at it gave fresh ones"
                self._tell(what, self._edit["aluo_task_id"])
            return landed

    async def _land(self, index: int) -> tuple[LandedFile, float]:
        how, url = self._how, self.urls[index]
        values = {**how.values, **_values(self._edit, index, self._position)}
        one = OnePicture(
            url,
            how.folder,
            name=lambda extension: how.name.of({**values, "ext": extension}),
            request=(self._edit["request"] or {}) if how.strict else {},
            if_exists=how.if_exists,
            max_bytes=how.max_bytes,
            tell=how.trouble,
        )
        file = await one.land(self._driver)
        self._tell(one.what, named(url), file["path"])
        return file, one.written_at

    async def _look(self, expired: AluoPictureError) -> list[str]:
        """Return the addresses that one look at the edit finds."""
        senses = flows.Senses(now=time.time, dice=random.random, tally=self._tally)
        try:
            look = flows.send(calls.status(record.task_id(self._edit)), LOOK_RULE, senses)
            snapshot = await self._driver.run(look)
        except AluoError as error:
            raise _with(expired, f"a look for a fresh address failed: {error.message}") from error
        if len(snapshot.result_urls) != len(self.urls):
            seen = f"{snapshot.status} with {len(snapshot.result_urls)} pictures, not {len(self.urls)}"
            raise _with(expired, f"a look for a fresh address found the edit {seen}")
        return list(snapshot.result_urls)


def _with(error: AluoPictureError, more: str) -> AluoPictureError:
    """Return the error with something more to say."""
    return AluoPictureError(f"{error.message}; {more}", url=error.url, http_status=error.http_status)


def _values(finished: EditRecord, index: int, position: int) -> dict[str, object]:
    """Return what an edit's pictures may be named after.

    Many addresses end alike (``…/image.png``), so where there is no id a few digits of the whole, without its
    query, come along. Plain addresses are the list themselves: theirs are the positions.
    """
    request, url = finished["request"] or {}, finished["result_urls"][index]
    images = [*(request.get("image_urls") or ()), *(request.get("image_files") or ())]
    photo = finished.get("source") or next(iter(images), url)
    name = finished["aluo_task_id"]
    if name is None:
        name = f"{_stem(url)[:60]}-{hashlib.sha256(bare(url).encode()).hexdigest()[:8]}"
        position += index
    return {
        "aluo_task_id": name,
        "photo": _stem(str(photo)),
        "prompt": request.get("prompt") or "",
        "position": position,
        "index": index,
    }


def _stem(address: str) -> str:
    return stem(address) or "picture"
