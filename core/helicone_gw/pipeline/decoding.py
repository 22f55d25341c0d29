"""Content codings of replies (RFC 9110 8.4.1): what the gateway can read, for whole bodies and for streams."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from functools import lru_cache

from helicone_gw.errors import UpstreamProtocolError

READABLE = ("gzip", "deflate")
"""Codings that can be read; JSON calls ask providers for no other."""

MAX_MEMBERS = 16
"""Members (RFC 1952 section 2.2) of one whole body; with more it counts as damaged: each costs a copy of the rest."""

PIECE = 1 << 18
"""Bytes of a stream that are decoded at once."""

_INFLATED = frozenset({"gzip", "x-gzip", "deflate"})
_ANY_HEADER = 32 + 15  # zlib's own detection of gzip and zlib headers

Decoder = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]


def inflate(body: bytes, limit: int) -> bytes:
    """The content of a gzip or zlib body, all its members; more than ``limit`` bytes say that there is too much of it.

    Raises `ValueError` for a body that is damaged or cut short.
    """
    plain = b""
    for _ in range(MAX_MEMBERS):
        inflater = zlib.decompressobj(_ANY_HEADER)
        try:
            plain += inflater.decompress(body, limit + 1 - len(plain))
        except zlib.error as problem:
            raise ValueError(str(problem)) from None
        if len(plain) > limit:
            return plain
        if not inflater.eof:
            raise ValueError("it ends in the middle")
        body = inflater.unused_data
        if not body:
            return plain
    raise ValueError(f"it has more than {MAX_MEMBERS} members")


def decode(body: bytes, encoding: str, limit: int) -> bytes | None:
    """The decoded body, or ``None``: unknown coding, damaged, or more than ``limit`` bytes."""
    if encoding in ("identity", ""):
        return body
    if encoding not in _INFLATED:
        return None
    try:
        plain = inflate(body, limit)
    except ValueError:
        return None
    return plain if len(plain) <= limit else None


def decoding(encoding: str) -> Decoder | None:
    """A function that decodes a stream of bytes, or ``None`` for an unknown coding.

    The decoded stream raises `UpstreamProtocolError` where it is damaged. One that just ends is left to its reader:
    some servers flush their events and never finish the coding.
    """
    if encoding in ("identity", ""):
        return lambda source: source
    if encoding not in _INFLATED:
        return None

    async def decoded(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        inflater = zlib.decompressobj(_ANY_HEADER)
        async for data in source:
            more = True
            while more:
                try:
                    plain = inflater.decompress(data, PIECE)
                except zlib.error:
                    raise UpstreamProtocolError(
                        f"The provider's stream is not what its content-encoding ({encoding}) says."
                    ) from None
                if inflater.eof:
                    data, inflater = inflater.unused_data, zlib.decompressobj(_ANY_HEADER)
                    more = bool(data)
                else:
                    data = inflater.unconsumed_tail
                    more = bool(data) or len(plain) == PIECE
                if plain:
                    yield plain

    return decoded


@lru_cache(maxsize=256)
def acceptable(accept_encoding: str | None) -> str:
    """The part of a client's ``Accept-Encoding`` that the gateway can read too; "identity" when nothing is left."""
    if accept_encoding is None:
        return "identity"
    kept = [
        item.strip()
        for item in accept_encoding.split(",")
        if item.partition(";")[0].strip().lower() in (*READABLE, "identity")
    ]
    return ", ".join(kept) or "identity"
