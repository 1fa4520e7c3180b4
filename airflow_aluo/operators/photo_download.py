"""Land the pictures of an edit: their addresses are short-lived."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import BaseOperator

from airflow_aluo.arguments import IfExists, choice, folder, known_at_run_time, positive, told_of
from airflow_aluo.links import EDIT_LINKS
from airflow_aluo.pictures import MOST_BYTES
from airflow_aluo.protocol import chained, record
from airflow_aluo.protocol.errors import AluoError, AluoRequestInvalid, Problem
from airflow_aluo.protocol.naming import DEFAULT_NAME, PLACEHOLDERS, Name
from airflow_aluo.protocol.rendered import collection, shown
from airflow_aluo.task_errors import final_errors_fail
from airflow_aluo.upstream import Upstream

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from airflow_aluo.batch.results import ResultsPart
    from airflow_aluo.landing import How
    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.record import EditRecord

__all__ = ["PhotoDownloadOperator"]

_SUBJECT: Final = "download"
_UNHARMED: Final = "nothing was fetched"
_EDITS: Final = "edit records or http(s) addresses of pictures"
_WEB: Final = re.compile(r"https?://[^\s/?#]+\S*\Z", re.IGNORECASE)


class PhotoDownloadOperator(BaseOperator):
    """Downloads the pictures of finished edits to a folder or an object store, many at once.

    Each picture is streamed to a temporary file, checked, and only then moved to its name: nobody ever sees
    half of one. It must be a whole picture of the format and ratio that were asked for, as long and of the
    kind that its host announced; it is fetched only from public addresses, the connection's own host, and
    hosts in the connection's ``allow_private_hosts``. Where its address has expired, one look at the edit
    asks for a fresh one.

    A second run writes nothing that is there already, and returns the same: the edit record with its
    ``files``: path, sha256, bytes, width, height, format. Edits of a batch that failed are left out, with a
    warning; those that succeeded, but whose pictures did not land, land now.

    :param edits: a finished edit's record, a list of records, what PhotoEditBatchOperator returned or one
        item of it, or plain addresses of pictures (templated). Several records give a list back, or, beyond
        48 KB, references to pieces of a file below the destination, as the batch returns them.
    :param destination: a local folder, or an object-storage address such as ``s3://conn@bucket/folder``
        (templated).
    :param name: of each file below the destination, made of ``{dag_id}``, ``{run_id}``, ``{task_id}``,
        ``{map_index}``, ``{aluo_task_id}`` (for plain addresses: the address's own name and eight digits of
        its hash), ``{photo}`` (the first reference image's name), ``{prompt}``, ``{position}`` (in the list),
        ``{index}`` (within the edit) and ``{ext}``; slashes make folders. What is filled in makes none
        (templated).
    :param if_exists: what to do where a file has that name: ``skip_identical`` keeps the same bytes, and
        fails for others; ``overwrite``; ``skip`` keeps what is there, which must be a picture, without
        fetching; ``fail``, also for what an earlier try of the task has landed.
    :param aluo_conn_id: the Airflow connection whose proxy, certificates, time limits and
        ``allow_private_hosts`` hold; by default the record's, and none for plain addresses. The API key is
        never sent to a picture's host (templated).
    :param max_bytes: largest picture that is landed; 64 MiB by default.
    :param strict: fail where a picture has another format, or a ratio more than 2 % off, than was asked for.
    :param at_once: pictures that are fetched at once.
    """

    template_fields: Sequence[str] = ("edits", "destination", "name", "aluo_conn_id")
    ui_color = "#e3f0ea"
    operator_extra_links = EDIT_LINKS

    def __init__(
        self,
        *,
        edits: EditRecord | ResultsPart | Sequence[EditRecord | ResultsPart] | Sequence[str] | str | XComArg,
        destination: str | Path | ObjectStoragePath,
        name: str = DEFAULT_NAME,
        if_exists: IfExists = "skip_identical",
        aluo_conn_id: str | None = None,
        max_bytes: int = MOST_BYTES,
        strict: bool = True,
        at_once: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.edits = edits
        # Older Airflows take a path's resolve() for their own.
        self.destination = str(destination) if isinstance(destination, Path) else destination
        self.name = name
        self.if_exists = if_exists
        self.aluo_conn_id = aluo_conn_id
        self.max_bytes = max_bytes
        self.strict = strict
        self.at_once = at_once
        self._upstream = Upstream.of("edits", edits)
        _check(
            name=name,
            if_exists=if_exists,
            max_bytes=max_bytes,
            at_once=at_once,
            destination=self.destination,
        )
        # Airflow makes a mapped instance in the worker, where execute() names the task that sent nothing.
        if not getattr(self, "_BaseOperator__from_mapped", False):
            with told_of(_SUBJECT, _UNHARMED):
                _check_edits(edits)

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Check what all mapped instances have in common when the DAG is parsed, too."""
        _check(**{name: kwargs[name] for name in _CHECKS if name in kwargs})
        partial: OperatorPartial = super().partial(**kwargs)
        return partial

    def execute(self, context: Context) -> EditRecord | list[EditRecord] | list[ResultsPart]:
        """Land every picture."""
        from airflow_aluo import lineage
        from airflow_aluo.batch.results import expanded
        from airflow_aluo.hooks.aluo import AluoHook
        from airflow_aluo.landing import check_names

        with final_errors_fail(), told_of(None, _UNHARMED):
            if self._upstream.task_ids or self.upstream_task_ids:
                self._upstream.check(self.edits, self.upstream_task_ids)
            folder("destination", self.destination)
            given = expanded(self.edits)
            _check_edits(given)
            if plain := bool(given) and all(isinstance(item, str) for item in given):
                found = [(0, record.of_urls(given))]
            else:
                found = self._finished([record.parse(item) for item in given])
            how = self._how(context)
            check_names(found, how)
            accounts = {
                conn_id: self._account(conn_id) for conn_id in {self._conn_id(one) for _, one in found}
            }
            landed = asyncio.run(self._land(found, accounts, how))
        lineage.report(
            AluoHook(self.aluo_conn_id or AluoHook.default_conn_name),
            [url for edit in landed for url in edit["result_urls"]],
            [file["path"] for edit in landed for file in edit["files"]],
        )
        edits = collection(self.edits)
        one = plain or (isinstance(edits, Mapping) and not chained.is_part(edits))
        return landed[0] if one else self._returned(context, landed)

    def _returned(self, context: Context, landed: list[EditRecord]) -> list[EditRecord] | list[ResultsPart]:
        from airflow_aluo.batch.results import file_name_of, returned

        where = str(self.destination)
        name = file_name_of(context["ti"])
        return returned(landed, results_path=None, destination=where, name=name, log=self.log).value

    def _finished(self, edits: list[EditRecord]) -> list[tuple[int, EditRecord]]:
        """Return the edits that have pictures, each with its position, without those that failed.

        :raises AluoRequestInvalid: none has, or one has none yet.
        """
        from airflow_aluo.batch.results import some, who, without_failed

        found = without_failed(edits, subject=_SUBJECT, log=self.log, to_land=True)
        waiting = [f"{who(edit)} is {edit['status']}" for _, edit in found if not edit["result_urls"]]
        if waiting:
            expected = (
                "finished edits; put a PhotoEditStatusSensor before this task, or wait_for_completion=True"
            )
            raise AluoRequestInvalid(_SUBJECT, [Problem("edits", some(waiting), expected)])
        return found

    def _conn_id(self, finished: EditRecord) -> str | None:
        return self.aluo_conn_id or finished["aluo_conn_id"]

    def _account(self, conn_id: str | None) -> Account:
        from airflow_aluo.hooks.aluo import AluoHook
        from airflow_aluo.protocol.account import ANONYMOUS

        return AluoHook(conn_id).account if conn_id else ANONYMOUS

    def _how(self, context: Context) -> How:
        from airflow_aluo.landing import how_of_task

        return how_of_task(
            context["ti"],
            str(self.destination),
            self.log,
            name=Name(self.name, allowed=PLACEHOLDERS),
            if_exists=self.if_exists,
            max_bytes=self.max_bytes,
            strict=self.strict,
            free=asyncio.Semaphore(self.at_once),
        )

    async def _land(
        self, found: Sequence[tuple[int, EditRecord]], accounts: Mapping[str | None, Account], how: How
    ) -> list[EditRecord]:
        """Land all that can be landed; then raise what kept the first of the others from it.

        What a retry may mend comes first: it lands the others, too.
        """
        from airflow_aluo.landing import land
        from airflow_aluo.metrics import StatsTally
        from airflow_aluo.protocol.tally import Tally
        from airflow_aluo.transport.sharing import shared

        async def one(position: int, finished: EditRecord) -> EditRecord:
            conn_id = self._conn_id(finished)
            tally = StatsTally.of_task(conn_id) if conn_id else Tally()
            async with shared().driver(accounts[conn_id]) as driver:
                return await land(finished, how, driver, self.log.info, position=position, tally=tally)

        landed = await asyncio.gather(*(_kept(one(*numbered)) for numbered in found))
        failed = [one for one in landed if isinstance(one, AluoError)]
        failed.sort(key=lambda error: error.final)
        for error in failed[1:]:
            self.log.error("%s", error)
        if failed:
            if len(found) > 1:
                self.log.error("%d of %d edits did not land; the others are there", len(failed), len(found))
            raise failed[0]
        return [one for one in landed if not isinstance(one, AluoError)]


def _name(parameter: str, value: Any) -> None:
    if not known_at_run_time(value, template_ext=()):
        Name(value, allowed=PLACEHOLDERS, parameter=parameter)


def _check_edits(value: Any) -> None:
    """Check what is given to be landed, as far as it is known.

    :raises AluoRequestInvalid: it can be neither edits nor addresses.
    """
    given = collection(value)
    if known_at_run_time(given, template_ext=()) or chained.is_record(given) or chained.is_part(given):
        return
    if isinstance(given, list | tuple) and given:
        for item in given:
            _check_edits(item)
        return
    if isinstance(given, str) and _WEB.match(given.strip()):
        return
    raise AluoRequestInvalid(_SUBJECT, [Problem("edits", shown(value), _EDITS)])


_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "name": _name,
    "if_exists": choice(IfExists),
    "max_bytes": positive,
    "at_once": positive,
    "destination": folder,
}


def _check(**arguments: Any) -> None:
    """Check what can be judged when the DAG is parsed.

    :raises AluoRequestInvalid: an argument is wrong already.
    """
    with told_of(_SUBJECT, _UNHARMED):
        for name, value in arguments.items():
            _CHECKS[name](name, value)


async def _kept(landing: Awaitable[EditRecord]) -> EditRecord | AluoError:
    """Return what a landing returns, or raises of ours: the others go on."""
    try:
        return await landing
    except AluoError as error:
        return error
