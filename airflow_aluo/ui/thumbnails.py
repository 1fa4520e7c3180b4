"""Pictures made small, upright, and anew: nothing of the original's file but its look is in them."""

from __future__ import annotations

import io
from typing import BinaryIO, Final

#: Longest side in pixels, by size.
SIDES: Final = {"thumb": 480, "large": 2048}
#: Of a photo that is downloaded: its own bytes are not given away.
PHOTO_SIDE: Final = 4096

CONTENT_TYPE: Final = "image/webp"

_QUALITY: Final = 82
#: How hard WebP tries, from 0 to 6: four costs twice the time of two, for a twentieth of the bytes.
_EFFORT: Final = 2
#: Pillow's modes whose pixels can be mixed, and whose colour profile holds for the result.
_MIXABLE: Final = frozenset({"RGB", "RGBA"})


def made(file: BinaryIO, side: int, formats: tuple[str, ...]) -> bytes:
    """Return a picture as WebP.

    :param side: longest side, in pixels; what is smaller stays so.
    :param formats: Pillow's names of the formats that may be read.
    :raises ValueError: it cannot be decoded.
    """
    from PIL import Image, ImageOps

    Image.init()
    try:
        file.seek(0)
        with Image.open(file, formats=[name for name in formats if name in Image.OPEN]) as image:
            _bound(image.width, image.height, Image.MAX_IMAGE_PIXELS)
            image.draft("RGB", (side, side))  # a JPEG is decoded small at once
            clear = "A" in image.getbands() or "transparency" in image.info
            profile = image.info.get("icc_profile") if image.mode in _MIXABLE else None
            # Of a palette's colours none can be mixed, so it is given up first.
            whole = image if image.mode in _MIXABLE else image.convert("RGBA" if clear else "RGB")
            whole.thumbnail((side, side))
            small = ImageOps.exif_transpose(whole).convert("RGBA" if clear else "RGB")
            made_ = io.BytesIO()
            small.save(made_, "WEBP", quality=_QUALITY, method=_EFFORT, icc_profile=profile or b"", exif=b"")
    except Exception as error:  # each of Pillow's plugins has errors of its own
        raise ValueError(f"no picture that can be shown ({error})") from error
    return made_.getvalue()


def _bound(width: int, height: int, most: int | None) -> None:
    """Refuse what takes gigabytes when it is unpacked, however small the file: Pillow warns at first."""
    if most and width * height > most:
        raise ValueError(f"decompression bomb of {width} x {height} pixels")
