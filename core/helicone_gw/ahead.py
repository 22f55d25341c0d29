"""Ahead: reading the beginning of a body without taking it from whoever is to have all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator


async def read_ahead(body: AsyncIterator[bytes], limit: int) -> tuple[bytes, AsyncIterator[bytes] | None]:
    """All of ``body``; or, where that is more than ``limit`` bytes, nothing, and an iterator over what was read and the
    rest."""
    pieces: list[bytes] = []
    size = 0
    async for piece in body:
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            return b"", over(b"".join(pieces), body)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces), None


async def over(first: bytes, rest: AsyncIterator[bytes] | None = None) -> AsyncIterator[bytes]:
    """An iterator over ``first``, and then over ``rest``."""
    if first:  # an empty piece would end a body that is sent in chunks
        yield first
    if rest is not None:
        async for piece in rest:
            yield piece
