"""Replies that came packed: bit by bit, and only if they are what they say."""

import gzip
import zlib

import pytest

from airflow_aluo.transport.unpacking import Unpacking, UnpackingError

TEXT = b'{"code": 0, "success": true}' * 1000


def raw(content: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packing.compress(content) + packing.flush()


def unpacked(encoding: str, packed: bytes, at_a_time: int) -> bytes:
    unpacking = Unpacking.of({"content-encoding": encoding})
    assert unpacking is not None
    parts = [packed[start : start + at_a_time] for start in range(0, len(packed), at_a_time)]
    pieces = [piece for part in parts for piece in unpacking.pieces(part, 64)]
    assert max(map(len, pieces), default=0) <= 64
    return b"".join(pieces) + unpacking.end()


PACKED = [
    ("gzip", gzip.compress(TEXT)),
    (" X-GZIP ", gzip.compress(TEXT)),
    ("deflate", zlib.compress(TEXT)),
    ("deflate", raw(TEXT)),
    ("gzip", gzip.compress(TEXT[:99]) + gzip.compress(TEXT[99:])),  # in two members
]


@pytest.mark.parametrize("at_a_time", [1, 7, 1 << 16])
@pytest.mark.parametrize(("encoding", "packed"), PACKED)
def test_what_is_unpacked_is_what_was_packed_however_it_comes(
    encoding: str, packed: bytes, at_a_time: int
) -> None:
    assert unpacked(encoding, packed, at_a_time) == TEXT


@pytest.mark.parametrize(("encoding", "packed"), PACKED)
def test_what_broke_off_is_no_reply(encoding: str, packed: bytes) -> None:
    with pytest.raises(UnpackingError, match="broke off"):
        unpacked(encoding, packed[:-2], 1 << 16)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_packed_as_it_says_is_no_reply(encoding: str) -> None:
    with pytest.raises(UnpackingError, match="cannot be unpacked"):
        unpacked(encoding, b"not packed at all", 1 << 16)


def test_a_reply_without_a_body_is_one() -> None:
    assert unpacked("gzip", b"", 1) == b""


@pytest.mark.parametrize("at_a_time", [1, 1 << 16])
@pytest.mark.parametrize("padding", [b"\0\0\0", b"\0\x1f\x8b", b"more"])
def test_what_follows_the_end_is_left_alone(padding: bytes, at_a_time: int) -> None:
    assert unpacked("gzip", gzip.compress(TEXT) + padding, at_a_time) == TEXT
    assert unpacked("deflate", zlib.compress(TEXT) + padding, at_a_time) == TEXT


@pytest.mark.parametrize("headers", [{}, {"content-encoding": "identity"}, {"content-encoding": "br"}])
def test_what_is_packed_otherwise_or_not_at_all_is_left_as_it_is(headers: dict[str, str]) -> None:
    assert Unpacking.of(headers) is None
