"""A reply becomes data or an error.

The readers agree with the schemas ``generate_reply``, ``status_reply`` and ``error_reply`` (a test
holds them against each other); they are written by hand because a status is read at every look.

Sources: https://aluo.ai/docs/api/photo-editor, https://aluo.ai/docs/api/overview (read 2026-11-22).
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from airflow_aluo.protocol.envelope import Reply, content, excerpt, not_aluo, said, whole
from airflow_aluo.protocol.errors import AluoPictureError, AluoServerError
from airflow_aluo.protocol.rendered import named
from airflow_aluo.protocol.schedule import retry_after
from airflow_aluo.protocol.vocabulary import CODE_SERVER, STATUS_FAILED, STATUS_SUCCESS

if TYPE_CHECKING:
    from collections.abc import Mapping

_HTTP_ADDRESS: Final = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#]+[^\s]*")


class Phase(StrEnum):
    """What a status word means to whoever waits."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


#: Every word that is not here means: still running.
_PHASES: Final = {STATUS_SUCCESS: Phase.SUCCEEDED, STATUS_FAILED: Phase.FAILED}


@dataclass(frozen=True, slots=True)
class Credits:
    """What a reply says about the account's credits; ``None`` where it says nothing."""

    deducted: float | None = None
    remaining: float | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Aluo accepted an edit."""

    aluo_task_id: str
    credits: Credits


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An edit as one look found it."""

    #: The vendor's word.
    status: str
    #: Where the pictures can be fetched: at least one once the edit has succeeded, else none.
    result_urls: tuple[str, ...] = ()
    #: Why the edit failed, if Aluo said.
    reason: str | None = None
    credits: Credits = Credits()

    @property
    def phase(self) -> Phase:
        """What the status word means."""
        return _PHASES.get(self.status, Phase.RUNNING)


def read_acceptance(reply: Reply) -> Acceptance:
    """Read the reply of POST ``/photo-editor/generate``.

    :raises AluoApiError: Aluo refused.
    :raises AluoReplyError: not an Aluo reply, or no id in it.
    """
    envelope, data = _envelope(reply)
    task_id = data.get("taskId")
    if (number := whole(task_id)) is not None:
        task_id = str(number)
    if not _is_word(task_id):
        not_aluo(reply, "the reply accepts the edit but names no taskId")
    return Acceptance(task_id, _credits(envelope))


def read_status(reply: Reply) -> Snapshot:
    """Read the reply of GET ``/photo-editor/status``.

    :raises AluoApiError: Aluo refused.
    :raises AluoReplyError: not an Aluo reply, no status in it, or a SUCCESS without a picture.
    """
    envelope, data = _envelope(reply)
    status = data.get("status")
    if not _is_word(status):
        not_aluo(reply, "the reply names no status")
    snapshot = Snapshot(status=status, credits=_credits(envelope))
    if snapshot.phase is Phase.SUCCEEDED:
        return Snapshot(status, _pictures(reply, data), None, snapshot.credits)
    if snapshot.phase is Phase.FAILED:
        return Snapshot(status, (), said(data) or said(envelope), snapshot.credits)
    return snapshot


def read_answer(reply: Reply) -> str:
    """Read any answer of Aluo's that is no refusal, whatever it is about; return its beginning.

    :raises AluoApiError: Aluo refused.
    :raises AluoReplyError: not an Aluo reply.
    """
    content(reply)
    return excerpt(reply)


def read_picture(reply: Reply, url: str) -> None:
    """Read the reply of a picture's address, whose body went elsewhere.

    :raises AluoServerError: trying again may help.
    :raises AluoPictureError: it will not.
    """
    status, address = reply.http_status, named(url)
    if 200 <= status < 300:  # noqa: PLR2004  # what HTTP calls successful
        return
    if status >= CODE_SERVER or status == 429:  # noqa: PLR2004
        asked = retry_after(reply.headers, reply.at)
        message = f"picture {address} answered HTTP {status}"
        raise AluoServerError(message, http_status=status, retry_after=asked, definite=False)
    message = f"picture {address} answered HTTP {status}"
    raise AluoPictureError(message, url=address, http_status=status)


def _envelope(reply: Reply) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the envelope and its ``data``; a refusal, whatever the HTTP status, is raised."""
    envelope = content(reply)
    data = envelope.get("data")
    if not isinstance(data, dict):
        not_aluo(reply, "the reply holds no data")
    return envelope, data


def _is_word(value: object) -> TypeGuard[str]:
    """Tell whether this is text that can be logged, stored and sent: not blank, no control characters."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _credits(envelope: Mapping[str, Any]) -> Credits:
    return Credits(_amount(envelope.get("credits_deducted")), _amount(envelope.get("credits_remaining")))


def _amount(value: object) -> float | None:
    """Return a number that every reader of JSON can hold, else ``None``."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max:
        return value
    return None


def _pictures(reply: Reply, data: Mapping[str, Any]) -> tuple[str, ...]:
    images = data.get("images")
    if not isinstance(images, list) or not images:
        not_aluo(reply, "the edit is SUCCESS, but the reply names no picture")
    urls = []
    for image in images:
        url = image.get("url") if isinstance(image, dict) else None
        if not _is_word(url) or not _HTTP_ADDRESS.fullmatch(url):
            not_aluo(reply, "the edit is SUCCESS, but a picture has no http(s) address")
        urls.append(url)
    return tuple(urls)
