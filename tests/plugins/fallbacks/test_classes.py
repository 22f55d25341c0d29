"""Kinds of failure: the same whatever a provider's words for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw import (
    AuthenticationFailed,
    BadRequest,
    GatewayError,
    Headers,
    InternalError,
    PermissionDenied,
    Response,
    TooManyRequests,
    UpstreamConnectError,
    UpstreamProtocolError,
    UpstreamStatus,
    UpstreamStreamError,
    UpstreamTimeout,
)
from helicone_gw_fallbacks.classes import CLASSES, classify


def status(code: int, body: Any = b"") -> UpstreamStatus:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return UpstreamStatus(Response(code, Headers(), content))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, "invalid"),
        (401, "auth"),
        (402, "auth"),
        (403, "auth"),
        (404, "not_found"),
        (408, "timeout"),
        (409, "invalid"),
        (410, "not_found"),
        (422, "invalid"),
        (429, "rate_limit"),
        (500, "server"),
        (502, "server"),
        (503, "overloaded"),
        (504, "timeout"),
        (529, "overloaded"),
        (599, "server"),
    ],
)
def test_by_status(code: int, kind: str) -> None:
    assert classify(status(code)) == kind
    assert classify(UpstreamStreamError("no", event=b"data: {}\n\n", status=code)) == kind


@pytest.mark.parametrize(
    "body",
    [
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens. Your messages resulted in 9000.",
                "type": "invalid_request_error",
                "code": "context_length_exceeded",
            }
        },
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000 maximum"},
        },
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
            },
        },
        {
            "error": {
                "code": 400,
                "message": "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
                "status": "INVALID_ARGUMENT",
            }
        },
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count exceeds the maximum",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        {"message": "Input is too long for requested model.", "__type": "ValidationException"},
        {"error": "Please reduce the length of the messages or completion."},
    ],
)
def test_too_long_for_the_context(body: Any) -> None:
    assert classify(status(400, body)) == "context_length"


@pytest.mark.parametrize(
    "body",
    [
        {
            "error": {
                "code": "content_policy_violation",
                "message": "Your request was rejected as a result of our safety system.",
            }
        },
        {
            "error": {
                "code": "content_filter",
                "message": "The response was filtered",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            }
        },
        {"error": {"message": "Invalid prompt: your prompt was flagged as potentially violating our usage policy."}},
    ],
)
@pytest.mark.parametrize("code", [400, 403])
def test_unwanted_content(body: Any, code: int) -> None:
    assert classify(status(code, body)) == "content_policy"


def test_words_count_only_where_a_status_means_many_things() -> None:
    body = {"error": {"message": "maximum context length; content policy"}}
    assert classify(status(429, body)) == "rate_limit"
    assert classify(status(500, body)) == "server"


def test_an_overload_inside_a_stream() -> None:
    event = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    assert classify(UpstreamStreamError("Overloaded", event=event, status=500)) == "overloaded"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UpstreamConnectError("no"), "connection"),
        (UpstreamProtocolError("no"), "connection"),
        (UpstreamTimeout("no"), "timeout"),
        (AuthenticationFailed("no", code="provider_key_not_found"), "not_offered"),
        (PermissionDenied("no", code="model_not_permitted"), "not_offered"),
        (AuthenticationFailed("no"), None),
        (BadRequest("no"), None),
        (TooManyRequests("ours"), None),
        (InternalError("ours"), None),
    ],
)
def test_what_has_no_status(error: GatewayError, kind: str | None) -> None:
    assert classify(error) == kind


@settings(deadline=None)
@given(
    code=st.integers(400, 599),
    body=st.binary(max_size=200)
    | st.recursive(
        st.none() | st.text(max_size=20) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["error", "message", "code", "innererror"]), inner, max_size=3)
        ),
    ),
)
def test_every_answer_has_a_kind(code: int, body: Any) -> None:
    assert classify(status(code, body)) in CLASSES
    assert classify(UpstreamStreamError("x", event=b"data: " + json.dumps(str(body)).encode(), status=code)) in CLASSES
