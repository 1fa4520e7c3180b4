"""What can go wrong with an edit, and whether trying again helps.

::

    AluoError
    ├─ AluoRequestInvalid      our own check of a request, connection or record; nothing was sent
    ├─ AluoConnectionError     no reply
    ├─ AluoReplyError          a reply that is not Aluo's
    ├─ AluoApiError            Aluo answered with an error
    │   ├─ AluoRequestRejected     400, -1
    │   ├─ AluoUnauthorized        401, -2
    │   ├─ AluoOutOfCredits        402
    │   ├─ AluoRateLimited         429
    │   └─ AluoServerError         5xx
    ├─ AluoEditError           about one edit that Aluo had accepted
    │   ├─ AluoEditFailed
    │   └─ AluoEditTimedOut
    ├─ AluoPictureError        a result that could not be landed
    │   └─ AluoAddressRefused       its address leads where it may not be asked
    └─ AluoUnknownOutcome      a submit whose outcome nobody knows

``final`` says that the same thing tried again by itself ends the same way, or would pay twice: only a
person can go on. Every error carries its facts as attributes and survives the way through JSON
(:func:`dump`, :func:`load`), because that is how it travels from the triggerer to the worker.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = [
    "AluoAddressRefused",
    "AluoApiError",
    "AluoConnectionError",
    "AluoEditError",
    "AluoEditFailed",
    "AluoEditTimedOut",
    "AluoError",
    "AluoOutOfCredits",
    "AluoPictureError",
    "AluoRateLimited",
    "AluoReplyError",
    "AluoRequestInvalid",
    "AluoRequestRejected",
    "AluoServerError",
    "AluoUnauthorized",
    "AluoUnknownOutcome",
    "Problem",
    "dump",
    "load",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to change before something can be sent."""

    #: The parameter as the user typed it: ``image_urls[2]``, ``aspect_ratio``.
    parameter: str
    #: The value found there, shortened, as Python writes it.
    value: str
    #: What is allowed, and what to do.
    expected: str

    def __str__(self) -> str:
        return f"{self.parameter}: {self.value}; expected {self.expected}"


class AluoError(Exception):
    """Anything that this package raises on purpose.

    :param message: what was found, what was expected and the next step.
    """

    #: A later try cannot help by itself.
    final: ClassVar[bool] = False
    #: Names of the attributes that travel through JSON.
    facts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[Any, ...]:
        return load, (dump(self),)


class AluoRequestInvalid(AluoError):
    """Something cannot be sent as it stands; nothing was sent, nothing was charged.

    Trying again does not help.

    :param subject: what was checked: ``photo edit``, ``connection 'aluo_default'``.
    :param problems: all that is wrong with it.
    :param unharmed: what has therefore not been done.
    """

    final = True
    facts = ("subject", "problems", "unharmed")

    def __init__(
        self, subject: str, problems: Iterable[Problem], *, unharmed: str = "nothing was sent"
    ) -> None:
        self.subject, self.unharmed = subject, unharmed
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems]
        text = lines[0] if len(lines) == 1 else "".join(f"\n  - {line}" for line in lines)
        super().__init__(f"{subject} cannot be used, {unharmed}: {text}")


class AluoConnectionError(AluoError):
    """No reply came.

    Trying again helps where nothing was sent, or where the call may be repeated.

    :param sent: bytes of the request may have reached Aluo.
    """

    facts = ("sent",)

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class AluoReplyError(AluoError):
    """A reply came that is not Aluo's: HTML, half JSON, a redirect, a shape nobody documented.

    Trying again helps where the call may be repeated.

    :param http_status: the reply's HTTP status.
    :param excerpt: the reply's beginning, at most 200 characters.
    """

    facts = ("http_status", "excerpt")

    def __init__(self, message: str, *, http_status: int, excerpt: str = "") -> None:
        super().__init__(message)
        self.http_status = http_status
        self.excerpt = excerpt


class AluoApiError(AluoError):
    """Aluo, or a gateway in front of it, answered with an error.

    :param http_status: the reply's HTTP status.
    :param code: the envelope's ``code``, ``None`` where there was no envelope.
    :param retry_after: seconds that the reply asked to wait, ``None`` where it did not.
    :param definite: nothing was accepted: Aluo's envelope says ``success: false``, or the HTTP status does
        so by itself. ``False`` for any other 5xx.
    """

    facts = ("http_status", "code", "retry_after", "definite")

    def __init__(
        self,
        message: str,
        *,
        http_status: int,
        code: int | None = None,
        retry_after: float | None = None,
        definite: bool = True,
    ) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code
        self.retry_after = retry_after
        self.definite = definite


class AluoRequestRejected(AluoApiError):
    """400 or code -1: the request cannot be done as it is. Trying again does not help."""

    final = True


class AluoUnauthorized(AluoApiError):
    """401 or code -2: the key is wrong or was deleted. Trying again does not help."""

    final = True


class AluoOutOfCredits(AluoApiError):
    """402: the account's balance does not cover the edit. Trying again helps once it was topped up."""


class AluoRateLimited(AluoApiError):
    """429: too many requests this minute. Trying again helps after ``retry_after`` seconds."""


class AluoServerError(AluoApiError):
    """5xx. Trying again helps where the call may be repeated, or where the answer was definite."""


class AluoEditError(AluoError):
    """Something about one edit that Aluo had accepted.

    :param aluo_task_id: Aluo's id of the edit.
    """

    facts: ClassVar[tuple[str, ...]] = ("aluo_task_id",)

    def __init__(self, message: str, *, aluo_task_id: str) -> None:
        super().__init__(message)
        self.aluo_task_id = aluo_task_id


class AluoEditFailed(AluoEditError):
    """The edit ended FAILED: no credits were taken. A new try submits anew."""


class AluoEditTimedOut(AluoEditError):
    """The edit was not finished by the deadline. It goes on at Aluo.

    Trying again by itself does not help: the deadline has passed. A person can wait for it anew.

    :param last_status: the last status word seen, ``None`` where no look succeeded.
    """

    final = True
    facts = ("aluo_task_id", "last_status")

    def __init__(self, message: str, *, aluo_task_id: str, last_status: str | None) -> None:
        super().__init__(message, aluo_task_id=aluo_task_id)
        self.last_status = last_status


class AluoPictureError(AluoError):
    """A result could not be landed: not there any more, truncated, too large, or no picture.

    Trying again helps against a transfer that broke, not where the picture is gone or too large.

    :param url: the address, without its query.
    :param http_status: what the picture's host answered, if that is what is wrong.
    """

    facts = ("url", "http_status")

    def __init__(self, message: str, *, url: str, http_status: int | None = None) -> None:
        super().__init__(message)
        self.url = url
        self.http_status = http_status


class AluoAddressRefused(AluoPictureError):
    """A result's address leads into a private network, or to nothing that can be asked; it was not asked.

    Trying again does not help: a person allows the host, or gives another address.
    """

    final = True


class AluoUnknownOutcome(AluoError):
    """A request to edit may have reached Aluo, and nobody knows what became of it.

    It may have been accepted and charged, so it is never sent again by itself.

    :param seen: what came instead of an answer.
    """

    final = True
    facts = ("seen",)

    def __init__(self, message: str, *, seen: str = "") -> None:
        super().__init__(message)
        self.seen = seen


_TYPES: dict[str, type[AluoError]] = {
    name: cls for name, cls in list(globals().items()) if isinstance(cls, type) and issubclass(cls, AluoError)
}


def dump(error: AluoError) -> dict[str, Any]:
    """Return the error as plain JSON: ``{"type": …, "message": …, "facts": {…}}``."""
    facts: dict[str, Any] = {name: getattr(error, name) for name in error.facts}
    if isinstance(error, AluoRequestInvalid):
        facts["problems"] = [[p.parameter, p.value, p.expected] for p in error.problems]
    return {"type": type(error).__name__, "message": error.message, "facts": facts}


def load(data: Any) -> AluoError:
    """Rebuild what :func:`dump` gave; anything else becomes an :class:`AluoError` that quotes it."""
    try:
        error_type = _TYPES[data["type"]]
        facts = dict(data["facts"])
        if error_type is AluoRequestInvalid:
            problems = [Problem(*map(str, problem)) for problem in facts["problems"]]
            told = {name: str(facts[name]) for name in ("unharmed",) if name in facts}
            return AluoRequestInvalid(str(facts["subject"]), problems, **told)
        return error_type(str(data["message"]), **facts)
    except (KeyError, TypeError, ValueError):
        return AluoError(f"an error that cannot be read came from the triggerer: {str(data)[:200]}")
