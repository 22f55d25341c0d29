"""When a provider wants to be asked again (RFC 9110 section 10.2.3), whatever it writes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helicone_gw import Headers
from helicone_gw.pipeline.retry_after import retry_after

NOW = 784111777.0
"""Sun, 06 Nov 1994 08:49:37 GMT, the RFC's own example."""


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"}, 60.0),
        ({"retry-after": "Sun, 06 Nov 1994 08:48:37 GMT"}, 0.0),
        ({"retry-after": "Sunday, 06-Nov-94 08:50:37 GMT"}, 60.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after-ms": "inf"}, None),
        ({"retry-after": "Sun, 06 Nov 99999999999999999999 08:50:37 GMT"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 99:50:37 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(Headers(headers), NOW) == seconds


@pytest.fixture
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize("date", ["Sun Nov  6 08:50:37 1994", "Sun, 06 Nov 1994 08:50:37 -0000"])
def test_a_date_without_a_zone_is_utc_wherever_the_gateway_runs(date: str) -> None:
    assert retry_after(Headers({"retry-after": date}), NOW) == 60.0


@given(st.text(st.characters(max_codepoint=255), max_size=40))
@example("Mon, 01 Jan 0001 00:00:00 +2359")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_nothing_that_a_provider_writes_is_a_fault(value: str) -> None:
    for name in ("retry-after", "retry-after-ms"):
        seconds = retry_after(Headers({name: value}), NOW)
        assert seconds is None or (seconds >= 0 and math.isfinite(seconds))
