"""Mishaps on demand: which of them meets which call.

``API`` stands for ``generate`` and ``status``. "Before" and "after" are the fault's ``when``.

========================  ============  ======================================================
kind                      where         what happens
========================  ============  ======================================================
http_status               API, picture  error envelope with ``status`` (503), ``code``, ``message``
html                      API, picture  a gateway's page with ``status`` (502)
half_json                 API           a whole reply (200) whose JSON ends in the middle
empty                     API, picture  a reply (200) without a body
redirect                  API, picture  ``status`` (302) and ``location``
success_false_200         API           error envelope with HTTP 200, ``code`` (-1), ``message``
wrong_shape               API           a success whose ``data`` is a list
drop_upload               generate      connection reset while the body is sent; nothing accepted
drop_before               API, picture  connection reset before anything was done
drop_after                API           done, then the connection closes without a word
drop_after                picture       half the picture, then the connection closes
half_reply                API           half of the length that the head promises, then it closes
latency                   API, picture  nothing but the wait of ``seconds``
hold                      API, picture  no answer until ``POST /sandbox/release``
edit_fails                generate      accepted; FAILED in the end, for the reason ``message``
success_without_task_id   generate      accepted, but the reply has no taskId
success_without_pictures  status        SUCCESS with an empty list of images
word                      status        ``word`` instead of the true status, and nothing else
truncated_picture         picture       half the picture, of an honest length
html_picture              picture       a page (200)
========================  ============  ======================================================

``half_reply`` breaks off the true reply: of ``status`` always, of ``generate`` when it comes after.
Before, nothing is accepted, and it is half of a success that never was. ``drop_upload`` strikes before
the body is read, so ahead of all others; a body of up to 64 KiB is not waited for.

``DELETE /sandbox/faults`` ends all of them, ``DELETE /sandbox/faults?prompt=cup`` those whose own ``prompt``
holds this text: how a fault without a number of ``times`` ends at a moment that a test chooses.
"""

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from airflow_aluo.sandbox.accounts import digest

On = Literal["generate", "status", "picture"]
When = Literal["before", "after"]
Kind = Literal[
    "http_status",
    "html",
    "half_json",
    "empty",
    "redirect",
    "success_false_200",
    "wrong_shape",
    "drop_upload",
    "drop_before",
    "drop_after",
    "half_reply",
    "latency",
    "hold",
    "edit_fails",
    "success_without_task_id",
    "success_without_pictures",
    "word",
    "truncated_picture",
    "html_picture",
]

_BODILESS: Final = (204, 205, 304)
_ANYWHERE: Final = ("generate", "status", "picture")
_API: Final = ("generate", "status")
#: Where each kind makes sense.
PLACES: Final[dict[Kind, tuple[str, ...]]] = {
    "http_status": _ANYWHERE,
    "html": _ANYWHERE,
    "half_json": _API,
    "empty": _ANYWHERE,
    "redirect": _ANYWHERE,
    "success_false_200": _API,
    "wrong_shape": _API,
    "drop_upload": ("generate",),
    "drop_before": _ANYWHERE,
    "drop_after": _ANYWHERE,
    "half_reply": _API,
    "latency": _ANYWHERE,
    "hold": _ANYWHERE,
    "edit_fails": ("generate",),
    "success_without_task_id": ("generate",),
    "success_without_pictures": ("status",),
    "word": ("status",),
    "truncated_picture": ("picture",),
    "html_picture": ("picture",),
}
#: Kinds whose reply is an error envelope, and has a code.
_ENVELOPES: Final = ("http_status", "success_false_200")


class Fault(BaseModel):
    """One mishap, as ``POST /sandbox/faults`` takes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    #: Which calls it meets.
    on: On = "generate"
    kind: Kind
    #: ``before``: the call does nothing else, so no edit is accepted. ``after``: the edit is
    #: accepted first (and will be charged), then only the reply goes wrong.
    when: When = "before"
    #: The HTTP status of a reply that is put in the real one's place.
    status: int | None = Field(default=None, ge=200, le=599)
    #: The error envelope's code, instead of the one that goes with the HTTP status.
    code: int | None = None
    #: Value of ``Retry-After``: seconds or an HTTP date, sent as it is.
    retry_after: str | None = None
    #: The call waits so many (real) seconds first; any kind can be slow.
    seconds: float = Field(default=0.0, ge=0)
    #: How many calls it meets; None: all from now on.
    times: int | None = Field(default=1, ge=1)
    #: How many calls it lets through first.
    skip: int = Field(default=0, ge=0)
    #: What the error envelope, or the failed edit, says. An edit can fail without a reason: "".
    message: str | None = None
    #: Where a redirect points.
    location: str | None = None
    #: What the status says.
    word: str | None = Field(default=None, min_length=1)
    #: Meets only calls about an edit whose prompt holds this text.
    prompt: str | None = None
    #: Meets only calls that carry this API key. Whoever looks at the faults sees its digest.
    key: str | None = Field(default=None, repr=False)

    @field_serializer("key")
    def _unreadable(self, key: str | None) -> str | None:
        return key and digest(key)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.on not in PLACES[self.kind]:
            raise ValueError(f"{self.kind} can only be on {' or '.join(PLACES[self.kind])}")
        if self.status in _BODILESS and self.kind != "empty":
            raise ValueError(f"HTTP {self.status} has no body: its kind is empty")
        if self.code is not None and self.kind not in _ENVELOPES:
            raise ValueError(f"{self.kind} has no code: only {' and '.join(_ENVELOPES)} have")
        if (self.kind == "word") != (self.word is not None):
            raise ValueError("the kind word needs a word, and no other kind has one")
        if self.kind == "drop_upload" and self.prompt is not None:
            raise ValueError("drop_upload strikes before the prompt can be read: aim it with key")
        if self.on == "picture" and self.key is not None:
            raise ValueError("pictures are fetched without a key: aim with prompt")
        return self

    @property
    def comes_after(self) -> bool:
        """Whether the call does its work before it goes wrong."""
        if self.kind in {"drop_upload", "drop_before"}:
            return False
        truthful = self.kind == "half_reply" and self.on == "status"
        return self.when == "after" or self.kind == "drop_after" or truthful

    def meets(self, on: On, prompt: str | None, key: str) -> bool:
        """Whether it is for this call. ``prompt``: None while the call's body is not read."""
        if self.on != on or (self.kind == "drop_upload") != (prompt is None):
            return False
        about = self.prompt is None or self.prompt in (prompt or "")
        return about and self.key in {None, key}


class _Waiting:
    """A fault and how often it has still to strike."""

    def __init__(self, number: int, fault: Fault) -> None:
        self.number = number
        self.fault = fault
        self.times_left = fault.times
        self.skip_left = fault.skip

    def strikes(self) -> bool:
        """Whether it meets this call, which matches it."""
        if self.skip_left:
            self.skip_left -= 1
            return False
        if self.times_left is not None:
            self.times_left -= 1
        return True


class Faults:
    """The mishaps that wait for calls, in the order in which they were ordered."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self._ordered = 0

    def add(self, fault: Fault) -> int:
        """Order a fault; its number."""
        self._ordered += 1
        self._waiting.append(_Waiting(self._ordered, fault))
        return self._ordered

    def clear(self, prompt: str | None = None) -> None:
        """Forget all that still wait, or those of them whose ``prompt`` holds this text."""
        self._waiting = [
            waiting
            for waiting in self._waiting
            if prompt is not None and prompt not in (waiting.fault.prompt or "")
        ]

    def take(self, on: On, prompt: str | None, key: str = "") -> Fault | None:
        """Return the fault that meets this call, if any: the first one ordered that is due.

        Those in front of it that still let calls through have let one through. ``prompt``: None
        while the call's body is not read, which is when uploads are cut off.
        """
        for waiting in list(self._waiting):
            if waiting.fault.meets(on, prompt, key) and waiting.strikes():
                if waiting.times_left == 0:
                    self._waiting.remove(waiting)
                return waiting.fault
        return None

    def as_json(self) -> list[dict[str, object]]:
        """All that still wait, with the number of strikes and of calls to let through left."""
        return [
            {
                "number": waiting.number,
                **waiting.fault.model_dump(exclude_none=True),
                "times": waiting.times_left,
                "skip": waiting.skip_left,
            }
            for waiting in self._waiting
        ]
