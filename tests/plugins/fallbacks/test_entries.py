"""Entries in Helicone's own form: what goes to their address."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helicone_gw import FallbackTarget, Headers, HeliconeHeaders, Request
from helicone_gw_fallbacks.chains import listed
from helicone_gw_fallbacks.entries import merge, request_for

BODY = {"model": "gpt-4o", "stream": False, "messages": [{"role": "user", "content": "Grüße"}], "options": {"a": 1}}


def request(body: bytes | None = json.dumps(BODY).encode()) -> Request:
    headers = Headers({"content-type": "application/json", "x-mine": "1", "accept-encoding": "br"})
    return Request(
        "POST", "/v1/chat/completions", "", headers, body, "openai", "chat", HeliconeHeaders(), model="gpt-4o"
    )


def entry(headers: dict[str, str] | None = None, override: dict[str, Any] | None = None) -> FallbackTarget:
    return FallbackTarget("https://api.example.com", headers or {}, (), override)


def test_the_entrys_headers_take_the_place_of_the_clients() -> None:
    replaced, credential = request_for(entry({"X-Theirs": "2", "Authorization": "Bearer sk-theirs"}), request(), ())
    assert dict(replaced.headers) == {"x-theirs": "2", "content-type": "application/json"}
    assert credential is not None
    assert (credential.header, credential.value) == ("authorization", "Bearer sk-theirs")
    assert replaced.helicone.target_url == "https://api.example.com"
    assert replaced.body == request().body


@pytest.mark.parametrize("name", ["x-api-key", "Api-Key", "x-goog-api-key"])
def test_a_credential_may_come_in_any_field(name: str) -> None:
    _, credential = request_for(entry({name: "sk-theirs"}), request(), ())
    assert credential is not None
    assert credential.header == name.lower()


def test_a_gateway_key_goes_nowhere() -> None:
    replaced, credential = request_for(
        entry({"Authorization": "Bearer hk-ours", "Helicone-Auth": "Bearer hk-ours"}), request(), ("hk-ours",)
    )
    assert credential is None
    assert "hk-ours" not in str(list(replaced.headers))


@pytest.mark.parametrize(
    "name",
    [
        "Content-Length",
        "Host",
        "Transfer-Encoding",
        "Connection",
        "X-HTTP-Method-Override",
        "X-Original-URL",
        "X-Forwarded-For",
        "bad\r\nname",
    ],
)
def test_what_frames_the_message_is_ours_to_say(name: str) -> None:
    replaced, _ = request_for(entry({name: "x"}), request(), ())
    assert [field for field, _ in replaced.headers] == ["content-type"]


@pytest.mark.parametrize("value", ["a\r\nb", "\u20ac"])
def test_values_that_no_header_can_have_are_left_out(value: str) -> None:
    replaced, _ = request_for(entry({"x-bad": value}), request(), ())
    assert "x-bad" not in replaced.headers


def test_the_body_is_merged() -> None:
    override = {"model": "gpt-4o-mini", "stream": True, "options": {"b": 2}, "new": None}
    replaced, _ = request_for(entry(override=override), request(), ())
    assert replaced.json() == {**BODY, "model": "gpt-4o-mini", "stream": True, "options": {"a": 1, "b": 2}, "new": None}
    assert (replaced.model, replaced.stream) == ("gpt-4o-mini", True)
    assert "Grüße".encode() in (replaced.body or b"")


@pytest.mark.parametrize("body", [None, b"", b"not json", b"[1]"])
def test_a_body_that_is_no_object_stays_as_it_is(body: bytes | None) -> None:
    replaced, _ = request_for(entry(override={"a": 1}), request(body), ())
    assert replaced.body == body


def test_the_model_of_the_override_is_the_one_that_is_checked() -> None:
    without = {key: value for key, value in BODY.items() if key != "model"}
    replaced, _ = request_for(entry(override={"model": "o3", "MODEL": "x"}), request(json.dumps(without).encode()), ())
    assert replaced.model == "o3"
    assert "MODEL" not in replaced.json()
    own = {"model": "gemini-3", "topK": 1}
    gemini, _ = request_for(entry(override=own), request().replace(dialect="gemini", model="g"), ())
    assert gemini.model == "gemini-3"
    assert "model" not in gemini.json(), "its address says so"


def test_merging_goes_down_into_objects_only() -> None:
    assert merge({"a": [1, 2], "b": 1}, {"a": [3], "b": {"c": 1}}) == {"a": [3], "b": {"c": 1}}


def test_items_of_a_list() -> None:
    assert listed(" a , b,,a, c ") == ("a", "b", "c")
    assert listed(",") == ()
