"""Errors in every dialect's shape, and what a provider's error means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw.dialects import error_format
from helicone_gw.dialects.base import ErrorFacts
from helicone_gw.dialects.errors import WireError, read_error
from helicone_gw.sse import event_data, event_name

LIMITED = ErrorFacts(429, "rate_limit_error", "rate_limit_exceeded", "Wait.", request_id="r-1")
DETAILED = ErrorFacts(503, "overloaded_error", "unavailable", "No.", details=[{"source": "openai/gpt-4o"}])
REFUSAL = ErrorFacts(400, "api_error", "PROMPT_THREAT_DETECTED", "Threat.", details="see", helicone_shape=True)


def body(dialect: str, error: ErrorFacts) -> Any:
    return json.loads(error_format(dialect).body(error))


def test_openai() -> None:
    shape = {"message": "Wait.", "type": "rate_limit_error", "param": None, "code": "rate_limit_exceeded"}
    assert body("openai", LIMITED) == {"error": shape}
    assert body("openai", DETAILED)["error"]["details"] == [{"source": "openai/gpt-4o"}]


def test_anthropic() -> None:
    assert body("anthropic", LIMITED) == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "Wait.", "code": "rate_limit_exceeded"},
        "request_id": "r-1",
    }
    assert body("anthropic", DETAILED)["error"]["details"] == [{"source": "openai/gpt-4o"}]
    assert "request_id" not in body("anthropic", DETAILED)


@pytest.mark.parametrize(
    ("status", "anthropic", "gemini"),
    [
        (400, "invalid_request_error", "INVALID_ARGUMENT"),
        (401, "authentication_error", "UNAUTHENTICATED"),
        (402, "billing_error", "FAILED_PRECONDITION"),
        (403, "permission_error", "PERMISSION_DENIED"),
        (404, "not_found_error", "NOT_FOUND"),
        (405, "invalid_request_error", "UNIMPLEMENTED"),
        (413, "request_too_large", "INVALID_ARGUMENT"),
        (418, "invalid_request_error", "INVALID_ARGUMENT"),
        (429, "rate_limit_error", "RESOURCE_EXHAUSTED"),
        (500, "api_error", "INTERNAL"),
        (502, "api_error", "UNAVAILABLE"),
        (503, "overloaded_error", "UNAVAILABLE"),
        (504, "timeout_error", "DEADLINE_EXCEEDED"),
        (599, "api_error", "INTERNAL"),
    ],
)
def test_each_dialects_own_word_for_a_status(status: int, anthropic: str, gemini: str) -> None:
    error = ErrorFacts(status, "t", "c", "m")
    assert body("anthropic", error)["error"]["type"] == anthropic
    assert body("gemini", error)["error"]["status"] == gemini
    assert body("gemini", error)["error"]["code"] == status


def test_gemini_carries_code_and_details_as_google_would() -> None:
    error = body("gemini", DETAILED)["error"]
    info, value = error["details"]
    assert (error["code"], error["message"]) == (503, "No.")
    assert (info["@type"], info["reason"]) == ("type.googleapis.com/google.rpc.ErrorInfo", "UNAVAILABLE")
    assert value == {"@type": "type.googleapis.com/google.protobuf.Value", "value": [{"source": "openai/gpt-4o"}]}


def test_helicones_shape_of_a_refusal() -> None:
    inner = {"code": "PROMPT_THREAT_DETECTED", "message": "Threat.", "details": "see", "type": "invalid_request_error"}
    assert body("openai", REFUSAL) == {"success": False, "error": {**inner, "param": None}}
    assert body("anthropic", REFUSAL) == {"type": "error", "success": False, "error": inner}
    assert body("gemini", REFUSAL)["success"] is False


def test_an_unknown_dialect_gets_openais_shape() -> None:
    assert error_format("cohere").dialect == "openai"
    assert body("cohere", LIMITED) == body("openai", LIMITED)


@pytest.mark.parametrize("operation", ["chat", "completions", "images"])
def test_an_error_inside_a_stream_of_openais(operation: str) -> None:
    event = error_format("openai").event(LIMITED, operation)
    assert event_name(event) is None
    assert json.loads(event_data(event)) == body("openai", LIMITED)


def test_an_error_inside_a_stream_of_responses() -> None:
    event = error_format("openai").event(DETAILED, "responses", sequence=12)
    assert event_name(event) == "error"
    assert json.loads(event_data(event)) == {
        "type": "error",
        "code": "unavailable",
        "message": "No.",
        "param": None,
        "sequence_number": 12,
        "details": [{"source": "openai/gpt-4o"}],
    }


def test_errors_inside_other_streams() -> None:
    event = error_format("anthropic").event(LIMITED, "messages")
    assert event_name(event) == "error"
    assert json.loads(event_data(event)) == body("anthropic", LIMITED)
    event = error_format("gemini").event(LIMITED, "stream_generate_content")
    assert event_name(event) is None
    assert json.loads(event_data(event)) == body("gemini", LIMITED)


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "gemini"])
def test_rendering_never_raises(dialect: str) -> None:
    error = ErrorFacts(500, "t", "c", "cut \ud83d", details={"when": object(), "n": {1, 2}, "cut": "\udc00"})
    assert body(dialect, error)["error"]["message"] == "cut \ud83d"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({"message": "m", "type": "invalid_request_error", "code": None}, WireError("m", 400)),
        ({"message": "m", "type": "requests", "code": "rate_limit_exceeded"}, WireError("m", 429)),
        ({"message": "m", "code": 529}, WireError("m", 529)),
        ({"message": "m", "code": "404"}, WireError("m", 404)),
        ({"message": "m", "code": 200, "status": "NOT_FOUND"}, WireError("m", 404)),
        ({"message": "m", "code": "brand_new", "type": "server_error"}, WireError("m", 500)),
        ({"message": "m"}, WireError("m", 502)),
        ({"type": "api_error"}, WireError("The provider reported an error: api_error.", 500)),
        ({"message": {"odd": 1}}, WireError("The provider reported an error: an object.", 502)),
        ("text", WireError("text", 502)),
        (True, WireError("The provider reported an error: true.", 502)),
        (["x"], WireError("The provider reported an error: an array.", 502)),
    ],
)
def test_reading_a_providers_error(value: Any, error: WireError) -> None:
    assert read_error(value) == error
