"""Unpacks a reply that came packed although nobody asked for that: bit by bit, whatever it unpacks to."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_GZIP: Final = 16 + zlib.MAX_WBITS
#: What zlib calls the wrappings that are worn on the web. Whoever packs otherwise was not asked either.
_WRAPPINGS: Final = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": zlib.MAX_WBITS}
#: With what each member of a gzip file begins: there may be several, one after the other.
_MEMBER: Final = b"\x1f"


class UnpackingError(OSError):
    """A reply is not packed as it says, or ends before its end."""


class Unpacking:
    """Unpacks a reply's body.

    aiohttp can do that, but before its version 3.14 turns whatever it has read into one piece: 64 KB that a
    server has chosen with care are then 64 MB.
    """

    def __init__(self, encoding: str) -> None:
        self._raw_possible = encoding == "deflate"
        self._wrapping = _WRAPPINGS[encoding]
        self._inflating = zlib.decompressobj(self._wrapping)
        self._begun = self._padding = False

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Unpacking | None:
        """Return what unpacks a reply with these headers; ``None`` if it is not packed.

        :param headers: their names are in lower case.
        """
        encoding = headers.get("content-encoding", "").strip().lower()
        return cls(encoding) if encoding in _WRAPPINGS else None

    def pieces(self, packed: bytes, at_most: int) -> Iterator[bytes]:
        """Yield what follows from these further bytes, in pieces of at most so many.

        :raises UnpackingError: the reply is not packed so.
        """
        if self._raw_possible and not self._begun and packed and packed[0] & 0xF != zlib.DEFLATED:
            self._inflating = zlib.decompressobj(-zlib.MAX_WBITS)  # some leave the wrapping out
        self._begun = self._begun or bool(packed)
        try:
            while packed:
                if self._inflating.eof:
                    self._padding = self._padding or self._wrapping != _GZIP or packed[:1] != _MEMBER
                    if self._padding:
                        return
                    self._inflating = zlib.decompressobj(_GZIP)
                if piece := self._inflating.decompress(packed, at_most):
                    yield piece
                packed = self._inflating.unused_data or self._inflating.unconsumed_tail
        except zlib.error as error:
            raise UnpackingError(f"the reply cannot be unpacked: {error}") from None

    def end(self) -> bytes:
        """Return what is left when all has come.

        :raises UnpackingError: that was not all.
        """
        rest = self._inflating.flush()
        if self._begun and not self._inflating.eof:
            raise UnpackingError("the packed reply broke off")
        return rest
