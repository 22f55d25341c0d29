"""Errors in the client's dialect, and what every answer says of itself."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import (
    Attempt,
    AuthenticationFailed,
    BadRequest,
    Cost,
    Exchange,
    GatewayError,
    Headers,
    InternalError,
    PermissionDenied,
    Request,
    Response,
    Target,
    TooManyRequests,
    UpstreamConnectError,
    UpstreamStatus,
)
from helicone_gw.helicone import EMPTY, parse_helicone_headers
from helicone_gw.pipeline.rendering import nano_dollars, outcome_headers, render_error

A, B = Target("openai", "a"), Target("groq", "b")


def exchange(dialect: str = "openai", model: str | None = "asked", **headers: str) -> Exchange:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    helicone = parse_helicone_headers(Headers(fields)) if fields else EMPTY
    request = Request("POST", "/v1/x", "", Headers(), b"{}", dialect, "chat", helicone, model=model)
    return Exchange("the-id", request, 100.0)


def attempted(one: Exchange, *attempts: tuple[Target, GatewayError | None]) -> Exchange:
    for number, (target, error) in enumerate(attempts, 1):
        status = error.status if isinstance(error, UpstreamStatus) else None
        one.attempts.append(Attempt(number, target, 100.0, ended_at=101.0, status=status, error=error))
    return one


def status(code: int, **headers: str) -> UpstreamStatus:
    fields = {"content-type": "text/plain", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return UpstreamStatus(Response(code, Headers(fields), b"the provider's own words"))


def said(code: int, message: str, **headers: str) -> UpstreamStatus:
    error = status(code, **headers)
    body = json.dumps({"error": {"message": message, "type": "x"}}).encode()
    return UpstreamStatus(error.response.replace(body=body))


def test_one_target_of_the_same_dialect_speaks_for_itself() -> None:
    error = status(429, retry_after="7")
    answer = render_error(attempted(exchange(), (A, status(500)), (A, error)), error, same_dialect=True)
    assert answer is error.response


def test_another_dialect_is_told_in_its_own_words_with_what_sdks_act_on() -> None:
    error = status(429, retry_after="7", x_request_id="req_1", x_secret="no")
    answer = render_error(attempted(exchange("anthropic"), (A, error)), error, same_dialect=False)
    assert answer.status == 429
    assert answer.headers.get("retry-after") == "7"
    assert answer.headers.get("x-request-id") == "req_1"
    assert "x-secret" not in answer.headers
    body = answer.json()
    assert body["type"] == "error"
    assert body["request_id"] == "the-id"
    assert "the provider's own words" not in json.dumps(body)


def test_several_targets_are_listed() -> None:
    last = UpstreamConnectError("groq cannot be reached.")
    answer = render_error(attempted(exchange(), (A, status(503)), (B, last)), last, same_dialect=True)
    assert answer.status == 502
    assert answer.json()["error"]["details"] == [
        {"source": "openai/a", "statusCode": 503, "type": "upstream_status", "message": "The provider answered 503."},
        {
            "source": "groq/b",
            "statusCode": 502,
            "type": "upstream_unreachable",
            "message": "groq cannot be reached.",
        },
    ]


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [(500, 401, 500), (500, 404, 500), (429, 403, 429), (500, 429, 429), (500, 400, 400), (401, 401, 401)],
)
def test_the_status_is_the_last_ones_unless_it_speaks_of_a_fallbacks_own_configuration(
    first: int, last: int, shown: int
) -> None:
    error = status(last)
    assert render_error(attempted(exchange(), (A, status(first)), (B, error)), error, same_dialect=True).status == shown


def test_where_the_primary_is_told_of_it_speaks_for_itself_and_every_provider_in_its_own_words() -> None:
    slow, wrong = said(429, "Slow down.", retry_after="7"), said(401, "Who are you?", retry_after="9")
    answer = render_error(attempted(exchange(), (A, slow), (B, wrong)), wrong, same_dialect=True)
    assert (answer.status, answer.headers.get("retry-after")) == (429, "7")
    error = answer.json()["error"]
    assert (error["message"], error["code"]) == ("Slow down.", "upstream_status")
    assert [(each["statusCode"], each["message"]) for each in error["details"]] == [
        (429, "Slow down."),
        (401, "Who are you?"),
    ]


@pytest.mark.parametrize(
    ("refused", "shown"),
    [
        (BadRequest("It cannot be carried there.", code="translation_loss"), 400),
        (AuthenticationFailed("There is no credential for it.", code="provider_key_not_found"), 503),
    ],
)
def test_what_kept_the_gateway_from_asking_a_fallback_hides_no_attempt(refused: GatewayError, shown: int) -> None:
    answer = render_error(attempted(exchange(), (A, status(503)), (B, refused)), refused, same_dialect=True)
    assert answer.status == shown
    details = [(each["source"], each["type"]) for each in answer.json()["error"]["details"]]
    assert details == [("openai/a", "upstream_status"), ("groq/b", refused.code)]


def test_a_refusal_carries_its_headers_and_details_and_no_attempts() -> None:
    error = TooManyRequests("slow down", headers={"Retry-After": "3"}, details={"limit": 5})
    answer = render_error(attempted(exchange(), (A, status(500)), (B, status(500))), error, same_dialect=True)
    assert answer.status == 429
    assert answer.headers.get("retry-after") == "3"
    assert answer.json()["error"]["details"] == {"limit": 5}
    assert answer.headers.get("content-type") == "application/json"


def told(one: Exchange, now: float = 102.0, *, unary: bool = True) -> dict[str, str]:
    fields = outcome_headers(one, now, unary=unary)
    return {name.decode(): value.decode("latin-1") for name, value in fields}


def test_an_answer_says_who_answered_and_what_it_cost() -> None:
    one = attempted(exchange(), (A, None))
    one.provider, one.model, one.cost = "openai", "a-2024", Cost(1_500)
    one.headers["Helicone-Cache"] = "MISS"
    assert told(one, 101.25) == {
        "helicone-id": "the-id",
        "helicone-status": "success",
        "helicone-attempts": "1",
        "helicone-provider": "openai",
        "helicone-model": "a-2024",
        "helicone-cost": "0.0000015",
        "helicone-overhead-ms": "250.00",
        "helicone-cache": "MISS",
    }


def test_an_unknown_cost_is_not_said_and_a_streams_is_not_known_yet() -> None:
    one = exchange()
    assert "helicone-cost" not in told(one)
    one.cost = Cost(0)
    assert told(one)["helicone-cost"] == "0"
    assert "helicone-cost" not in told(one, unary=False)


def test_overhead_never_counts_the_provider_and_is_never_negative() -> None:
    one = exchange()
    one.attempts.append(Attempt(1, A, 100.5))
    assert told(one, 103.0)["helicone-overhead-ms"] == "500.00", "an attempt still under way counts until now"
    one.attempts[0].ended_at = 110.0
    assert told(one, 103.0)["helicone-overhead-ms"] == "0.00", "the wall clock may have been set back"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "success"),
        (status(500), "success"),
        (TooManyRequests("x"), "success"),
        (UpstreamConnectError("x"), "failed"),
        (PermissionDenied("x"), "failed"),
        (InternalError("x"), "failed"),
    ],
)
def test_success_means_that_somebody_answered(error: GatewayError | None, said: str) -> None:
    one = exchange()
    one.error = error
    assert told(one)["helicone-status"] == said


def test_warnings_are_told_one_by_one() -> None:
    one = exchange(Helicone_Cache_Bucket_Max_Size="many", Helicone_Retry_Num="none")
    warnings = [value for name, value in outcome_headers(one, 102.0, unary=True) if name == b"helicone-warning"]
    assert len(warnings) == len(one.request.helicone.warnings) == 2


def test_the_attempt_that_answered_has_an_id_of_its_providers() -> None:
    one = attempted(exchange(), (A, None), (B, None))
    one.attempts[0].provider_request_id = "req_1"
    fields = [dict(outcome_headers(one, 102.0, attempt, unary=True)) for attempt in (*one.attempts, None)]
    assert [each.get(b"helicone-provider-req-id") for each in fields] == [b"req_1", None, None]


def test_a_cost_that_is_estimated_says_so() -> None:
    one = attempted(exchange(), (A, None))
    one.cost = Cost(1_500, estimated=True)
    assert told(one, 102.0)["helicone-cost-estimated"] == "true"
    one.cost = Cost(1_500)
    assert "helicone-cost-estimated" not in told(one, 102.0)


@given(st.text())
def test_nothing_of_anybodys_can_end_a_header_line(name: str) -> None:
    one = attempted(exchange(model=name), (A, None))
    one.headers["x-note"] = name
    one.attempts[0].provider_request_id = name
    for _, value in outcome_headers(one, 102.0, one.attempts[0], unary=True):
        assert not {0, 10, 13} & set(value)
        value.decode("latin-1")


@given(st.integers(0, 10**20))
def test_nano_dollars_are_exact(amount: int) -> None:
    text = nano_dollars(amount)
    assert Decimal(text) == Decimal(amount) / 10**9
    assert "e" not in text.lower()
    assert "." not in text or not text.endswith(("0", "."))
