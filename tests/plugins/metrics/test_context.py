"""Trace context: what is read of a client's, and what is made where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_metrics.otlp.context import TraceContext, attempt_span_id, context_of, parse

ID = "01a218b7-ed7c-7f92-9e38-cee911e6a1ec"


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_what_is_written_is_read(trace_id: int, span_id: int, sampled: bool) -> None:
    context = TraceContext(trace_id, span_id, 0, sampled)
    assert parse(context.traceparent) == (trace_id, span_id, sampled)


@given(st.text(max_size=80))
def test_whatever_comes_is_read_or_not_and_nothing_else(text: str) -> None:
    read = parse(text)
    assert read is None or (read[0] > 0 and read[1] > 0)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ],
)
def test_what_is_none(wrong: str | None) -> None:
    assert parse(wrong) is None
    assert context_of(ID, wrong, 1.0).parent_id == 0


def test_a_later_version_may_say_more() -> None:
    assert parse("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more") is not None


def test_ids_come_from_the_exchanges_and_differ() -> None:
    context = context_of(ID, None, 1.0)
    assert f"{context.trace_id:032x}" == ID.replace("-", "")
    ids = {context.span_id, *(attempt_span_id(context, number) for number in range(1, 25))}
    assert len(ids) == 25
    assert all(0 < each < 2**64 for each in ids)


def test_a_share_of_traces_is_kept_and_always_the_same() -> None:
    ids = [f"{at:08x}-0000-7000-8{at % 4096:03x}-{at * 2654435761 % 2**48:012x}" for at in range(2000)]
    kept = [context_of(each, None, 0.6).sampled for each in ids]
    assert kept == [context_of(each, None, 0.6).sampled for each in ids]
    assert not any(context_of(each, None, 0).sampled for each in ids)
    assert all(context_of(each, None, 1).sampled for each in ids)
