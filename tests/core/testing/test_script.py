"""A scripted response says every byte, pause and early end of one answer."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.testing.script import End, Pause, Send, event, of_bytes, of_events, of_json

EVENTS = (b"data: 1\n\n", b"data: 22\n\n", b"data: 333\n\n")


def test_json_is_one_part_with_its_type() -> None:
    response = of_json({"a": 1}, 201, {"x-request-id": "r"})
    assert response.status == 201
    assert response.parts == (b'{"a":1}',)
    assert response.headers == (("Content-Type", "application/json"), ("x-request-id", "r"))


def test_events_are_one_part_each() -> None:
    response = of_events(*EVENTS)
    assert list(response.steps()) == [Send(each) for each in EVENTS]
    assert response.framing == "chunked"


def test_an_event_has_its_fields_and_its_blank_line() -> None:
    assert event({"a": 1}) == b'data: {"a":1}\n\n'
    assert event({"a": 1}, "message") == b'event: message\ndata: {"a":1}\n\n'
    assert event(b"[DONE]", newline=b"\r\n") == b"data: [DONE]\r\n\r\n"


def test_pace_is_between_the_parts() -> None:
    assert list(of_events(*EVENTS[:2]).paced(0.5).steps()) == [Send(EVENTS[0]), Pause(0.5), Send(EVENTS[1])]


def test_dripping_tears_events_apart() -> None:
    steps = list(of_events(b"abcde").dripped(2, 0.1).steps())
    assert steps == [Send(b"ab"), Pause(0.1), Send(b"cd"), Pause(0.1), Send(b"e")]


@pytest.mark.parametrize(
    ("place", "sent"),
    [
        ({"events": 0}, []),
        ({"events": 2}, [Send(EVENTS[0]), Send(EVENTS[1])]),
        ({"bytes": 0}, []),
        ({"bytes": 3}, [Send(b"dat")]),
        ({"bytes": len(EVENTS[0]) + 1}, [Send(EVENTS[0]), Send(b"d")]),
        ({"where": "after_head"}, []),
    ],
)
def test_a_cut_ends_where_it_says(place: dict[str, object], sent: list[Send]) -> None:
    assert list(of_events(*EVENTS).cut(**place, how="reset").steps()) == [*sent, End("reset")]  # type: ignore[arg-type]


def test_a_cut_after_everything_still_leaves_the_end_out() -> None:
    assert list(of_events(*EVENTS).cut(events=3).steps())[-1] == End("close")


@pytest.mark.parametrize("place", [{}, {"events": 4}, {"events": -1}, {"bytes": 1000}, {"events": 1, "bytes": 1}])
def test_a_cut_at_no_place_is_an_error(place: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"say one of|there are"):
        of_events(*EVENTS).cut(**place)  # type: ignore[arg-type]


def test_changing_one_leaves_the_other_as_it_was() -> None:
    first = of_json({})
    second = first.delayed(1).with_status(500).with_headers({"content-type": "text/plain"})
    assert (first.delay, first.status, len(first.headers)) == (0, 200, 1)
    assert (second.delay, second.status, second.headers) == (1, 500, (("content-type", "text/plain"),))


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(1, 7))
def test_dripping_loses_no_byte(parts: list[bytes], size: int) -> None:
    dripped = of_events(*parts).dripped(size)
    assert dripped.body == b"".join(parts)
    assert all(1 <= len(part) <= size for part in dripped.parts)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_a_compressed_stream_can_be_read_event_by_event(parts: list[bytes]) -> None:
    squeezed = of_events(*parts).gzipped()
    assert gzip.decompress(squeezed.body) == b"".join(parts)
    assert ("Content-Encoding", "gzip") in squeezed.headers
    reader = zlib.decompressobj(wbits=31)
    for part, packed in zip(parts, squeezed.parts, strict=False):
        assert reader.decompress(packed) == part


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=6), st.data())
def test_a_cut_sends_exactly_that_many_bytes(parts: list[bytes], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, sum(map(len, parts))))
    steps = list(of_events(*parts).cut(bytes=at).steps())
    assert b"".join(step.data for step in steps if isinstance(step, Send)) == b"".join(parts)[:at]
    assert steps[-1] == End("close")


def test_any_type_of_body() -> None:
    assert of_bytes(b"\x00", "audio/mpeg").headers == (("Content-Type", "audio/mpeg"),)
