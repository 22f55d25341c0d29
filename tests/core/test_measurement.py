"""Measurements: figures with names, kinds and labels, from counters as they are."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec import Struct

from helicone_gw import Measurement, measured


@dataclass(slots=True)
class Counted:
    done: int = 3
    waiting: int = 1
    full: bool = True
    hidden: int = 5
    name: str = "pool"


class Summed(Struct):
    seconds: float = 1.5


def test_every_number_is_one_of_them_and_nothing_else() -> None:
    figures = list(measured("Po-ol", Counted(), "Work", gauges=("waiting",), without=("hidden",), labels={"pool": "a"}))
    assert figures == [
        Measurement("po_ol_done", "counter", "Work: done.", 3, {"pool": "a"}),
        Measurement("po_ol_waiting", "gauge", "Work: waiting.", 1, {"pool": "a"}),
        Measurement("po_ol_full", "counter", "Work: full.", 1, {"pool": "a"}),
    ]
    assert type(figures[-1].value) is int


def test_structs_are_counters_too() -> None:
    assert [(figure.name, figure.value) for figure in measured("pool", Summed(), "Work")] == [("pool_seconds", 1.5)]


def test_what_has_no_fields_is_refused() -> None:
    with pytest.raises(TypeError, match="dict is neither"):
        list(measured("pool", {}, "Work"))
