"""What a template makes of a value, read back, and how a value is quoted to a person."""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from typing import Any, Final
from urllib.parse import unquote

#: Longest quotation of a value in a message, in characters.
_QUOTED: Final = 80

_WEB_USER: Final = re.compile(r"(https?)://[^/@\s]+@", re.IGNORECASE)
_PICTURE: Final = re.compile(r"\.(png|jpe?g|webp|gif|bmp|tiff?|avif|heic|heif)$", re.IGNORECASE)


def optional(value: Any) -> Any:
    """Return ``None`` for what a template renders when there is nothing, else the value."""
    return None if isinstance(value, str) and value.strip() in {"", "None"} else value


def whole_number(value: Any) -> Any:
    """Return an ``int`` where the value is one in other clothes (``"2"``, ``2.0``), else the value."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,9}", value.strip()):
        return int(value)
    return value


def collection(value: Any) -> Any:
    """Return the list or object that a template rendered as text (JSON or Python), else the value."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        for parse in (json.loads, ast.literal_eval):
            # TypeError: a list as an object's key, which Python can spell but not make
            with suppress(ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                return parse(value.strip())
    return value


def shown(value: Any) -> str:
    """Return a value as Python writes it, shortened, an address without its query."""
    # Within a list or an object, too, an address may hold a secret: what follows the first ? is left out.
    text = repr(named(value)) if isinstance(value, str) else without_query(repr(value))
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 1]}…"


def without_query(address: str) -> str:
    """Return an address without what follows ``?``: presigned addresses hold their secret there."""
    head, mark, _ = address.partition("?")
    return f"{head}?…" if mark else address


def named(address: str) -> str:
    """Return an address as logs and errors may name it: without its query, and without a web user's password.

    A connection in an object-storage address stays: ``s3://conn@bucket/photo.jpg``.
    """
    return _WEB_USER.sub(r"\1://***@", without_query(address))


def bare(address: str) -> str:
    """Return an address as others may keep it: no query, no fragment, no user and no connection."""
    scheme, mark, rest = address.partition("?")[0].partition("://")
    if not mark:
        return scheme
    host, slash, path = rest.partition("#")[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def stem(address: str) -> str:
    """Return the name of what lies at an address, without the ending of a picture."""
    ending = bare(address).rstrip("/").rpartition("/")[2]
    name = unquote(ending).rpartition("/")[2] if "://" in address else ending
    return _PICTURE.sub("", name)
