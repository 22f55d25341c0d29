"""Bodies: decoded, redacted, cut, compressed, and read again."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_logging.bodies import pack, unpack
from helicone_gw_logging.record import RawBody

KEY = b"sk-proj-" + b"aB3_" * 12


@given(st.binary(max_size=2000))
def test_what_is_no_secret_comes_back_as_it_was(data: bytes) -> None:
    stored = pack(RawBody(b"." + data), (), 4096)
    assert (unpack(stored.data), stored.state) == (b"." + data, "whole")


def test_nothing_is_kept_of_an_empty_body() -> None:
    stored = pack(RawBody(b""), (), 4096)
    assert (stored.data, stored.state) == (None, "whole")
    assert unpack(None) is None


def test_a_long_body_is_cut_and_says_so() -> None:
    stored = pack(RawBody(b"x" * 5000), (), 1000)
    assert (unpack(stored.data), stored.state) == (b"x" * 1000, "truncated")
    assert pack(RawBody(b"short", cut=True), (), 1000).state == "truncated"


@given(st.integers(0, 100), st.integers(1, 120))
def test_a_limit_inside_a_key_does_not_let_half_of_it_through(before: int, limit: int) -> None:
    stored = unpack(pack(RawBody(b"." * before + b" " + KEY + b" after"), (), limit).data)
    assert stored is not None
    assert b"aB3_" not in stored


def test_an_omitted_body_is_the_model_alone() -> None:
    stored = pack(RawBody(b"", omitted=True, model="gpt-4o"), (), 1000)
    assert (json.loads(unpack(stored.data) or b""), stored.state) == ({"model": "gpt-4o"}, "omitted")
    assert json.loads(unpack(pack(RawBody(b"", omitted=True), (), 1000).data) or b"") == {"model": None}


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.compress), ("Identity", bytes)],
)
def test_compressed_bodies_are_stored_readable_and_redacted(encoding: str, encode: object) -> None:
    assert callable(encode)
    stored = pack(RawBody(encode(b"key: " + KEY), content_encoding=encoding), (), 1000)
    assert (unpack(stored.data), stored.state) == (b"key: [redacted]", "whole")


def test_a_compressed_body_that_was_captured_in_part_keeps_what_can_be_read() -> None:
    data = gzip.compress(bytes(range(256)) * 200, mtime=0)
    stored = pack(RawBody(data[: len(data) // 2], cut=True, content_encoding="gzip"), (), 100)
    assert stored.state == "truncated"
    assert (unpack(stored.data) or b"").startswith(bytes(range(50)))


def test_a_bomb_is_not_unpacked() -> None:
    stored = pack(RawBody(gzip.compress(b"a" * 50_000_000), content_encoding="gzip"), (), 1000)
    assert (len(unpack(stored.data) or b""), stored.state) == (1000, "truncated")


@pytest.mark.parametrize("encoding", ["br", "gzip", "compress", "gzip, br"])
def test_what_cannot_be_read_cannot_be_redacted_and_is_not_stored(encoding: str) -> None:
    stored = pack(RawBody(b"\x8b\x03\x80\xff\xfe" + KEY, content_encoding=encoding), (), 1000)
    assert (stored.data, stored.state) == (None, "unreadable")


def test_a_header_that_outlived_its_coding_does_not_matter() -> None:
    stored = pack(RawBody("schön ".encode() + KEY, content_encoding="br"), (), 1000)
    assert (unpack(stored.data), stored.state) == ("schön [redacted]".encode(), "whole")
