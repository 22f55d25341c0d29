"""Entries and their encoded form: what is written is read, and anything else is absent."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from helicone_gw import Usage
from helicone_gw_cache import compression
from helicone_gw_cache.compression import Codec
from helicone_gw_cache.entry import Entry
from tests.plugins.cache.making import an_entry

ROOM = 1 << 20

counts = st.none() | st.integers(0, 2**62)
times = st.floats(0, 1e11)
entries = st.builds(
    Entry,
    key=st.text(max_size=80),
    status=st.integers(100, 599),
    headers=st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=60)), max_size=5).map(tuple),
    frames=st.lists(st.binary(max_size=3000), max_size=8).map(tuple),
    gaps_ms=st.lists(st.integers(0, 2**40), max_size=8).map(tuple),
    streamed=st.booleans(),
    dialect=st.sampled_from(["openai", "anthropic", "gemini"]),
    operation=st.text(max_size=20),
    provider=st.none() | st.text(max_size=20),
    model=st.none() | st.text(max_size=20),
    stop_reason=st.none() | st.text(max_size=20),
    usage=st.none() | st.builds(Usage, input_tokens=counts, output_tokens=counts, service_tier=st.none() | st.text()),
    cost_nano_usd=counts,
    request_id=st.text(max_size=40),
    latency_ms=st.integers(0, 2**40),
    organization=st.text(max_size=20),
    owner=st.text(max_size=20),
    stored_at=times,
    expires_at=times,
    stale_until=times,
)


@given(entries, st.sampled_from([1, 1000, ROOM]))
def test_what_was_encoded_is_decoded(entry: Entry, compress_above: int) -> None:
    codec = Codec(compress_above, ROOM)
    assert codec.decode(codec.encode(entry)) == entry


def test_what_is_ready_of_an_entry_is_stored_nowhere() -> None:
    codec, entry = Codec(1000, ROOM), an_entry()
    before = codec.encode(entry)
    assert entry.ready is entry.ready
    assert codec.encode(entry) == before
    assert entry == an_entry()


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    assert Codec(100, ROOM).decode(data) is None


@given(st.data(), st.sampled_from([1, ROOM]))
def test_torn_and_damaged_bytes_are_absent(data: st.DataObject, compress_above: int) -> None:
    codec = Codec(compress_above, ROOM)
    whole = codec.encode(an_entry())
    assert codec.decode(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None
    position = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[position] ^= 1 << data.draw(st.integers(0, 7))
    assert codec.decode(bytes(changed)) is None
    assert codec.decode(whole + b"x") is None


def test_another_versions_bytes_are_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = Codec(100, ROOM)
    with monkeypatch.context() as later:
        later.setattr(compression, "VERSION", compression.VERSION + 1)
        of_tomorrow = codec.encode(an_entry())
        assert codec.decode(of_tomorrow) == an_entry()
    assert codec.decode(of_tomorrow) is None


def test_large_entries_are_compressed_and_small_ones_are_not() -> None:
    events = tuple(b'data: {"choices":[{"index":0,"delta":{"content":"word %d"}}]}\n\n' % n for n in range(100))
    stream = an_entry(frames=events, gaps_ms=(7,) * 100, streamed=True)
    assert len(Codec(1000, ROOM).encode(stream)) < len(b"".join(events)) / 5
    assert b"word 42" in Codec(ROOM, ROOM).encode(stream)
    assert b"Hello!" in Codec(1000, ROOM).encode(an_entry())


def test_nothing_is_unpacked_to_more_than_the_bound() -> None:
    bomb = Codec(1, 64 << 20).encode(an_entry(frames=(bytes(8 << 20),)))
    assert len(bomb) < 10_000
    assert Codec(1, ROOM).decode(bomb) is None
    assert Codec(1, 16 << 20).decode(bomb) is not None


def test_a_large_entry_is_encoded_aside_to_the_same_bytes() -> None:
    large = an_entry(frames=(bytes(range(256)) * 4096,))
    codec = Codec(1, 4 << 20)
    assert asyncio.run(codec.encode_aside(large)) == codec.encode(large)


def test_its_size_is_no_less_than_what_it_holds() -> None:
    small = an_entry()
    longer = replace(small, frames=(b"x" * 5000, *small.frames), headers=(*small.headers, (b"a" * 10, b"b" * 90)))
    assert longer.size >= small.size + 5100
    assert small.size > sum(map(len, small.frames))


def test_its_representation_shows_no_answer() -> None:
    assert "Hello" not in repr(an_entry())
