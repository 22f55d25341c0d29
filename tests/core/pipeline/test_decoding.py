"""Content codings of replies: whole bodies and streams, damage included."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import UpstreamProtocolError
from helicone_gw.pipeline.decoding import acceptable, decode, decoding
from helicone_gw.testing import run_virtual

CODINGS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("coding", [*CODINGS, "identity", ""])
@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_a_whole_body(coding: str, size: int) -> None:
    plain = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    encoded = CODINGS.get(coding, lambda data: data)(plain)
    assert decode(encoded, coding, 1 << 20) == plain


def test_a_body_as_large_as_allowed_is_read_and_a_larger_one_is_not() -> None:
    assert decode(gzip.compress(b"x" * 1000, mtime=0), "gzip", 1000) == b"x" * 1000
    assert decode(gzip.compress(b"x" * 1001, mtime=0), "gzip", 1000) is None
    assert decode(gzip.compress(b"\0" * (64 << 20)), "gzip", 1000) is None


def test_a_body_of_several_members_is_read_whole() -> None:
    two = gzip.compress(b"one, ") + gzip.compress(b"two", mtime=0)
    assert decode(two, "gzip", 1000) == b"one, two"
    assert decode(two, "gzip", 7) is None


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"plain text", "gzip"),
        (gzip.compress(b"x" * 1000, mtime=0)[:-4], "gzip"),
        (b"", "gzip"),
        (gzip.compress(b"x", mtime=0) + b"rubbish", "gzip"),
        (b"x", "br"),
        (b"x", "gzip, gzip"),
    ],
)
def test_what_cannot_be_read_is_nothing(body: bytes, coding: str) -> None:
    assert decode(body, coding, 1 << 20) is None


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def read(data: bytes, coding: str, size: int) -> bytes:
    decoder = decoding(coding)
    assert decoder is not None
    return b"".join([piece async for piece in decoder(pieces(data, size))])


@given(st.lists(st.binary(max_size=200), max_size=5), st.integers(1, 50), st.sampled_from(sorted(CODINGS)))
def test_a_stream_however_it_is_torn(parts: list[bytes], size: int, coding: str) -> None:
    plain = b"".join(parts)
    assert run_virtual(read(CODINGS[coding](plain), coding, size)) == plain


async def test_a_stream_of_several_members() -> None:
    members = [gzip.compress(b"data: %d\n\n" % number, mtime=0) for number in range(3)]
    for size in (1, 7, 1000):
        assert await read(b"".join(members), "gzip", size) == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


async def test_every_event_is_there_as_soon_as_its_bytes_are() -> None:
    squeeze = zlib.compressobj(wbits=31)
    flushed = [squeeze.compress(b"data: %d\n\n" % n) + squeeze.flush(zlib.Z_SYNC_FLUSH) for n in range(3)]
    given_out = 0

    async def source() -> AsyncIterator[bytes]:
        nonlocal given_out
        for piece in flushed:
            given_out += 1
            yield piece

    decoder = decoding("gzip")
    assert decoder is not None
    events = decoder(source())
    for number in range(3):
        assert await anext(events) == b"data: %d\n\n" % number
        assert given_out == number + 1


@pytest.mark.parametrize("size", [5, 1000])
async def test_a_damaged_stream_is_the_providers_fault(size: int) -> None:
    with pytest.raises(UpstreamProtocolError, match="gzip"):
        await read(b"data: not compressed at all\n\n", "gzip", size)


def test_only_known_codings_of_a_stream_can_be_read() -> None:
    assert decoding("br") is None
    assert decoding("gzip, br") is None


@pytest.mark.parametrize(
    ("asked", "passed"),
    [
        (None, "identity"),
        ("", "identity"),
        ("*", "identity"),
        ("br", "identity"),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip, deflate"),
        ("br;q=1.0, GZIP;q=0.5, identity;q=0", "GZIP;q=0.5, identity;q=0"),
    ],
)
def test_providers_are_asked_for_nothing_that_the_gateway_cannot_read(asked: str | None, passed: str) -> None:
    assert acceptable(asked) == passed
