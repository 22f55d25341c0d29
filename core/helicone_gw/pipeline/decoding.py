"""Content codings of replies (RFC 9110 8.4.1): what the gateway can read, for whole bodies and for streams."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

READABLE = ("gzip", "deflate")
"""Codings that can be read; JSON calls ask providers for no other."""

Decoder = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]


def _inflater(encoding: str) -> Any:
    # 32 + 15: zlib's own detection of gzip and zlib headers.
    return zlib.decompressobj(47) if encoding in ("gzip", "x-gzip", "deflate") else None


def decode(body: bytes, encoding: str, limit: int) -> bytes | None:
    """The decoded body, or ``None``: unknown coding, damaged, or more than ``limit`` bytes."""
    if encoding in ("identity", ""):
        return body
    inflater = _inflater(encoding)
    if inflater is None:
        return None
    try:
        plain: bytes = inflater.decompress(body, limit)
    except zlib.error:
        return None
    return plain if inflater.eof and not inflater.unconsumed_tail else None


def decoding(encoding: str) -> Decoder | None:
    """A function that decodes a stream of bytes, or ``None`` for an unknown coding."""
    if encoding in ("identity", ""):
        return lambda source: source
    if _inflater(encoding) is None:
        return None

    async def decoded(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        inflater = _inflater(encoding)
        async for data in source:
            plain = inflater.decompress(data)
            if plain:
                yield plain
        plain = inflater.flush()
        if plain:
            yield plain

    return decoded


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
