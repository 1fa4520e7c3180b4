"""Mishaps on demand: which of them meets which call."""

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

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
    "drop_before",
    "drop_after",
    "latency",
    "hold",
    "edit_fails",
    "success_without_task_id",
    "success_without_pictures",
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
    "drop_before": _ANYWHERE,
    "drop_after": _ANYWHERE,
    "latency": _ANYWHERE,
    "hold": _ANYWHERE,
    "edit_fails": ("generate",),
    "success_without_task_id": ("generate",),
    "success_without_pictures": ("status",),
    "truncated_picture": ("picture",),
    "html_picture": ("picture",),
}


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
    #: Value of ``Retry-After``: seconds or an HTTP date, sent as it is.
    retry_after: str | None = None
    #: The call waits so many (real) seconds first; any kind can be slow.
    seconds: float = Field(default=0.0, ge=0)
    #: How many calls it meets; None: all from now on.
    times: int | None = Field(default=1, ge=1)
    #: How many calls it lets through first.
    skip: int = Field(default=0, ge=0)
    #: What the error envelope, or the failed edit, says.
    message: str | None = None
    #: Where a redirect points.
    location: str | None = None
    #: Meets only calls about an edit whose prompt holds this text.
    prompt: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.on not in PLACES[self.kind]:
            raise ValueError(f"{self.kind} can only be on {' or '.join(PLACES[self.kind])}")
        if self.status in _BODILESS and self.kind != "empty":
            raise ValueError(f"HTTP {self.status} has no body: its kind is empty")
        return self

    @property
    def comes_after(self) -> bool:
        """Whether the call does its work before it goes wrong."""
        return self.kind == "drop_after" or (self.when == "after" and self.kind != "drop_before")


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

    def clear(self) -> None:
        """Forget all that have not struck yet."""
        self._waiting.clear()

    def take(self, on: On, prompt: str) -> Fault | None:
        """Return the fault that meets this call, if any: the first one ordered that is due.

        Those in front of it that still let calls through have let one through.
        """
        for waiting in list(self._waiting):
            fault = waiting.fault
            if fault.on != on or (fault.prompt is not None and fault.prompt not in prompt):
                continue
            if waiting.strikes():
                if waiting.times_left == 0:
                    self._waiting.remove(waiting)
                return fault
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
