"""What one call asks for, checked: the same rules for JSON and forms.

Source: https://aluo.ai/docs/api/photo-editor (read 2026-11-22).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from airflow_aluo.protocol.vocabulary import (
    ASPECT_RATIOS,
    DEFAULT_NUM_IMAGES,
    DEFAULT_OUTPUT_FORMAT,
    MAX_REFERENCE_IMAGES,
    OUTPUT_FORMATS,
)
from airflow_aluo.sandbox.envelopes import Refusal

#: Pictures that one edit may give. The vendor names no limit; a sandbox needs one.
MOST_PICTURES: Final = 16
#: The form's fields that hold pictures.
FILE_FIELD: Final = re.compile(r"file\d{1,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One picture out of a form."""

    field: str
    filename: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that the vendor's page allows. ``images`` are addresses or uploads, 1 to 5."""

    prompt: str
    images: tuple[str | Upload, ...]
    aspect_ratio: str | None
    output_format: str
    num_images: int


def bad_request(message: str, error: str | None = None) -> Refusal:
    """HTTP 400 with code -1, "bad parameters"."""
    return Refusal(HTTPStatus.BAD_REQUEST, message, error=error)


def from_json(body: Any) -> Asked:
    """Return what a JSON body asks for; fields that the vendor does not know are passed over.

    :raises Refusal: with the vendor's message where the vendor's page has one.
    """
    if not isinstance(body, dict):
        raise bad_request("The request body must be a JSON object")
    prompt = _prompt(body)
    addresses = body.get("imageUrls")
    if addresses is not None and not isinstance(addresses, list):
        raise bad_request("imageUrls must be a list of addresses")
    return Asked(
        prompt=prompt,
        images=_counted(tuple(_address(n, one) for n, one in enumerate(addresses or ()))),
        aspect_ratio=_one_of(body, "aspectRatio", ASPECT_RATIOS),
        output_format=_one_of(body, "outputFormat", OUTPUT_FORMATS) or DEFAULT_OUTPUT_FORMAT,
        num_images=_num_images(body.get("numImages")),
    )


def from_form(fields: Mapping[str, str], uploads: list[Upload]) -> Asked:
    """Return what a form asks for. The vendor's form has no numImages: it gives one picture.

    :raises Refusal: with the vendor's message where the vendor's page has one.
    """
    ordered = sorted(uploads, key=lambda upload: int(upload.field.removeprefix("file")))
    return Asked(
        prompt=_prompt(fields),
        images=_counted(tuple(ordered)),
        aspect_ratio=_one_of(fields, "aspectRatio", ASPECT_RATIOS),
        output_format=_one_of(fields, "outputFormat", OUTPUT_FORMATS) or DEFAULT_OUTPUT_FORMAT,
        num_images=DEFAULT_NUM_IMAGES,
    )


def _prompt(body: Mapping[str, Any]) -> str:
    prompt = body.get("prompt")
    if prompt is not None and not isinstance(prompt, str):
        raise bad_request("prompt must be a text")
    if not prompt or not prompt.strip():
        raise bad_request("Prompt is required", "prompt is missing or empty")
    if not sayable(prompt):
        raise bad_request("prompt must be a text", "prompt holds half a surrogate pair")
    return prompt


def sayable(text: str) -> bool:
    """Whether a reply can hold this text: JSON can write half a character, UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _counted(images: tuple[str | Upload, ...]) -> tuple[str | Upload, ...]:
    if not images:
        raise bad_request("At least one image URL is required", "neither imageUrls nor file0")
    if len(images) > MAX_REFERENCE_IMAGES:
        raise bad_request("Maximum 5 images allowed", f"{len(images)} images were sent")
    return images


def _address(position: int, address: Any) -> str:
    problem = f"imageUrls[{position}] is not an http or https address"
    if not isinstance(address, str) or not sayable(address):
        raise bad_request(problem)
    try:
        parts = urlsplit(address)
        port_is_a_number = parts.port is None or parts.port >= 0
    except ValueError as error:
        raise bad_request(problem, str(error)) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_is_a_number:
        raise bad_request(problem)
    return address


def _one_of(body: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if value not in allowed:
        raise bad_request(f"{name} must be one of {', '.join(allowed)}", f"{name} is {value!r:.80}")
    return str(value)


def _num_images(value: Any) -> int:
    if value is None:
        return DEFAULT_NUM_IMAGES
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    if not whole or not 1 <= value <= MOST_PICTURES:
        raise bad_request(
            f"numImages must be a whole number from 1 to {MOST_PICTURES}",
            f"numImages is {value!r:.80}; the upper limit is this sandbox's",
        )
    return int(value)
