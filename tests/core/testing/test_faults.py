"""The faults are faults, and the framing around them is what it says."""

import msgspec
import pytest

from helicone_gw.sse import event_data
from helicone_gw.testing.dialects import openai_chat
from helicone_gw.testing.faults import empty, html, malformed_events, malformed_json, other_line_ends, wrong_json


def test_malformed_json_is_not_json() -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(malformed_json().body)
    assert malformed_json().headers == (("Content-Type", "application/json"),)


def test_wrong_json_is_json_but_no_object() -> None:
    assert isinstance(msgspec.json.decode(wrong_json().body), list)


def test_a_proxys_page_is_html() -> None:
    assert html().status == 502
    assert html().body.startswith(b"<html>")


def test_empty_is_empty() -> None:
    assert (empty(503).status, empty(503).body, empty(503).headers) == (503, b"", ())


def test_malformed_events_stand_between_good_ones() -> None:
    good = openai_chat.stream("Hi").parts
    stream = malformed_events(*good)
    assert stream.parts[0] == good[0]
    assert stream.parts[-2] == openai_chat.DONE
    assert not stream.body.endswith(b"\n\n")
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(event_data(stream.parts[1]))


def test_line_ends_may_be_others() -> None:
    stream = openai_chat.stream("Hi")
    other = other_line_ends(stream, b"\r")
    assert b"\n" not in other.body
    assert [event_data(part) for part in other.parts] == [event_data(part) for part in stream.parts]
    assert dict(other.headers) == dict(stream.headers)
