"""Trace: a client's trace is on its row, and what is malformed is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from helicone_gw import Headers
from helicone_gw.exchange import Exchange
from helicone_gw_logging.record import record
from helicone_gw_logging.tables import REQUEST
from helicone_gw_logging.trace import trace_of
from helicone_gw_logging.values import arranged
from helicone_gw_metrics.otlp.context import context_of
from tests.plugins.logging.journaling import named

ID = "0199bb1e-7a10-7cc0-8d7e-0123456789ab"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def row_of(finished: Exchange) -> dict[str, Any]:
    return named(REQUEST, arranged(record(finished).facts).request)


def test_it_is_the_one_that_the_spans_of_metrics_belong_to(exchange: Callable[..., Exchange]) -> None:
    field = f"00-{TRACE}-{SPAN}-01"
    finished = exchange(headers={"traceparent": field})
    row, context = row_of(finished), context_of(finished.id, field, 1.0)
    assert row["trace_id"] == f"{context.trace_id:032x}" == TRACE
    assert row["span_id"] == f"{context.span_id:016x}"
    assert row["parent_span_id"] == f"{context.parent_id:016x}" == SPAN


def test_without_one_there_is_none(exchange: Callable[..., Exchange]) -> None:
    row = row_of(exchange())
    assert (row["trace_id"], row["span_id"], row["parent_span_id"]) == (None, None, None)


@pytest.mark.parametrize(
    "field",
    [
        "",
        "garbage",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
    ],
)
def test_what_is_malformed_counts_as_none(field: str) -> None:
    assert set(trace_of(ID, Headers({"traceparent": field}))) == {None}


def test_a_later_version_may_say_more() -> None:
    assert trace_of(ID, Headers({"traceparent": f"01-{TRACE}-{SPAN}-01-more"}))[0] == TRACE
