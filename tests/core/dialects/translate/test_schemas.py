"""JSON Schemas as providers take them."""

from __future__ import annotations

import pytest

from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.schemas import for_anthropic, object_schema


@pytest.mark.parametrize(
    ("parameters", "schema"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        ({"type": "object"}, {"type": "object", "properties": {}}),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}),
        ({"anyOf": [{}]}, {"type": "object", "anyOf": [{}]}),
    ],
)
def test_arguments_are_an_object_with_properties(parameters, schema):
    assert object_schema(parameters) == schema


def test_objects_are_closed_at_every_depth_and_properties_keep_their_names():
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "minimum": 3},
            "list": {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {}}},
            "either": {"anyOf": [{"type": "object", "properties": {}}, {"type": "string", "maxLength": 3}]},
        },
        "$defs": {"a": {"type": "object", "properties": {}}},
        "additionalProperties": True,
    }
    loss = Loss()
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    assert for_anthropic(schema, loss, "format") == {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer"},
            "list": {"type": "array", "items": closed},
            "either": {"anyOf": [closed, {"type": "string"}]},
        },
        "$defs": {"a": closed},
        "additionalProperties": False,
    }
    assert set(loss.paths) == {"format.minimum", "format.minItems", "format.maxLength"}
    assert schema["additionalProperties"] is True
