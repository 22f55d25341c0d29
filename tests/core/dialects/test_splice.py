"""Splices: the meaning changes in one member, the bytes change nowhere else."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.dialects import splice, wire_format
from helicone_gw.dialects.base import WireFormat
from helicone_gw.errors import MalformedBody

NAMES = st.sampled_from(["model", "metadata", "stream", "stream_options", "include_usage", "messages", 'a"model', "é"])
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(["model", '"model": "x"', "\\", "}", "é\u2028", ""])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
SPACE = st.sampled_from(["", "", " ", "\n  ", "\t", "\r\n"])


@st.composite
def spelled(draw: st.DrawFn, value: Any) -> str:
    """A JSON text of ``value``, with white space and escapes wherever the grammar has room."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        return text.replace("m", "\\u006d") if draw(st.integers(0, 9)) == 0 else text
    if isinstance(value, list):
        return "[" + ",".join(draw(SPACE) + draw(spelled(item)) + draw(SPACE) for item in value) + "]"
    if isinstance(value, dict):
        return draw(object_text(list(value.items())))
    return json.dumps(value)


@st.composite
def object_text(draw: st.DrawFn, pairs: list[tuple[str, Any]]) -> str:
    members = [
        draw(SPACE) + draw(spelled(name)) + draw(SPACE) + ":" + draw(SPACE) + draw(spelled(value)) + draw(SPACE)
        for name, value in pairs
    ]
    return "{" + (",".join(members) or draw(SPACE)) + "}"


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Request bodies, names given twice included."""
    pairs = draw(st.lists(st.tuples(NAMES, VALUES), max_size=6))
    return (draw(SPACE) + draw(object_text(pairs)) + draw(SPACE)).encode()


def chat() -> WireFormat:
    wire = wire_format("openai", "chat")
    assert wire is not None
    return wire


@given(bodies(), st.sampled_from(["gpt-4o", 'we"ird', "ünïcode", ""]))
def test_with_model_changes_the_model_and_nothing_else(body: bytes, model: str) -> None:
    result = chat().with_model(body, model)
    assert json.loads(result) == {**json.loads(body), "model": model}
    written = json.dumps(model, ensure_ascii=False).encode()
    old = splice.last(splice.members(body), "model")
    if old is None:
        added = b'"model":' + written
        brace = body.index(b"{") + 1
        assert result in (body[:brace] + added + body[brace:], body[:brace] + added + b"," + body[brace:])
    else:
        assert result == body[: old.value] + written + body[old.end :]


@given(bodies())
def test_members_are_what_a_json_parser_sees(body: bytes) -> None:
    found = splice.members(body)
    pairs = json.loads(body, object_pairs_hook=list)
    assert [member.name for member in found] == [name for name, _ in pairs]
    assert {member.name: json.loads(body[member.value : member.end]) for member in found} == json.loads(body)


@given(bodies(), st.frozensets(NAMES, max_size=3))
def test_without_metadata_drops_the_keys_and_then_the_empty_field(body: bytes, names: frozenset[str]) -> None:
    result = chat().without_metadata(body, names)
    expected = json.loads(body)
    metadata = expected.get("metadata")
    if isinstance(metadata, dict) and metadata.keys() & names:
        expected["metadata"] = {name: value for name, value in metadata.items() if name not in names}
        if not expected["metadata"]:
            del expected["metadata"]
    assert _meaning(json.loads(result)) == _meaning(expected)
    for member in splice.members(result):
        if member.name == "metadata" and result[member.value : member.value + 1] == b"{":
            assert not {inner.name for inner in splice.members(result, member.value)} & names


def _meaning(value: dict[str, Any]) -> dict[str, Any]:
    """A body whose metadata is empty says the same as one without."""
    return {name: item for name, item in value.items() if not (name == "metadata" and item == {})}


@given(bodies())
def test_asking_for_usage_sets_one_flag(body: bytes) -> None:
    before = json.loads(body)
    result = chat().asking_for_usage(body)
    options = before.get("stream_options")
    kept = options if isinstance(options, dict) else {}
    if before.get("stream") is not True or kept.get("include_usage") is True:
        assert result is None
    else:
        assert result is not None
        assert json.loads(result) == {**before, "stream_options": {**kept, "include_usage": True}}


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"model":"a"}', b'{"model":"new"}'),
        (b'{ "model" :\n"a" , "n": 1.0e0}', b'{ "model" :\n"new" , "n": 1.0e0}'),
        (b'{"model":"a","x":{"model":"b"}}', b'{"model":"new","x":{"model":"b"}}'),
        (b'{"x":{"model":"b"},"model":"a"}', b'{"x":{"model":"b"},"model":"new"}'),
        (b'{"x":{"model":"a"},"model":"a"}', b'{"x":{"model":"a"},"model":"new"}'),
        (b'{"x":{"model":"a"},"mod\\u0065l":"a"}', b'{"x":{"model":"a"},"mod\\u0065l":"new"}'),
        (b'{"x":["model"],"model":"a"}', b'{"x":["model"],"model":"new"}'),
        (b'{"model":"a","model":"b"}', b'{"model":"a","model":"new"}'),
        (b'{"model":"a","model":"a"}', b'{"model":"a","model":"new"}'),
        (b'{"mod\\u0065l":"a","x":{"model":"b"}}', b'{"mod\\u0065l":"new","x":{"model":"b"}}'),
        (b'{"x":"\\"model\\":1","model":null}', b'{"x":"\\"model\\":1","model":"new"}'),
        (b'{"a\\"model":"x","model":"y"}', b'{"a\\"model":"x","model":"new"}'),
        (b'{"x":"\\ud83d","model":"a"}', b'{"x":"\\ud83d","model":"new"}'),
        (b"{}", b'{"model":"new"}'),
        (b' {\n"n":1}', b' {"model":"new",\n"n":1}'),
    ],
)
def test_with_model_by_example(body: bytes, result: bytes) -> None:
    assert chat().with_model(body, "new") == result


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"metadata":{"a":"1","H":"2","b":"3"},"x":1}', b'{"metadata":{"a":"1","b":"3"},"x":1}'),
        (b'{"metadata":{"H":"2", "b":"3"}}', b'{"metadata":{"b":"3"}}'),
        (b'{"metadata":{"b":"3", "H":"2"}}', b'{"metadata":{"b":"3"}}'),
        (b'{"a":1, "metadata":{"H":"2","H":"3"}, "b":2}', b'{"a":1, "b":2}'),
        (b'{"metadata":{"H":"2"}}', b"{}"),
        (b'{"metadata":{"\\u0048":"2","b":1}}', b'{"metadata":{"b":1}}'),
        (b'{"metadata":{"H":"secret"},"metadata":{"b":1}}', b'{"metadata":{},"metadata":{"b":1}}'),
        (b'{"metadata":{"b":1},"metadata":{"H":"secret"}}', b"{}"),
        (b'{"metadata":{}}', b'{"metadata":{}}'),
        (b'{"metadata":null}', b'{"metadata":null}'),
        (b'{"x":{"metadata":{"H":1}}}', b'{"x":{"metadata":{"H":1}}}'),
    ],
)
def test_without_metadata_by_example(body: bytes, result: bytes) -> None:
    assert chat().without_metadata(body, frozenset({"H"})) == result


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"stream":true,"n":1}', b'{"stream_options":{"include_usage":true},"stream":true,"n":1}'),
        (b'{"stream":true,"stream_options":null}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (b'{"stream":true,"stream_options":{}}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (
            b'{"stream_options":{"include_obfuscation": false },"stream":true}',
            b'{"stream_options":{"include_usage":true,"include_obfuscation": false },"stream":true}',
        ),
        (
            b'{"stream":true,"stream_options":{"include_usage": false}}',
            b'{"stream":true,"stream_options":{"include_usage": true}}',
        ),
        (b'{"stream":true,"stream_options":{"include_usage":true}}', None),
        (b'{"stream":false}', None),
        (b"{}", None),
    ],
)
def test_asking_for_usage_by_example(body: bytes, result: bytes | None) -> None:
    for operation in ("chat", "completions"):
        wire = wire_format("openai", operation)
        assert wire is not None
        assert wire.asking_for_usage(body) == result


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'"x"', b'{"a"', b'{"a":', b'{"a":1', b'{"a":[}', b'{"a":"', b"{,}", b"{'a':1}"]
)
def test_what_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        splice.members(body)


@given(st.binary(max_size=60) | st.from_regex(rb"[{}\[\]\",:a\\ ]{0,40}", fullmatch=True))
def test_scanning_anything_ends_in_members_or_malformed(body: bytes) -> None:
    try:
        found = splice.members(body)
    except MalformedBody:
        return
    assert all(member.start < member.value < member.end <= len(body) for member in found)


def test_a_large_nested_body_is_spliced_in_place() -> None:
    text = "[" * 500 + "]" * 500
    body = json.dumps({"messages": [{"content": 'é{["' * 20_000}], "model": "a", "deep": 0}).encode()
    body = body.replace(b'"deep": 0', b'"deep": ' + text.encode() + b', "x": {"model": 1}')
    result = chat().with_model(body, "b")
    assert re.sub(rb'"model": "a"', b'"model": "b"', body) == result
