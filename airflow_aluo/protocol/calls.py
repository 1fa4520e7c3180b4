"""One function per endpoint says what to send, how to read the answer, and whether it may be repeated.

Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from airflow_aluo.protocol.replies import (
    Acceptance,
    Snapshot,
    read_acceptance,
    read_answer,
    read_picture,
    read_status,
)
from airflow_aluo.protocol.vocabulary import GENERATE_PATH, STATUS_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_aluo.protocol.envelope import Reply
    from airflow_aluo.protocol.photo_edit import PhotoEdit

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo that is sent along."""

    name: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """One request and how to read its reply."""

    method: Literal["GET", "POST"]
    #: Below the connection's base URL; the whole address where the call goes without the key.
    path: str
    #: Send the account's key, to the account's host only.
    with_key: bool = True
    params: Mapping[str, str] = field(default_factory=dict)
    #: The JSON body, where there is one.
    json: Mapping[str, Any] | None = None
    #: The form's text fields, where there is a form.
    form: Mapping[str, str] = field(default_factory=dict)
    #: The form's files by field name; a form always has one.
    files: Mapping[str, Upload] = field(default_factory=dict)
    #: Given a successful reply's headers (lower case), says where its body's chunks go; once per try.
    into: Callable[[Mapping[str, str]], Callable[[bytes], object]] | None = None
    #: Raises an :class:`~airflow_aluo.protocol.errors.AluoError` where the reply is no answer.
    read: Callable[[Reply], T]
    #: Sending it twice does no harm: it charges nothing and changes nothing.
    repeatable: bool
    #: It asks how an edit stands.
    looks: bool = False
    #: Epoch seconds after which it waits for no turn any more, even while the account rests.
    by: float = math.inf


def generate(edit: PhotoEdit, uploads: Sequence[Upload] = ()) -> Call[Acceptance]:
    """Submit an edit: POST ``/photo-editor/generate``, JSON for addresses, a form for files.

    It may be charged, so it is not repeatable.

    :param uploads: the photos of ``edit.image_files``, in their order.
    """
    document = edit.document()
    named = zip(edit.image_files, uploads, strict=True)
    files = {f"file{index}": upload for index, (_, upload) in enumerate(named)}
    return Call(
        method="POST",
        path=GENERATE_PATH,
        json=None if files else document,
        form={name: str(value) for name, value in document.items() if name not in files} if files else {},
        files=files,
        read=read_acceptance,
        repeatable=False,
    )


def status(aluo_task_id: str, *, by: float = math.inf) -> Call[Snapshot]:
    """Look at an edit: GET ``/photo-editor/status``. ``by``: see :attr:`Call.by`."""
    return Call(
        method="GET",
        path=STATUS_PATH,
        params={"taskId": aluo_task_id},
        read=read_status,
        repeatable=True,
        looks=True,
        by=by,
    )


def probe(aluo_task_id: str) -> Call[str]:
    """Look at an edit that need not exist; any answer of Aluo's will do, and is returned as it came."""
    return Call(
        method="GET",
        path=STATUS_PATH,
        params={"taskId": aluo_task_id},
        read=read_answer,
        repeatable=True,
    )


def picture(url: str, into: Callable[[Mapping[str, str]], Callable[[bytes], object]]) -> Call[None]:
    """Fetch a result: GET its address, without the key. ``into``: see :attr:`Call.into`."""
    return Call(
        method="GET",
        path=url,
        with_key=False,
        into=into,
        read=lambda reply: read_picture(reply, url),
        repeatable=True,
    )
