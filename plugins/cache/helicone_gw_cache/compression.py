"""Compression: entries as bytes and back, small ones as they are, large ones as a zstd frame (RFC 8878).

Layout: one byte of magic, one for the version, one that says whether the rest is compressed, the CRC-32 of the rest in
four bytes (big-endian), the rest: an `Entry` in MessagePack.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

import msgspec
import zstandard

from helicone_gw_cache.entry import Entry

VERSION: Final = 1
"""The layout, and the fields of `Entry`: what another version wrote counts as absent."""

_MAGIC: Final = 0xC5
_HEAD: Final = 7
_PLAIN, _ZSTD = 0, 1
_THREAD_ABOVE: Final = 256 << 10
_SAMPLE: Final = 4096
_SAMPLE_FRAMES: Final = 64
_SLACK: Final = 64 << 10  # names and ids, which the size of an entry does not count one by one
# The fastest: streams shrink to a twentieth of their size; the usual level takes half as long again and gains little.
_LEVEL: Final = 1


def shrinks(entry: Entry, times: int) -> bool:
    """Whether compression would make ``entry`` so many times smaller, as its first frames tell."""
    sample = b"".join(entry.frames[:_SAMPLE_FRAMES])[:_SAMPLE]
    return len(zstandard.ZstdCompressor(level=_LEVEL).compress(sample)) * times <= len(sample)


class Codec:
    """Writes entries, and reads them in one thread at a time.

    ``compress_above``: bytes from which an encoded entry is compressed. ``max_size``: no entry that decodes to more
    bytes is read, whoever wrote it.
    """

    def __init__(self, compress_above: int, max_size: int) -> None:
        self._compress_above = compress_above
        self._max_size = max_size + _SLACK
        self._decoder = msgspec.msgpack.Decoder(Entry)
        self._decompressor = zstandard.ZstdDecompressor()

    def encode(self, entry: Entry) -> bytes:
        """``entry`` as bytes. Threads may call it side by side."""
        body = msgspec.msgpack.encode(entry)
        kind = _PLAIN
        if len(body) > self._compress_above:
            body = zstandard.ZstdCompressor(level=_LEVEL).compress(body)
            kind = _ZSTD
        return bytes((_MAGIC, VERSION, kind)) + zlib.crc32(body).to_bytes(4, "big") + body

    async def encode_aside(self, entry: Entry) -> bytes:
        """``entry`` as bytes, made in a thread when that takes longer than a thread costs."""
        if entry.size > _THREAD_ABOVE:
            return await asyncio.to_thread(self.encode, entry)
        return self.encode(entry)

    def decode(self, data: bytes) -> Entry | None:
        """What `encode` was given; ``None`` when ``data`` is torn, of another version, or anything else."""
        if len(data) < _HEAD or data[0] != _MAGIC or data[1] != VERSION:
            return None
        kind, body = data[2], data[_HEAD:]
        if zlib.crc32(body) != int.from_bytes(data[3:_HEAD], "big"):
            return None
        try:
            if kind == _ZSTD:
                if not 0 <= zstandard.frame_content_size(body) <= self._max_size:
                    return None
                body = self._decompressor.decompress(body)
            elif kind != _PLAIN or len(body) > self._max_size:
                return None
            return self._decoder.decode(body)
        except (msgspec.DecodeError, zstandard.ZstdError, UnicodeDecodeError):
            return None
