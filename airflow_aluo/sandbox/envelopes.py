"""The vendor's two envelopes.

Source: https://aluo.ai/docs/api/overview (read 2026-11-22).
"""

from http import HTTPStatus
from typing import Any, Final

from fastapi.responses import JSONResponse

from airflow_aluo.protocol.vocabulary import (
    CODE_BUSINESS,
    CODE_OK,
    CODE_OUT_OF_CREDITS,
    CODE_SERVER,
    CODE_UNAUTHORIZED,
)

#: The envelope's code that goes with an HTTP status; any other status goes with -1.
CODES: Final[dict[int, int]] = {
    HTTPStatus.UNAUTHORIZED: CODE_UNAUTHORIZED,
    HTTPStatus.PAYMENT_REQUIRED: CODE_OUT_OF_CREDITS,
    HTTPStatus.INTERNAL_SERVER_ERROR: CODE_SERVER,
}


class Refusal(Exception):  # noqa: N818 - it is an answer, not a mishap
    """The call is answered with the error envelope; nothing was accepted or charged.

    ``message`` is for people, ``error`` says what exactly was wrong. ``retry_after`` is the value
    of the header of that name, if any.
    """

    def __init__(
        self,
        http_status: int,
        message: str,
        *,
        error: str | None = None,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.message = message
        self.error = error or message
        self.retry_after = retry_after


def success(data: dict[str, Any], *, deducted: int, remaining: int) -> dict[str, Any]:
    """Return the envelope of a good answer. ``deducted`` and ``remaining`` are credits."""
    return {
        "code": CODE_OK,
        "success": True,
        "data": data,
        "credits_deducted": deducted,
        "credits_remaining": remaining,
    }


def refused(refusal: Refusal, *, http_status: int | None = None, code: int | None = None) -> JSONResponse:
    """Return the reply for a refusal.

    ``http_status`` is sent instead of the refusal's own, ``code`` instead of the one that goes with it.
    """
    return JSONResponse(
        {
            "code": CODES.get(refusal.http_status, CODE_BUSINESS) if code is None else code,
            "success": False,
            "message": refusal.message,
            "error": refusal.error,
        },
        status_code=http_status or refusal.http_status,
        headers={"Retry-After": refusal.retry_after} if refusal.retry_after else None,
    )
