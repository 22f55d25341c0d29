"""The bars: held, missed, or not measured."""

from __future__ import annotations

from helicone_gw.bench.bars import Bar, bars
from tests.core.bench.reports import MEASURED, OURS, report, row


def found(what: str) -> Bar:
    (bar,) = [bar for bar in bars(MEASURED) if bar.what.startswith(what)]
    return bar


def test_shares_of_peers() -> None:
    portkey, litellm = [bar for bar in bars(MEASURED) if bar.what.startswith("unary-1k, CPU")]
    assert (portkey.limit, portkey.measured, portkey.holds) == ("<= 1/3", "1/4.0", True)
    assert (litellm.limit, litellm.measured, litellm.holds) == ("<= 1/20", "1/30.0", True)
    portkey, litellm = [bar for bar in bars(MEASURED) if bar.what.startswith("sse-burst")]
    assert (portkey.measured, portkey.holds) == ("1/3.4", False)
    assert (litellm.measured, litellm.holds) == ("1/85.7", False)


def test_multiples() -> None:
    assert found("pass-through").holds is True
    assert (found("unary-20k").measured, found("unary-20k").holds) == ("4.00 x", False)
    assert found("RSS").holds is True


def test_what_is_felt() -> None:
    assert (found("added p50").measured, found("added p50").holds) == ("0.80 ms", True)
    assert found("start").holds is True
    assert (found("256 paced").measured, found("256 paced").holds) == ("3", False)


def test_what_was_not_measured_neither_holds_nor_fails() -> None:
    assert (found("time to first token").measured, found("time to first token").holds) == ("not measured", None)
    assert found("no-bodies-20k").holds is None


def test_only_engines_that_were_measured_have_bars() -> None:
    assert {bar.engine for bar in bars(MEASURED)} == {"hypercorn"}
    assert bars(report(row("unary-1k", "nginx", 20.0))) == []
    assert {bar.engine for bar in bars(report(row("unary-1k", OURS, 1.0)))} == {"hypercorn"}


def test_a_peer_that_is_cheaper_is_a_multiple() -> None:
    (bar, _) = [
        bar
        for bar in bars(report(row("unary-1k", OURS, 200.0), row("unary-1k", "Portkey", 100.0)))
        if bar.what.startswith("unary-1k, CPU")
    ]
    assert (bar.measured, bar.holds) == ("2.0 x", False)


def test_the_cost_of_bad_answers_is_no_measure() -> None:
    bad = report(row("unary-1k", OURS, 200.0), row("unary-1k", "Portkey", 2000.0, bad=1))
    (bar, _) = [bar for bar in bars(bad) if bar.what.startswith("unary-1k, CPU")]
    assert (bar.measured, bar.holds) == ("not measured", None)
