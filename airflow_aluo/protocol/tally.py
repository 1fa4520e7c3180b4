"""What is told while a conversation goes on, for who counts; how that is done is the outside's business."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Tally:
    """Is told each fact once, and forgets it: for who does not count. None of it may raise."""

    def submitted(self) -> None:
        """Hear that Aluo has accepted an edit."""

    def rejected(self, error: str) -> None:
        """Hear that a submit surely was not accepted: refused, or never sent.

        :param error: the name of its class.
        """

    def looked(self) -> None:
        """Hear that a look was sent, or may have been, whether an answer came or not."""

    def refused(self) -> None:
        """Hear that Aluo has refused a call (429), whatever it was."""

    def detected(self, seconds: float) -> None:
        """Hear that an edit was seen to have ended, so many seconds after it was last known to run."""

    def waiting(self) -> AbstractContextManager[object]:
        """Hear that one more edit is waited for, for the time of the block."""
        return nullcontext()
