"""Aluo's envelope: an answer, a refusal, or something that is not Aluo's at all.

Source: https://aluo.ai/docs/api/overview (read 2026-11-22).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow_aluo.protocol.errors import (
    AluoApiError,
    AluoOutOfCredits,
    AluoRateLimited,
    AluoReplyError,
    AluoRequestRejected,
    AluoServerError,
    AluoUnauthorized,
)
from airflow_aluo.protocol.schedule import retry_after
from airflow_aluo.protocol.vocabulary import CODE_OK, CODE_OUT_OF_CREDITS, CODE_SERVER, CODE_UNAUTHORIZED

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Longest quotation of a reply in an error, in characters.
EXCERPT: Final = 200

#: HTTP statuses that say by themselves that nothing was accepted.
_REFUSALS: Final = {400, 401, 402, 429}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came over the wire."""

    http_status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes
    #: When it came, in epoch seconds: a ``Retry-After`` may be a date.
    at: float


def content(reply: Reply) -> dict[str, Any]:
    """Return the envelope of an answer that is no refusal."""
    envelope = _json(reply)
    well = 200 <= reply.http_status < 300  # noqa: PLR2004  # what HTTP calls successful
    if isinstance(envelope, dict):
        contradicts = envelope.get("success") is True and (not well or _code(envelope) != CODE_OK)
        if contradicts:  # it may have been accepted
            not_aluo(reply, "the reply says success together with an error")
        if _refuses(envelope):
            raise _api_error(reply, envelope)
    if not well:
        raise _gateway_error(reply)
    if not isinstance(envelope, dict):
        not_aluo(reply, "the reply is not a JSON object")
    if envelope.get("success", True) is not True or _code(envelope) != CODE_OK:
        not_aluo(reply, "the reply says neither success nor failure")
    return envelope


def _json(reply: Reply) -> Any:
    """Return the body as JSON, ``None`` where it is none."""
    try:
        return _STRICT.decode(reply.body.decode(json.detect_encoding(reply.body), "surrogatepass"))
    except (ValueError, RecursionError):
        return None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


#: Made once: to make one at each look costs as much as to read the look's answer.
_STRICT: Final = json.JSONDecoder(parse_constant=_no_constant)


def _refuses(envelope: dict[str, Any]) -> bool:
    """Tell whether this is the error envelope: ``success: false`` or a code other than 0."""
    return envelope.get("success") is False or _code(envelope) not in {None, CODE_OK}


def _code(envelope: dict[str, Any]) -> int | None:
    """Return the envelope's code, 0 where it has none, ``None`` where it is no whole number."""
    return whole(envelope.get("code", CODE_OK))


def whole(value: object) -> int | None:
    """Return a whole number as ``int`` (JSON knows no difference between 1 and 1.0), else ``None``."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _api_error(reply: Reply, envelope: dict[str, Any]) -> AluoApiError:
    code = _code(envelope)
    error_type, hint = _meaning(reply.http_status, code or CODE_OK)
    message = said(envelope) or "no message"
    return error_type(
        f"Aluo answered {message!r} (HTTP {reply.http_status}, code {code}): {hint}",
        http_status=reply.http_status,
        code=code,
        retry_after=retry_after(reply.headers, reply.at),
        definite=envelope.get("success") is False or reply.http_status in _REFUSALS,
    )


def _meaning(status: int, code: int) -> tuple[type[AluoApiError], str]:
    """Return the error that an HTTP status and an envelope's code mean together, and the next step."""
    if code == CODE_UNAUTHORIZED or 401 in {status, code}:  # noqa: PLR2004
        return AluoUnauthorized, "check the API key in the connection's password"
    if CODE_OUT_OF_CREDITS in {status, code}:
        return AluoOutOfCredits, "top up the account or upgrade it, then try again"
    if 429 in {status, code}:  # noqa: PLR2004
        return AluoRateLimited, "too many requests this minute"
    if status >= CODE_SERVER or CODE_SERVER <= code < 600:  # noqa: PLR2004  # 1001 is no 5xx
        return AluoServerError, "an error on Aluo's side"
    return AluoRequestRejected, "change the request"


def _gateway_error(reply: Reply) -> AluoApiError | AluoReplyError:
    """Return the error for an HTTP error (or a redirect) that comes without Aluo's envelope."""
    status = reply.http_status
    error_type, hint = _meaning(status, CODE_OK)
    if status in {401, 429} or status >= CODE_SERVER:
        return error_type(
            f"HTTP {status} without Aluo's envelope: {excerpt(reply)!r}: {hint}",
            http_status=status,
            retry_after=retry_after(reply.headers, reply.at),
            definite=status < CODE_SERVER,  # nobody was let in, whoever answered
        )
    if "location" in reply.headers:
        target = reply.headers["location"].partition("?")[0][:EXCERPT]
        message = (
            f"HTTP {status} sends us to {target!r}: the API key is not carried there; "
            "if that is Aluo's address, put it into the connection's host"
        )
    else:
        message = f"HTTP {status} without Aluo's envelope: {excerpt(reply)!r}; check the connection's host"
    return AluoReplyError(message, http_status=status, excerpt=excerpt(reply))


def not_aluo(reply: Reply, what: str) -> NoReturn:
    """Refuse a reply that is none of Aluo's. ``what``: is wrong with it.

    :raises AluoReplyError: always.
    """
    quoted = excerpt(reply)
    message = f"{what} (HTTP {reply.http_status}): {quoted!r}"
    raise AluoReplyError(message, http_status=reply.http_status, excerpt=quoted)


def excerpt(reply: Reply) -> str:
    """Return the reply's beginning, at most 200 characters."""
    return reply.body[: EXCERPT * 4].decode("utf-8", "replace")[:EXCERPT]


def said(holder: Mapping[str, Any]) -> str | None:
    """Return what a reply says for people, at most 200 characters."""
    parts = [holder[key] for key in ("message", "error") if isinstance(holder.get(key), str)]
    text = ": ".join(dict.fromkeys(part.strip() for part in parts if part.strip()))[:EXCERPT]
    # It goes into logs and databases: no line breaks, NULs or halves of characters.
    return "".join(char if char.isprintable() else " " for char in text).strip() or None
