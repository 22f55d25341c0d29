"""Ahead: whoever reads the beginning of a body leaves all of it to the next."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from helicone_gw.ahead import over, read_ahead


async def body(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.mark.parametrize("pieces", [(), (b"abc",), (b"a", b"bc"), (b"abcd",)])
async def test_what_is_not_longer_is_read_whole(pieces: tuple[bytes, ...]) -> None:
    assert await read_ahead(body(*pieces), 4) == (b"".join(pieces), None)


async def test_of_what_is_longer_nothing_is_lost() -> None:
    read, rest = await read_ahead(body(b"ab", b"cde", b"f"), 4)
    assert read == b""
    assert rest is not None
    assert [piece async for piece in rest] == [b"abcde", b"f"]


@pytest.mark.parametrize(("first", "pieces"), [(b"", []), (b"ab", [b"ab"])])
async def test_what_was_read_whole_goes_on_without_an_empty_piece(first: bytes, pieces: list[bytes]) -> None:
    assert [piece async for piece in over(first)] == pieces
