"""Server-sent events: the splitter gives the same events for any cut of the input, and nothing is lost."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import sse
from helicone_gw.sse import (
    EventSplitter,
    EventTooLarge,
    encode_event,
    event_data,
    event_name,
    first_event,
    split_events,
)

PIECES = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"data: x", b"d", b": hi", b"\xef\xbb\xbf"])
STREAMS = st.lists(PIECES, max_size=24).map(b"".join)


def split_at(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def feed_all(pieces: list[bytes], limit: int = 1 << 20) -> tuple[list[bytes], bytes]:
    splitter = EventSplitter(limit)
    events = [event for piece in pieces for event in splitter.feed(piece)]
    return events, splitter.flush()


def by_the_book(data: bytes) -> list[bytes]:
    """Events of a whole input, line by line as the specification reads it, the rest last."""
    events, event = [], b""
    for line in data.splitlines(keepends=True):
        event += line
        if line in (b"\n", b"\r", b"\r\n"):
            events.append(event)
            event = b""
    return [*events, event] if event else events


@given(STREAMS, st.lists(st.integers(min_value=0, max_value=200), max_size=12))
def test_any_cut_gives_the_same_events_and_loses_nothing(data: bytes, cuts: list[int]) -> None:
    events, rest = feed_all(split_at(data, cuts))
    assert (events, rest) == feed_all([data])
    assert b"".join(events) + rest == data


@given(STREAMS)
def test_events_end_where_the_specification_ends_them(data: bytes) -> None:
    # The byte after the stream decides whether a CR at its end was a line end of its own.
    events, rest = feed_all([data + b"x"])
    assert [*events, rest] == by_the_book(data + b"x")


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\n\n"])
def test_an_event_is_returned_as_soon_as_its_blank_line_is_there(end: bytes) -> None:
    splitter = EventSplitter(100)
    event = b"data: 1" + end
    for position in range(len(event) - 1):
        assert splitter.feed(event[position : position + 1]) == []
    assert splitter.feed(event[-1:]) == [event]
    assert splitter.flush() == b""


def test_an_event_that_ends_in_a_bare_cr_waits_for_what_may_be_its_lf() -> None:
    splitter = EventSplitter(100)
    assert splitter.feed(b"data: 1\r\r") == []
    assert splitter.feed(b"data: 2\r\r") == [b"data: 1\r\r"]
    assert splitter.feed(b"\n") == [b"data: 2\r\r\n"]
    assert splitter.feed(b"\r") == []
    assert splitter.flush() == b"\r"


def test_comments_and_lone_blank_lines_are_events_of_their_own_and_a_byte_order_mark_stays() -> None:
    stream = b"\xef\xbb\xbfdata: 1\n\n: keep-alive\n\n\ndata: 2\n\n"
    assert feed_all([stream])[0] == [b"\xef\xbb\xbfdata: 1\n\n", b": keep-alive\n\n", b"\n", b"data: 2\n\n"]


@given(STREAMS, st.lists(st.integers(min_value=0, max_value=200), max_size=12), st.integers(min_value=1, max_value=16))
def test_a_long_event_raises_with_all_events_before_it_however_the_input_was_cut(
    data: bytes, cuts: list[int], limit: int
) -> None:
    splitter = EventSplitter(limit)
    events: list[bytes] = []
    within = by_the_book(data)
    pieces = split_at(data, cuts)
    problem: EventTooLarge | None = None
    fed = 0
    while problem is None and fed < len(pieces):
        try:
            events += splitter.feed(pieces[fed])
        except EventTooLarge as raised:
            problem = raised
            events += problem.events
        fed += 1
    rest = splitter.flush() + b"".join(pieces[fed:])
    if problem is None:
        assert len(rest) <= limit
    else:
        assert problem.limit == limit
        assert len(within[len(events)]) > limit
    assert all(len(event) <= limit for event in events)
    assert b"".join(events) + rest == data
    assert events == within[: len(events)]


@given(STREAMS, st.lists(st.tuples(st.integers(min_value=0, max_value=200), st.booleans()), max_size=12))
def test_events_may_be_taken_together_at_any_time(data: bytes, cuts: list[tuple[int, bool]]) -> None:
    splitter = EventSplitter(1 << 20)
    joined = b""
    ends = {0, *itertools.accumulate(map(len, by_the_book(data)))}
    cuts = sorted((cut % (len(data) + 1), together) for cut, together in cuts)
    for (start, _), (end, together) in itertools.pairwise([(0, True), *cuts, (len(data), True)]):
        piece = data[start:end]
        joined += splitter.take(piece) if together else b"".join(splitter.feed(piece))
        assert len(joined) in ends
        assert data.startswith(joined)
    rest = splitter.flush()
    assert joined + rest == data
    assert rest.lstrip(b"\n").count(b"\n\n") == 0


@given(STREAMS, st.lists(st.integers(min_value=0, max_value=200), max_size=12))
def test_events_taken_together_come_no_later_than_one_by_one(data: bytes, cuts: list[int]) -> None:
    together, each = EventSplitter(1 << 20), EventSplitter(1 << 20)
    for piece in split_at(data, cuts):
        assert together.take(piece) == b"".join(each.feed(piece))


def test_events_taken_together_are_bounded_one_by_one() -> None:
    splitter = EventSplitter(8)
    assert splitter.take(b"a\n\nb\n\nc\n\nd\n\n") == b"a\n\nb\n\nc\n\nd\n\n"
    assert splitter.take(b"1234") == b""
    with pytest.raises(EventTooLarge):
        splitter.take(b"5678\n\n")


@given(STREAMS)
def test_whole_events_come_apart_again(data: bytes) -> None:
    *events, _ = by_the_book(data + b"x")
    joined = b"".join(events)
    assert split_events(joined) == events
    left = joined
    for event in events:
        first, left = first_event(left)
        assert first == event
    assert left == b""


def test_the_first_event_is_found_without_a_look_at_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "split_events", lambda events: pytest.fail("all were split"))
    for events in (b":\r\r:\r\r", b":\n\n:\n\n"):
        assert first_event(events) == (events[:3], events[3:])
    for events in (b":\r\n\r\n", b":\r\r", b"\r"):
        assert first_event(events) == (events, b"")


def test_a_slow_drip_may_be_taken_together() -> None:
    splitter = EventSplitter(1 << 20)
    for _ in range(1000):
        assert splitter.take(b"x") == b""
    assert splitter.take(b"\n") == b""
    assert splitter.take(b"\nrest") == b"x" * 1000 + b"\n\n"
    assert splitter.flush() == b"rest"


def test_a_slow_drip_is_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    splitter = EventSplitter(1 << 20)
    starts: list[int] = []
    original = EventSplitter._end

    def spy(self: EventSplitter, buffer: bytes | bytearray, start: int, scan: int) -> int:
        starts.append(len(buffer) - scan)
        return original(self, buffer, start, scan)

    monkeypatch.setattr(EventSplitter, "_end", spy)
    for _ in range(1000):
        splitter.feed(b"xxxx")
    assert max(starts) <= 4 + 3


@pytest.mark.parametrize(
    ("event", "data", "name"),
    [
        (b'data: {"a":1}\n\n', b'{"a":1}', None),
        (b"data:no space\n\n", b"no space", None),
        (b"data:  two\n\n", b" two", None),
        (b"data: a\r\ndata: b\r\n\r\n", b"a\nb", None),
        (b"data: a\rdata\rdata: c\r\r", b"a\n\nc", None),
        (b"event: ping\ndata: {}\n\n", b"{}", "ping"),
        (b"event: one\nevent:two\ndata: x\n\n", b"x", "two"),
        (b"\xef\xbb\xbfdata: x\n\n", b"x", None),
        (b": keep-alive\n\n", b"", None),
        (b"id: 7\nretry: 10\nfoo: data: no\n\n", b"", None),
        (b"event:\ndata: event\n\n", b"event", None),
        (b"data: unfinished", b"unfinished", None),
        (b"data: \xc3\xa9\xe2\x80\xa8\x85\n\n", b"\xc3\xa9\xe2\x80\xa8\x85", None),
        (b"\n", b"", None),
    ],
)
def test_data_and_name_of_an_event(event: bytes, data: bytes, name: str | None) -> None:
    assert event_data(event) == data
    assert event_name(event) == name


@given(st.binary(max_size=40), st.none() | st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1))
def test_what_is_encoded_is_read_back(data: bytes, name: str | None) -> None:
    event = encode_event(data, name)
    assert feed_all([event]) == ([event], b"")
    assert event_data(event) == data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert event_name(event) == name


def test_a_name_cannot_smuggle_a_line() -> None:
    with pytest.raises(ValueError, match="line end"):
        encode_event(b"x", "a\ndata: y")
