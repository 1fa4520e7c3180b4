"""Strangers' text in Markdown: shown as it is, never read as Markdown, HTML or an address to click on."""

from __future__ import annotations

import re
from typing import Final

#: Joins words, and is not seen: an address or a mail address with one in its middle is none.
_JOINER: Final = "\u2060"
_LINKED_BY_ITSELF: Final = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)", re.IGNORECASE)
#: What Markdown may take for its own; a backslash makes it plain.
#: Source: https://spec.commonmark.org/0.31.2/#backslash-escapes
_PUNCTUATION: Final = re.compile(r"[!-/:-@\[-`{-~]")
#: Control characters, line and paragraph separators, and what turns the direction of writing.
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def plain(text: str, most: int) -> str:
    """Return text on one line, of at most so many characters, in which nothing is hidden."""
    readable = text.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair is no character
    line = " ".join(_UNSEEN.sub(" ", readable).split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def escaped(text: str, most: int) -> str:
    """Return :func:`plain` text as Markdown that shows it, also in a table's cell."""
    return _PUNCTUATION.sub(r"\\\g<0>", _LINKED_BY_ITSELF.sub(_JOINER, plain(text, most)))
