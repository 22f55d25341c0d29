"""AWS event streams: any cut gives the same frames, AWS's own library reads the same, and damage never passes."""

from __future__ import annotations

import itertools
import struct
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.eventstream import BrokenFrame, Frame, FrameDecoder, HeaderValue, encode_frame

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = st.text("abc:-XYZé", min_size=1, max_size=12)
MOMENTS = st.integers(-(10**12), 10**13).map(lambda milliseconds: EPOCH + timedelta(milliseconds=milliseconds))
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(max_size=40),
    st.text(max_size=40),
    MOMENTS,
    st.uuids(),
)
HEADERS = st.dictionaries(NAMES, VALUES, max_size=6)
FRAMES = st.lists(st.tuples(st.binary(max_size=60), HEADERS), max_size=5)
CUTS = st.lists(st.integers(0, 400), max_size=10)
EVENT = {":message-type": "event", ":event-type": "messageStop", ":content-type": "application/json"}
ONE = encode_frame(b'{"stopReason":"end_turn"}', EVENT)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def decoded(parts: list[bytes]) -> list[Frame]:
    decoder = FrameDecoder()
    return [frame for part in parts for frame in decoder.feed(part)]


def checksummed(headers: bytes, payload: bytes = b"", *, total: int | None = None) -> bytes:
    """A frame whose checksums fit whatever its headers say."""
    lengths = struct.pack("!II", 16 + len(headers) + len(payload) if total is None else total, len(headers))
    frame = lengths + struct.pack("!I", crc32(lengths)) + headers + payload
    return frame + struct.pack("!I", crc32(frame))


@given(FRAMES, CUTS)
def test_any_cut_gives_the_frames_that_were_encoded(
    frames: list[tuple[bytes, dict[str, HeaderValue]]], cuts: list[int]
) -> None:
    data = b"".join(encode_frame(payload, headers) for payload, headers in frames)
    assert decoded(pieces(data, cuts)) == [Frame(headers, payload) for payload, headers in frames]


@given(FRAMES)
def test_awss_own_library_reads_the_same(frames: list[tuple[bytes, dict[str, HeaderValue]]]) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(b"".join(encode_frame(payload, headers) for payload, headers in frames))
    theirs = [(event.payload, event.headers) for event in buffer]
    assert theirs == [(payload, {name: plain(value) for name, value in headers.items()}) for payload, headers in frames]


def plain(value: HeaderValue) -> Any:
    """What botocore makes of a value: milliseconds of a moment, the bytes of a UUID."""
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(milliseconds=1)
    return value.bytes if isinstance(value, UUID) else value


def test_a_frame_is_returned_with_its_last_byte() -> None:
    decoder = FrameDecoder()
    for position in range(len(ONE) - 1):
        assert decoder.feed(ONE[position : position + 1]) == []
        assert decoder.pending == position + 1
    (frame,) = decoder.feed(ONE[-1:])
    assert (frame.text(":event-type"), frame.payload) == ("messageStop", b'{"stopReason":"end_turn"}')
    assert decoder.pending == 0
    assert frame.text(":no-such") is None


@given(st.integers(0, len(ONE) - 1), st.integers(1, 255))
def test_no_damaged_byte_passes(position: int, change: int) -> None:
    damaged = bytearray(ONE)
    damaged[position] ^= change
    decoder = FrameDecoder()
    with pytest.raises(BrokenFrame):
        decoder.feed(bytes(damaged))
    with pytest.raises(BrokenFrame):
        decoder.feed(ONE)


def test_the_frames_before_a_broken_one_are_told_however_the_stream_was_cut() -> None:
    with pytest.raises(BrokenFrame) as caught:
        FrameDecoder().feed(ONE + ONE[:-1] + b"\x00")
    assert [frame.text(":event-type") for frame in caught.value.frames] == ["messageStop"]


def test_a_payload_that_is_too_long_is_refused_by_its_prelude_alone() -> None:
    long = encode_frame(bytes(11), {})
    decoder = FrameDecoder(max_payload=10)
    assert decoder.feed(encode_frame(bytes(10), {})) == [Frame({}, bytes(10))]
    with pytest.raises(BrokenFrame, match="longer than 10 bytes"):
        decoder.feed(long[:12])
    assert decoder.pending == 0


@pytest.mark.parametrize(
    "frame",
    [
        checksummed(b"", total=15),
        checksummed(b"\x01a\x0a"),
        checksummed(b"\x00\x00"),
        checksummed(b"\x01a"),
        checksummed(b"\x05a"),
        checksummed(b"\x01a\x00\x01a\x01"),
        checksummed(b"\x01a\x07\x00\x05ab"),
        checksummed(b"\x01a\x07\x00\x01\xff"),
        checksummed(b"\x01\xff\x00"),
        checksummed(b"\x01a\x04\x00\x00"),
        checksummed(b"\x01a\x09\x00"),
        checksummed(b"\x01a\x08\x7f\xff\xff\xff\xff\xff\xff\xff"),
        struct.pack("!III", 16 + (1 << 20), 1 << 20, crc32(struct.pack("!II", 16 + (1 << 20), 1 << 20))),
    ],
    ids=[
        "shorter than a frame",
        "unknown type",
        "empty name",
        "no type",
        "name cut short",
        "name twice",
        "value cut short",
        "value not UTF-8",
        "name not UTF-8",
        "number cut short",
        "UUID cut short",
        "moment out of range",
        "headers too long",
    ],
)
def test_frames_that_are_none(frame: bytes) -> None:
    with pytest.raises(BrokenFrame):
        FrameDecoder().feed(frame)


@given(st.binary(max_size=200), CUTS)
def test_anything_at_all_raises_nothing_else(data: bytes, cuts: list[int]) -> None:
    decoder = FrameDecoder()
    try:
        for part in pieces(data, cuts):
            decoder.feed(part)
    except BrokenFrame:
        pass


@pytest.mark.parametrize(
    ("headers", "payload"), [({"": 1}, b""), ({"a": 2**63}, b""), ({"a": "x" * 65_536}, b""), ({"n" * 256: 1}, b"")]
)
def test_what_the_format_has_no_room_for_is_not_encoded(headers: dict[str, HeaderValue], payload: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        encode_frame(payload, headers)
