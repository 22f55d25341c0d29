"""Labels: a bounded set of values, whatever clients and providers say."""

from __future__ import annotations

from helicone_gw_metrics.labels import OTHER, Label


def test_values_have_a_place_until_there_is_none() -> None:
    label = Label("model", 2)
    assert [label.of(value) for value in ("a", "b", "c", "a", "")] == ["a", "b", OTHER, "a", ""]
    assert label.overflowed == 1


def test_what_is_no_name_has_none() -> None:
    label = Label("model", 10)
    assert label.of("x" * 129) == OTHER
    assert label.of("\ud800") == OTHER
    assert label.of("größe") == "größe"
    assert label.overflowed == 2
