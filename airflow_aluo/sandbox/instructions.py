"""Reads an instruction as far as the sandbox needs: which kind of edit, and its details.

The kinds are those of the vendor's "Editing Examples".
Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Colour = tuple[int, int, int]


class Kind(StrEnum):
    """What an instruction wants."""

    COLOUR = "colour"
    ADD = "add"
    BACKGROUND = "background"
    CENTRE = "centre"
    REMOVE = "remove"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Instruction:
    """``what``: the thing to add or remove, or the new background; ``colour``: red, green, blue."""

    kind: Kind
    what: str = ""
    colour: Colour | None = None


#: Colours as a shop would name them, in tones that look like dye rather than like a screen.
COLOURS: Final[dict[str, Colour]] = {
    "black": (38, 38, 42),
    "white": (244, 244, 242),
    "grey": (136, 138, 142),
    "gray": (136, 138, 142),
    "silver": (186, 190, 196),
    "red": (200, 30, 36),
    "orange": (236, 120, 20),
    "yellow": (240, 200, 20),
    "gold": (208, 164, 52),
    "green": (36, 150, 66),
    "olive": (118, 124, 40),
    "mint": (120, 214, 170),
    "teal": (14, 128, 128),
    "turquoise": (40, 190, 190),
    "cyan": (20, 176, 214),
    "blue": (28, 84, 206),
    "navy": (24, 40, 104),
    "purple": (122, 48, 172),
    "violet": (132, 76, 214),
    "magenta": (206, 34, 140),
    "pink": (238, 110, 160),
    "brown": (120, 76, 44),
    "beige": (222, 204, 172),
}

_HEX: Final = re.compile(r"#([0-9a-f]{6})\b")
_COLOUR: Final = re.compile(rf"\b({'|'.join(COLOURS)})\b|{_HEX.pattern}")
_BACKGROUND: Final = re.compile(r"\b(back ?ground|back ?drop)\b")
#: Which kind a verb stands for; the first verb of the sentence decides.
_VERBS: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    (Kind.REMOVE, re.compile(r"\b(remove|erase|delete|get rid of|take away|take out|clean)\b")),
    (Kind.CENTRE, re.compile(r"\b(re)?cent(er|re)\b|\bin(to)? the (middle|cent(er|re))\b")),
    (Kind.ADD, re.compile(r"\b(add|insert|include|put|place)\b")),
    (Kind.COLOUR, re.compile(r"\b(change|make|turn|recolou?r|colou?r|paint|dye|set|tint)\b")),
)
_PUT: Final = re.compile(r"\b(put|place|move)\b")
#: Where the thing ends and its place begins.
_PLACE: Final = re.compile(
    r"\b(on|onto|to|from|in|into|at|by|next|near|beside|behind|under|over|above|with|off|of)\b"
)
_ARTICLE: Final = re.compile(r"^(a|an|the|any|some|all|this|that|my|our)\b\s*")


def read(prompt: str) -> Instruction:
    """Return what a prompt asks for; what cannot be told is ``Kind.OTHER``."""
    text = " ".join(prompt.lower().split())
    kind, rest = _first_verb(text)
    # The last colour is the wanted one: "from red to blue".
    named = [match.group() for match in _COLOUR.finditer(text)]
    colour = _rgb(named[-1]) if named else None
    if _BACKGROUND.search(text) and kind not in {Kind.ADD, Kind.CENTRE}:
        white = COLOURS["white"] if kind is Kind.REMOVE else None
        return Instruction(Kind.BACKGROUND, text, colour or white)
    if kind in {Kind.ADD, Kind.REMOVE}:
        return Instruction(kind, _thing(rest), colour)
    if kind is Kind.CENTRE:
        return Instruction(kind)
    return Instruction(Kind.COLOUR, "", colour) if colour else Instruction(Kind.OTHER)


def _first_verb(text: str) -> tuple[Kind, str]:
    """Return the kind that the first verb stands for, and the text after it."""
    found = [
        (match.start(), kind, text[match.end() :]) for kind, verb in _VERBS if (match := verb.search(text))
    ]
    if not found:
        return Kind.OTHER, text
    _, kind, rest = min(found)
    if kind is Kind.ADD and _PUT.match(text) and any(one is Kind.CENTRE for _, one, _ in found):
        return Kind.CENTRE, rest
    return kind, rest


def _thing(rest: str) -> str:
    """``coffee cup`` of ``a coffee cup on the desk``."""
    thing = _PLACE.split(rest.strip(), maxsplit=1)[0]
    return _ARTICLE.sub("", thing.strip()).strip(" .,;:!?")


def _rgb(name: str) -> Colour:
    if name in COLOURS:
        return COLOURS[name]
    number = int(name.removeprefix("#"), 16)
    return number >> 16, number >> 8 & 255, number & 255
