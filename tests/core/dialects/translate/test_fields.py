"""Fields: every one is checked, null counts as absent, and what nobody took is known."""

from __future__ import annotations

import pytest

from helicone_gw.dialects.translate.fields import Fields, only
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.errors import MalformedBody

VALUE = {"text": "a", "number": 1.5, "whole": 3.0, "flag": True, "object": {"a": 1}, "array": [{"b": 2}], "null": None}


def test_each_kind():
    fields = Fields(VALUE)
    assert (fields.text("text"), fields.number("number"), fields.whole("whole"), fields.flag("flag")) == (
        "a",
        1.5,
        3,
        True,
    )
    assert fields.mapping("object") == {"a": 1}
    assert [each.whole("b") for each in fields.objects("array")] == [2]
    assert fields.texts("text") == ("a",)
    assert fields.any("missing", "text") == "a"
    for take in (fields.text, fields.number, fields.whole, fields.flag, fields.object, fields.mapping, fields.any):
        assert take("null") is None
        assert take("missing") is None
    assert fields.array("null") == []
    assert fields.texts("null") == ()


@pytest.mark.parametrize(
    ("take", "name"),
    [
        ("text", "number"),
        ("number", "flag"),
        ("whole", "number"),
        ("flag", "text"),
        ("object", "array"),
        ("mapping", "text"),
        ("array", "object"),
        ("texts", "array"),
        ("needed", "null"),
    ],
)
def test_another_kind_is_refused_by_its_path(take, name):
    with pytest.raises(MalformedBody, match=rf"'outer\.{name}'"):
        getattr(Fields(VALUE, "outer"), take)(name)


def test_what_nobody_took_is_lost():
    fields = Fields(VALUE, "outer")
    fields.text("text")
    fields.ignore("number", "whole")
    loss = Loss()
    fields.lose(loss)
    assert fields.rest().keys() == {"flag", "object", "array"}
    assert loss.paths == ("outer.flag", "outer.object", "outer.array")


def test_what_is_no_object():
    with pytest.raises(MalformedBody, match="'outer'"):
        Fields([], "outer")
    with pytest.raises(MalformedBody, match="The request body must be an object"):
        Fields(7)


def test_only_what_is_not_none_in_its_order():
    assert list(only(b=1, a=None, c=False).items()) == [("b", 1), ("c", False)]
