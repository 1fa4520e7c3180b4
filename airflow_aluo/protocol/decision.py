"""What was decided of an edit, as its record holds it."""

from typing import Literal, TypedDict

Decision = Literal["approved", "redo", "rejected"]


class EditReview(TypedDict):
    """A decision; see ``schemas/edit_record.schema.json``."""

    decision: Decision
    #: The person's name; ``None`` where nobody answered in time.
    by: str | None
    #: UTC, ISO 8601.
    at: str
    #: What is to be asked instead; ``None`` where that stays.
    prompt: str | None
