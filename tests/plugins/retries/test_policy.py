"""Policies: what is retried, how often, and after which wait."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helicone_gw import (
    Headers,
    Request,
    Response,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamStatus,
    UpstreamStreamError,
    UpstreamTimeout,
)
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw_retries.config import RetriesConfig, status_range
from helicone_gw_retries.policy import Policies, Policy, client_patience, repeatable


def policies(**config: Any) -> Policies:
    return Policies(RetriesConfig.model_validate(config))


def request(method: str = "POST", model: str | None = "gpt-4o", **headers: str) -> Request:
    fields = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return Request(
        method, "/v1/chat/completions", "", fields, b"{}", "openai", "chat", parse_helicone_headers(fields), model=model
    )


def status(code: int, **headers: str) -> UpstreamStatus:
    return UpstreamStatus(Response(code, Headers({name.replace("_", "-"): value for name, value in headers.items()})))


def of(headers: dict[str, str], route: str = "", model: str = "gpt-4o", **config: Any) -> Policy:
    return policies(**config).of(route, model, parse_helicone_headers(Headers(headers)))


@pytest.mark.parametrize(
    ("code", "retried"),
    [(429, True), (500, True), (529, True), (599, True), (400, False), (401, False), (408, False), (409, False)],
)
def test_what_is_retried_if_nothing_else_is_said(code: int, retried: bool) -> None:
    assert policies().default.retries(status(code), request()) is retried
    error_in_a_stream = UpstreamStreamError("no", event=b"", status=code)
    assert policies().default.retries(error_in_a_stream, request()) is retried


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("connect", UpstreamConnectError("no")),
        ("timeout", UpstreamTimeout("no")),
        ("broken", UpstreamProtocolError("no")),
    ],
)
def test_failures_without_a_status_are_chosen_by_kind(kind: str, error: UpstreamError) -> None:
    assert policies().default.retries(error, request())
    assert policies(transport=[kind]).default.retries(error, request())
    others = [each for each in ("connect", "timeout", "broken") if each != kind]
    assert not policies(transport=others).default.retries(error, request())


def test_a_provider_may_know_better_than_its_status() -> None:
    assert not policies().default.retries(status(500, x_should_retry="false"), request())
    assert policies().default.retries(status(409, x_should_retry="true"), request())


@pytest.mark.parametrize(("entry", "bounds"), [("5xx", (500, 599)), ("500-504", (500, 504)), (429, (429, 429))])
def test_statuses_are_written_in_three_ways(entry: int | str, bounds: tuple[int, int]) -> None:
    assert status_range(entry) == bounds


@pytest.mark.parametrize("entry", ["", "6xx", "200", "500-", "504-500", "abc", 200, 600, True, "500-504-505"])
def test_other_statuses_are_refused(entry: Any) -> None:
    with pytest.raises(ValidationError):
        RetriesConfig.model_validate({"statuses": [entry]})


def test_a_post_that_makes_something_is_repeated_only_when_it_cannot_have_begun() -> None:
    policy, batch = policies().default, request(model=None)
    assert not repeatable(batch)
    assert repeatable(request("GET", None))
    assert [code for code in (429, 500, 502, 503, 529) if policy.retries(status(code), batch)] == [429, 503, 529]
    assert policy.retries(UpstreamConnectError("no"), batch)
    assert not policy.retries(UpstreamTimeout("no"), batch)
    assert not policy.retries(UpstreamProtocolError("no"), batch)


def test_helicones_headers_go_before_the_configuration() -> None:
    headers = {
        "Helicone-Retry-Enabled": "true",
        "Helicone-Retry-Num": "3",
        "Helicone-Retry-Factor": "1.5",
        "Helicone-Retry-Min-Timeout": "250",
        "Helicone-Retry-Max-Timeout": "4000",
    }
    policy = of(headers, num=9)
    assert (policy.enabled, policy.num, policy.factor) == (True, 3, 1.5)
    assert (policy.min_timeout, policy.max_timeout) == (0.25, 4.0)


def test_helicones_defaults() -> None:
    policy = of({"Helicone-Retry-Enabled": "true"})
    assert (policy.num, policy.factor, policy.min_timeout, policy.max_timeout) == (5, 2.0, 1.0, 10.0)


def test_only_true_enables_and_false_disables() -> None:
    assert not of({}).enabled
    assert not of({"Helicone-Retry-Num": "3"}).enabled
    assert not of({"Helicone-Retry-Enabled": "false"}, enabled=True).enabled
    assert not of({"Helicone-Retry-Enabled": "yes"}).enabled
    assert of({}, enabled=True).enabled


def test_a_number_without_enabling_changes_nothing() -> None:
    assert of({"Helicone-Retry-Num": "3"}, enabled=True, num=1).num == 1


def test_routes_and_models_have_policies_of_their_own() -> None:
    routes = {"fast": {"num": 0}, "gpt-4o*": {"num": 1, "statuses": [500], "transport": []}, "*": {"enabled": False}}
    assert of({}, "fast", "gpt-4o", enabled=True, routes=routes).num == 0
    special = of({}, "", "gpt-4o-mini", enabled=True, routes=routes)
    assert (special.num, special.statuses, special.transport) == (1, ((500, 500),), frozenset())
    assert not of({}, "", "claude", enabled=True, routes=routes).enabled


@pytest.mark.parametrize("routes", [{}, {"a": {"max_timeout": 0.5}}])
def test_waits_must_be_able_to_grow(routes: dict[str, Any]) -> None:
    config = {"min_timeout": 1} if routes else {"min_timeout": 11}
    with pytest.raises(ValidationError, match="longer than"):
        RetriesConfig.model_validate({**config, "routes": routes})


@settings(deadline=None)
@given(
    retry=st.integers(1, 1000),
    wished=st.none() | st.floats(0, 60),
    jitter=st.floats(0, 1),
    factor=st.floats(1, 100),
    low=st.floats(0, 10),
)
def test_waits_keep_their_bounds(retry: int, wished: float | None, jitter: float, factor: float, low: float) -> None:
    policy = Policy(True, 5, factor, low, 10.0, (), frozenset())
    wait = policy.wait(retry, wished, lambda: jitter)
    if wished is not None and wished > 10:
        assert wait is None
    else:
        assert wait is not None
        assert (wished or 0) <= wait <= 10
        if retry == 1:
            assert wait <= max(low, wished or 0)


def test_full_jitter_grows_by_the_factor() -> None:
    policy = policies(min_timeout=1, max_timeout=10, factor=2).default
    assert [policy.wait(retry, None, lambda: 1.0) for retry in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, 10]
    assert policy.wait(3, None, lambda: 0.0) == 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"x_stainless_timeout": "600"}, 600),
        ({"x_stainless_timeout": "600", "x_stainless_read_timeout": "20.5"}, 20.5),
        ({"x_stainless_read_timeout": "NOT_GIVEN"}, None),
        ({"x_stainless_timeout": "0"}, None),
        ({"x_stainless_timeout": "nan"}, None),
        ({"x_stainless_timeout": "inf"}, None),
    ],
)
def test_how_long_the_client_waits(headers: dict[str, str], seconds: float | None) -> None:
    assert client_patience(request(**headers)) == seconds
