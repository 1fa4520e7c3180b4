"""How the pretend Aluo behaves; every value can be changed while it runs."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from airflow_aluo.protocol.vocabulary import STATUS_FAILED, STATUS_SUCCESS, USUAL_SECONDS

#: Seconds over which a plan's rate limit counts, at speed 1.
#: Source: https://aluo.ai/docs/api/overview (read 2026-11-22): "requests a minute".
RATE_WINDOW_SECONDS = 60.0


class Settings(BaseModel):
    """What ``PUT /sandbox/settings`` may change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    #: 2 is twice as fast: ``durations`` and the rate limit's minute are divided by it.
    speed: float = Field(default=1.0, gt=0)
    #: True: the POST holds until the edit is done, as the vendor's page says.
    slow_post: bool = False
    #: Shortest and longest edit in seconds at speed 1; one number fixes both.
    durations: tuple[float, float] = USUAL_SECONDS
    #: What the status of an unfinished edit says. Nobody documents this word.
    running_word: str = Field(default="PROCESSING", min_length=1)
    #: Seconds for which a picture's address works, or None for as long as the sandbox runs.
    url_lifetime: float | None = Field(default=None, gt=0)
    #: The vendor shows ids as strings; a number tests that clients survive one.
    task_id_type: Literal["string", "number"] = "string"
    #: False: nobody is ever told to slow down.
    rate_limit: bool = True
    #: Seconds of the rate limit's "minute", whatever the speed; None: 60 divided by the speed.
    rate_window: float | None = Field(default=None, gt=0)

    @field_validator("durations", mode="before")
    @classmethod
    def _one_number_fixes_both(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return (value, value)
        return value

    @field_validator("durations")
    @classmethod
    def _from_short_to_long(cls, value: tuple[float, float]) -> tuple[float, float]:
        shortest, longest = value
        if not 0 <= shortest <= longest:
            raise ValueError("durations are seconds, the shortest first, none below 0")
        return value

    @field_validator("running_word")
    @classmethod
    def _not_an_end(cls, value: str) -> str:
        if value in {STATUS_SUCCESS, STATUS_FAILED}:
            raise ValueError(f"{value} is the word for a finished edit")
        return value

    def changed(self, changes: dict[str, Any]) -> Self:
        """Return these settings with some replaced.

        :raises pydantic.ValidationError: an unknown name or a value out of range.
        """
        return self.model_validate({**self.model_dump(), **changes})

    def edit_seconds(self, die: float) -> float:
        """How long an edit takes, in seconds. ``die``: 0 for the shortest, 1 for the longest."""
        shortest, longest = self.durations
        return (shortest + (longest - shortest) * die) / self.speed

    def window_seconds(self) -> float:
        """Seconds over which calls are counted; 0, so that none counts, when there is no limit."""
        if not self.rate_limit:
            return 0.0
        return self.rate_window or RATE_WINDOW_SECONDS / self.speed
