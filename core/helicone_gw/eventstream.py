"""AWS event streams, sans-IO: bytes to frames and back (``application/vnd.amazon.eventstream``).

Source: "Amazon Event Stream Specification" of Smithy (smithy.io/2.0/aws/amazon-eventstream.html). A frame is

    total length u32 | length of headers u32 | CRC32 of these 8 bytes | headers | payload | CRC32 of all before

and a header is a name with a typed value. Numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zlib import crc32

from msgspec import Struct

CONTENT_TYPE = "application/vnd.amazon.eventstream"

MAX_HEADERS = 128 * 1024
"""Bytes of headers that one frame may have (the specification's own bound); a longer one breaks the stream."""

MAX_PAYLOAD = 24 * 1024 * 1024
"""Bytes of payload that one frame may have (the specification's own bound), where the reader sets no smaller one."""

HeaderValue = bool | int | bytes | str | datetime | UUID

_PRELUDE = struct.Struct("!III")
_CRC = struct.Struct("!I")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGERS = {2: struct.Struct("!b"), 3: struct.Struct("!h"), 4: struct.Struct("!i"), 5: struct.Struct("!q")}
_BYTES, _STRING, _TIMESTAMP, _UUID = 6, 7, 8, 9
_OVERHEAD = _PRELUDE.size + _CRC.size


class BrokenFrame(ValueError):
    """A frame that is not what its lengths and checksums say, or longer than allowed: what follows is lost.

    ``frames`` are the complete frames that came before it in the same `FrameDecoder.feed`.
    """

    def __init__(self, problem: str, frames: list[Frame] | None = None) -> None:
        super().__init__(problem)
        self.frames = frames or []


class Frame(Struct, frozen=True):
    """One message: its headers by name, and its payload as it came."""

    headers: Mapping[str, HeaderValue]
    payload: bytes

    def text(self, name: str) -> str | None:
        """The header ``name``, if it is a string (``:event-type``, ``:message-type``, ``:exception-type``, ...)."""
        value = self.headers.get(name)
        return value if isinstance(value, str) else None


class FrameDecoder:
    """Cuts a byte stream into frames, however the network cut it up; both checksums of every frame are checked.

    Args:
        max_payload: longest payload in bytes; a frame whose prelude announces a longer one raises `BrokenFrame` before
            any of it is held.
    """

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self._max_payload = max_payload
        self._held = bytearray()
        self._broken = False

    @property
    def pending(self) -> int:
        """Bytes of a frame that has begun and not ended; a stream that ends with any was cut."""
        return len(self._held)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes, in order. Raises `BrokenFrame`, and again with every call after that."""
        if self._broken:
            raise BrokenFrame("The event stream is broken already.")
        held = self._held
        held += data
        frames: list[Frame] = []
        start = 0
        try:
            while len(held) - start >= _PRELUDE.size:
                total, headers = self._prelude(held, start)
                if len(held) - start < total:
                    break
                frames.append(_read(bytes(held[start : start + total]), headers))
                start += total
        except BrokenFrame as problem:
            self._broken = True
            held.clear()
            raise BrokenFrame(str(problem), frames) from None
        del held[:start]
        return frames

    def _prelude(self, held: bytearray, start: int) -> tuple[int, int]:
        """Length of the frame at ``start`` and of its headers, checked before anything is made of them."""
        total, headers, checksum = _PRELUDE.unpack_from(held, start)
        if crc32(held[start : start + 8]) != checksum:
            raise BrokenFrame("The checksum of a frame's prelude does not fit.")
        if headers > MAX_HEADERS or total < _OVERHEAD + headers:
            raise BrokenFrame("The lengths of a frame do not fit together.")
        if total - _OVERHEAD - headers > self._max_payload:
            raise BrokenFrame(f"A frame is longer than {self._max_payload} bytes.")
        return total, headers


def encode_frame(payload: bytes, headers: Mapping[str, HeaderValue]) -> bytes:
    """A frame of this payload and these headers; whole numbers become the smallest type that holds them.

    Raises `ValueError` for names and values that the format has no room for.
    """
    encoded = b"".join(_encode_header(name, value) for name, value in headers.items())
    if len(encoded) > MAX_HEADERS or len(payload) > MAX_PAYLOAD:
        raise ValueError("the frame is longer than the format allows")
    lengths = struct.pack("!II", _OVERHEAD + len(encoded) + len(payload), len(encoded))
    frame = lengths + _CRC.pack(crc32(lengths)) + encoded + payload
    return frame + _CRC.pack(crc32(frame))


def _read(frame: bytes, headers: int) -> Frame:
    body = len(frame) - _CRC.size
    if crc32(memoryview(frame)[:body]) != _CRC.unpack_from(frame, body)[0]:
        raise BrokenFrame("The checksum of a frame does not fit.")
    end = _PRELUDE.size + headers
    return Frame(_read_headers(frame[_PRELUDE.size : end]), frame[end:body])


def _read_headers(data: bytes) -> dict[str, HeaderValue]:
    read: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name = data[at + 1 : name_end].decode()
            if not name or len(data) <= name_end or name in read:
                raise BrokenFrame("A header of a frame has no name of its own.")
            read[name], at = _read_value(data, name_end + 1, data[name_end])
    except (struct.error, UnicodeDecodeError, OverflowError):
        raise BrokenFrame("A header of a frame cannot be read.") from None
    return read


def _read_value(data: bytes, at: int, kind: int) -> tuple[HeaderValue, int]:
    if kind in (0, 1):
        return kind == 0, at
    if kind in _INTEGERS:
        number = _INTEGERS[kind]
        return int(number.unpack_from(data, at)[0]), at + number.size
    if kind == _TIMESTAMP:
        return _EPOCH + timedelta(milliseconds=_INTEGERS[5].unpack_from(data, at)[0]), at + 8
    if kind == _UUID:
        return UUID(bytes=_piece(data, at, 16)), at + 16
    if kind in (_BYTES, _STRING):
        length = struct.unpack_from("!H", data, at)[0]
        value = _piece(data, at + 2, length)
        return (value.decode() if kind == _STRING else value), at + 2 + length
    raise BrokenFrame("A header of a frame has an unknown type.")


def _piece(data: bytes, at: int, length: int) -> bytes:
    piece = data[at : at + length]
    if len(piece) != length:
        raise BrokenFrame("A header of a frame is cut short.")
    return piece


def _encode_header(name: str, value: HeaderValue) -> bytes:
    encoded = name.encode()
    if not 1 <= len(encoded) <= 255:
        raise ValueError("the name of a header has 1 to 255 bytes")
    return bytes((len(encoded),)) + encoded + _encode_value(value)


def _encode_value(value: HeaderValue) -> bytes:
    if isinstance(value, bool):
        return b"\x00" if value else b"\x01"
    if isinstance(value, int):
        for kind, number in _INTEGERS.items():
            bound = 1 << (8 * number.size - 1)
            if -bound <= value < bound:
                return bytes((kind,)) + number.pack(value)
        raise ValueError("a whole number of a header has 64 bits")
    if isinstance(value, datetime):
        return bytes((_TIMESTAMP,)) + _INTEGERS[5].pack((value - _EPOCH) // timedelta(milliseconds=1))
    if isinstance(value, UUID):
        return bytes((_UUID,)) + value.bytes
    raw = value.encode() if isinstance(value, str) else value
    if len(raw) > 0xFFFF:
        raise ValueError("a value of a header has at most 65,535 bytes")
    return bytes((_STRING if isinstance(value, str) else _BYTES,)) + struct.pack("!H", len(raw)) + raw
