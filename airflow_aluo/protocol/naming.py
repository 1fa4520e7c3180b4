"""What files are called: a template with placeholders, filled with what strangers may have written.

A prompt, a run id or an address may hold anything. What is filled in never makes a folder, never leads out of
one, and holds no control character; folders are made by the template's own slashes.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from string import Formatter
from typing import TYPE_CHECKING, Any, Final

from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: What a landed picture is called, and what its name may be made of: the task's, the edit's, the picture's.
DEFAULT_NAME: Final = "{aluo_task_id}-{index}.{ext}"
_OF_A_TASK: Final = ("dag_id", "run_id", "task_id", "map_index")
_OF_AN_EDIT: Final = ("aluo_task_id", "photo", "prompt", "position")
PLACEHOLDERS: Final = frozenset((*_OF_A_TASK, *_OF_AN_EDIT, "index", "ext"))

#: Longest value that is filled in, in characters.
LONGEST_VALUE: Final = 80
#: Longest name of a file or folder, in bytes: every file system takes 255, and a temporary name is longer.
LONGEST_NAME: Final = 200

#: ``{index:03}`` writes 7 as 007.
_WIDTH: Final = re.compile(r"0\d")
_ODD: Final = re.compile(r"[^\w.-]+")


class Name:
    """A template of relative paths, such as ``{dag_id}/{aluo_task_id}-{index}.{ext}``.

    :param template: placeholders in braces, folders by slashes; ``{index:03}`` fills numbers up with zeros.
    :param allowed: the placeholders that may be used.
    :param parameter: what the user calls the template.
    :raises AluoRequestInvalid: it is none.
    """

    def __init__(self, template: Any, *, allowed: Collection[str], parameter: str = "name") -> None:
        self.template, self._allowed = template, allowed
        if (wrong := self._wrong()) is not None:
            known = ", ".join(f"{{{name}}}" for name in sorted(allowed))
            expected = f"a relative path with placeholders of {known}; {wrong}"
            raise AluoRequestInvalid("file name", [Problem(parameter, shown(template), expected)])

    def of(self, values: Mapping[str, object]) -> str:
        """Return the path for these values: each segment is a safe name, and none is hidden."""
        filled = "".join(
            literal + ("" if field is None else _filled(values[field], spec or ""))
            for literal, field, spec, _ in Formatter().parse(self.template)
        )
        return "/".join(map(_segment, filled.split("/")))

    def uses(self, placeholder: str) -> bool:
        """Tell whether a placeholder is in the template."""
        return any(field == placeholder for _, field, _, _ in Formatter().parse(self.template))

    def _wrong(self) -> str | None:
        """Return what is wrong with the template, ``None`` for nothing."""
        if not isinstance(self.template, str) or not self.template.strip():
            return "not nothing"
        try:
            parts = list(Formatter().parse(self.template))
        except ValueError as error:
            return f"braces that match ({error})"
        wrong = [found for part in parts if (found := self._wrong_part(*part)) is not None]
        if any(segment.strip(" .") == "" for segment in self.template.split("/")):
            wrong.append("no '..', no '.', no empty folder and no slash at either end")
        return wrong[0] if wrong else None

    def _wrong_part(
        self, literal: str, field: str | None, spec: str | None, conversion: str | None
    ) -> str | None:
        odd = [char for char in literal if not char.isprintable() or char in '\\:*?"<>|']
        if odd:
            return f"not the character {odd[0]!r}"
        if field is not None and field not in self._allowed:
            return f"not {{{field}}}"
        if conversion or (spec and not _WIDTH.fullmatch(spec)):
            return f"no more than a width such as {{{field}:03}}"
        return None


def _filled(value: Any, spec: str) -> str:
    """Return a value as part of a name."""
    if spec and isinstance(value, int):
        value = f"{value:{spec}}"
    text = _ODD.sub("_", unicodedata.normalize("NFC", str(value))).strip("._")
    if len(text) > LONGEST_VALUE:
        text = text[: LONGEST_VALUE - len(_mark(text))] + _mark(text)
    return text or "_"


def _mark(whole: str) -> str:
    """Return a few digits that tell a text that was cut from others that begin alike."""
    return f"-{hashlib.sha256(whole.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _segment(segment: str) -> str:
    """Return a name that is not hidden and not too long; what is cut is told by a few digits of the whole."""
    segment = segment.strip()
    if segment.startswith("."):
        segment = f"_{segment}"
    whole = segment.encode("utf-8", "replace")
    if len(whole) <= LONGEST_NAME:
        return whole.decode("utf-8")
    stem, dot, ending = segment.rpartition(".")
    if not dot or len(ending) > 8:  # noqa: PLR2004  # no ending then
        stem, ending = segment, ""
    mark = f"{_mark(segment)}{dot and '.'}{ending}"
    room = LONGEST_NAME - len(mark.encode())
    return stem.encode("utf-8", "replace")[:room].decode("utf-8", "ignore") + mark
