"""Record: what is logged of an exchange, for every way in which one can end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helicone_gw.access import GatewayKey, ProviderCredential
from helicone_gw.errors import (
    InternalError,
    MalformedBody,
    TooManyRequests,
    UpstreamConnectError,
    UpstreamStatus,
    UpstreamTimeout,
)
from helicone_gw.exchange import Exchange
from helicone_gw.model import Attempt, Capture, Cost, Outcome, Response, Target, Usage
from helicone_gw_logging.columns import columns
from helicone_gw_logging.record import LogRecord, record
from helicone_gw_logging.tables import ATTEMPT, PROPERTY, REQUEST
from helicone_gw_logging.texts import text
from helicone_gw_logging.values import MAX_PROPERTIES, arranged
from tests.plugins.logging.journaling import named

Build = Callable[..., Exchange]


def row_of(written: LogRecord) -> dict[str, Any]:
    return named(REQUEST, arranged(written.facts).request)


def test_a_good_exchange(exchange: Build, key: GatewayKey) -> None:
    headers = {
        "Helicone-Request-Id": "5f0c9a3e-8f57-4a6e-9d4e-0d6a1c9b7a11",
        "Helicone-User-Id": "u-1",
        "Helicone-Session-Id": "s-1",
        "Helicone-Session-Path": "/outline/lesson-1",
        "Helicone-Session-Name": "Course",
        "Helicone-Prompt-Id": "p-1",
        "Helicone-Property-App": "shop",
    }
    done = exchange(headers=headers, key=key, organization="acme")
    done.annotate("cache.status", "MISS")
    done.annotate("ratelimit.status", "ok")
    row = row_of(record(done))
    assert row == {
        "id": done.id,
        "organization_id": "acme",
        "request_id": "5f0c9a3e-8f57-4a6e-9d4e-0d6a1c9b7a11",
        "received_at": 1_767_225_600_000,
        "hour": 490_896,
        "source": "gateway",
        "first_byte_at": 1_767_225_600_400,
        "first_token_at": None,
        "ended_at": 1_767_225_601_234,
        "latency": 1234,
        "time_to_first_token": None,
        "provider": "openai",
        "request_model": "gpt-4o",
        "model": "gpt-4o-2024-08-06",
        "model_override": None,
        "dialect": "openai",
        "operation": "chat",
        "method": "POST",
        "path": "/v1/chat/completions",
        "target_url": None,
        "stream": False,
        "status": 200,
        "outcome": "ok",
        "error_code": None,
        "error_message": None,
        "stop_reason": "stop",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "reasoning_tokens": None,
        "prompt_cache_read_tokens": None,
        "prompt_cache_write_tokens": None,
        "prompt_cache_write_1h_tokens": None,
        "prompt_audio_tokens": None,
        "completion_audio_tokens": None,
        "prompt_cache_audio_tokens": None,
        "prompt_image_tokens": None,
        "completion_image_tokens": None,
        "web_searches": None,
        "service_tier": None,
        "cost_nano_usd": 7500,
        "cost_source": "genai-prices",
        "cost_version": "0.2.3",
        "cost_estimated": False,
        "cost_recomputed_at": None,
        "usage_estimated": False,
        "user_id": "u-1",
        "session_id": "s-1",
        "session_path": "/outline/lesson-1",
        "session_name": "Course",
        "prompt_id": "p-1",
        "key_id": "key-1",
        "key_name": "alice",
        "key_owner": "team-a",
        "trace_id": None,
        "span_id": None,
        "parent_span_id": None,
        "attempt_count": 1,
        "target": "openai/gpt-4o",
        "provider_request_id": None,
        "translation_loss": None,
        "cache_enabled": True,
        "cache_status": "MISS",
        "cache_reference_id": None,
        "saved_nano_usd": None,
        "saved_ms": None,
        "saved_prompt_tokens": None,
        "saved_completion_tokens": None,
        "threat": None,
        "country_code": None,
        "ratelimit_status": "ok",
        "request_size": 32,
        "response_size": 29,
    }


def test_a_stream_has_a_time_to_first_token(exchange: Build) -> None:
    row = row_of(record(exchange(stream=True)))
    assert (row["stream"], row["time_to_first_token"], row["first_token_at"]) == (True, 500, 1_767_225_600_500)


@pytest.mark.parametrize(
    ("outcome", "error", "status", "code"),
    [
        (Outcome("upstream_error", 429), UpstreamStatus(Response(429)), 429, "upstream_status"),
        (Outcome("upstream_error", 502), UpstreamConnectError("no connection"), 502, "upstream_unreachable"),
        (Outcome("refused", 400), MalformedBody("not JSON"), 400, "malformed_body"),
        (Outcome("refused", 429), TooManyRequests("slow down"), 429, "rate_limit_exceeded"),
        (Outcome("timeout", 504), UpstreamTimeout("too slow"), 504, "upstream_timeout"),
        (Outcome("stream_broken", 200, 512), UpstreamTimeout("went silent"), 200, "upstream_timeout"),
        (Outcome("internal_error", 500), InternalError("ours"), 500, "internal_error"),
        (Outcome("client_disconnected", None), None, None, None),
        (Outcome("client_disconnected", 200, 17), None, 200, None),
        (Outcome("interrupted", None), None, None, None),
        (Outcome("refused", 403, code="own_code", message="own words"), None, 403, "own_code"),
    ],
    ids=lambda value: value.kind if isinstance(value, Outcome) else "",
)
def test_every_outcome(exchange: Build, outcome: Outcome, error: Any, status: int | None, code: str | None) -> None:
    row = row_of(record(exchange(outcome=outcome, error=error)))
    assert (row["outcome"], row["status"], row["error_code"]) == (outcome.kind, status, code)
    assert row["error_message"] == (outcome.message or (error.message if error else None))


@pytest.mark.parametrize(
    ("outcome", "noted", "status", "properties"),
    [
        (Outcome("ok", 200), {"ratelimit.status": "admitted"}, "admitted", {}),
        # Contract 0: the word and the property by which Helicone's users look for these.
        (Outcome("refused", 429), {}, "bucket_rate_limited", {"Helicone-Rate-Limit-Status": "bucket_rate_limited"}),
        # One limit admitted it, and one further in did not.
        (
            Outcome("refused", 429),
            {"ratelimit.status": "admitted", "cache.status": "miss"},
            "bucket_rate_limited",
            {"Helicone-Rate-Limit-Status": "bucket_rate_limited"},
        ),
        (Outcome("refused", 402), {"ratelimit.status": "admitted"}, "budget_exceeded", {}),
        (Outcome("refused", 403), {}, None, {}),
        # Not a limit of the gateway, but the provider's.
        (Outcome("upstream_error", 429), {}, None, {}),
    ],
)
def test_what_became_of_limits(
    exchange: Build, outcome: Outcome, noted: dict[str, str], status: str | None, properties: dict[str, str]
) -> None:
    done = exchange(outcome=outcome)
    for name, value in noted.items():
        done.annotate(name, value)
    written = record(done)
    assert (row_of(written)["ratelimit_status"], written.facts.properties) == (status, properties)


def test_refused_before_anything_was_known(exchange: Build) -> None:
    bare = exchange(body=None, model=None)
    bare.attempts, bare.usage, bare.cost, bare.provider, bare.model = [], None, None, None, None
    bare.first_byte_at = bare.first_chunk_at = bare.stop_reason = None
    bare.response = bare.request_capture = bare.response_capture = None
    written = record(bare)
    rows = arranged(written.facts)
    assert (rows.attempts, rows.properties) == ([], [])
    unknown = ("prompt_tokens", "completion_tokens", "total_tokens", "cost_nano_usd", "request_size", "response_size")
    assert {row_of(written)[name] for name in unknown} == {None}
    assert row_of(written)["attempt_count"] == 0


def test_unknown_is_not_zero_and_zero_is_not_unknown(exchange: Build) -> None:
    unknown = row_of(record(exchange(usage=Usage(input_tokens=3), cost=None)))
    assert (unknown["prompt_tokens"], unknown["completion_tokens"], unknown["cost_nano_usd"]) == (3, None, None)
    free = row_of(record(exchange(usage=Usage(0, 0), cost=Cost(0))))
    assert (free["prompt_tokens"], free["completion_tokens"], free["total_tokens"], free["cost_nano_usd"]) == (
        0,
        0,
        0,
        0,
    )


def test_every_class_of_tokens(exchange: Build) -> None:
    usage = Usage(100, 50, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, None, "priority")
    written = record(exchange(usage=usage))
    row = row_of(written)
    named = [name for name in row if name.endswith("_tokens") and not name.startswith("saved_")]
    assert {name: row[name] for name in [*named, "web_searches", "service_tier"]} == {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_cache_read_tokens": 1,
        "prompt_cache_write_tokens": 2,
        "prompt_cache_write_1h_tokens": 3,
        "reasoning_tokens": 4,
        "prompt_audio_tokens": 5,
        "completion_audio_tokens": 6,
        "prompt_cache_audio_tokens": 7,
        "prompt_image_tokens": 8,
        "completion_image_tokens": 9,
        "web_searches": 10,
        "service_tier": "priority",
    }


def test_attempts_in_order_each_with_its_own_facts(exchange: Build) -> None:
    done = exchange()
    failed = Attempt(1, Target("azure", "gpt-4o", deployment="eu"), 1_767_225_600.1, ended_at=1_767_225_600.2)
    failed.error = UpstreamConnectError("no connection")
    done.attempts = [failed, *done.attempts]
    done.attempts[1].number = 2
    first, second = (named(ATTEMPT, row) for row in arranged(record(done).facts).attempts)
    assert (first["number"], first["provider"], first["deployment"], first["status"]) == (1, "azure", "eu", None)
    assert (first["error_code"], first["prompt_tokens"], first["cost_nano_usd"]) == ("upstream_unreachable", None, None)
    assert (second["number"], second["model"], second["status"], second["cost_nano_usd"]) == (
        2,
        "gpt-4o-2024-08-06",
        200,
        7500,
    )
    assert (second["started_at"], second["first_byte_at"]) == (1_767_225_600_010, 1_767_225_600_400)


def test_properties_keep_their_spelling_and_compare_in_lower_case(exchange: Build) -> None:
    done = exchange(headers={"Helicone-Property-App-Version": "1", "Helicone-Session-Id": "s"})
    properties = [named(PROPERTY, row) for row in arranged(record(done).facts).properties]
    rows = {row["key_lower"]: row for row in properties}
    assert rows["app-version"]["value"] == "1"
    assert rows["helicone-session-id"]["key"] == "Helicone-Session-Id"
    assert {row["received_at"] for row in rows.values()} == {1_767_225_600_000}


def test_properties_are_bounded(exchange: Build) -> None:
    headers = {f"Helicone-Property-{number}": "x" for number in range(MAX_PROPERTIES + 100)}
    assert len(arranged(record(exchange(headers=headers)).facts).properties) == MAX_PROPERTIES


def test_the_user_of_the_header_wins_over_the_body(exchange: Build) -> None:
    assert row_of(record(exchange(user="body")))["user_id"] == "body"
    assert row_of(record(exchange(user="body", headers={"Helicone-User-Id": "header"})))["user_id"] == "header"


def test_the_request_as_it_came_is_logged_not_what_a_plugin_made_of_it(exchange: Build) -> None:
    done = exchange()
    done.request = done.request.replace(model="other", path="/v1/other")
    row = row_of(record(done))
    assert (row["request_model"], row["path"]) == ("gpt-4o", "/v1/chat/completions")


def test_omitted_bodies_are_not_even_taken_along(exchange: Build) -> None:
    done = exchange(headers={"Helicone-Omit-Request": "true", "Helicone-Omit-Response": "true"})
    bodies = record(done).bodies
    assert bodies is not None
    assert [(body.data, body.omitted, body.model) for body in bodies] == [
        (b"", True, "gpt-4o"),
        (b"", True, "gpt-4o-2024-08-06"),
    ]


def test_without_bodies(exchange: Build) -> None:
    assert record(exchange(), bodies=False).bodies is None
    with_bodies = record(exchange())
    lighter = with_bodies.without_bodies()
    assert lighter.dropped
    assert lighter.size == with_bodies.size - 32 - 29


def test_a_target_url_without_its_credentials(exchange: Build) -> None:
    done = exchange()
    done.attempts[0].url = "https://user:pw@llm.example:8443/v1?key=abc#part"
    assert row_of(record(done))["target_url"] == "https://llm.example:8443/v1"


def test_the_clients_credential_goes_along_to_be_redacted(exchange: Build) -> None:
    done = exchange(credential=ProviderCredential("authorization", "Bearer my-own-key", "openai"))
    assert record(done).secrets == ("my-own-key",)
    assert "my-own-key" not in repr(record(done))


def test_annotations_are_json_whatever_a_plugin_noted(exchange: Build) -> None:
    class Strange:
        def __repr__(self) -> str:
            return "sk-secret"

    done = exchange(headers={"Helicone-Cache-Bucket-Max-Size": "many"})
    done.annotate("guard.score", 0.25)
    done.annotate("guard.object", Strange())
    notes = msgspec.json.decode(record(done).facts.annotations)
    assert notes["guard.score"] == 0.25
    assert notes["guard.object"] == "<Strange>"
    assert len(notes["helicone.warnings"]) == 1


def test_annotations_that_cannot_be_kept_say_so(exchange: Build) -> None:
    circular: dict[str, Any] = {}
    circular["self"] = circular
    for value, expected in (
        (circular, "logging.unreadable_annotations"),
        ("x" * 70_000, "logging.annotations_too_large"),
    ):
        done = exchange()
        done.annotate("plugin.fact", value)
        assert expected in msgspec.json.decode(record(done).facts.annotations)


def test_a_clock_that_was_set_back_gives_no_negative_latency(exchange: Build) -> None:
    assert row_of(record(exchange(ended_at=1_767_225_000.0)))["latency"] == 0


anything = st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.booleans())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture is a plain function
@given(
    name=st.text(max_size=3000),
    tokens=st.one_of(st.none(), st.integers(), st.floats(allow_nan=True)),
    moment=st.one_of(st.none(), st.floats()),
    note=anything,
)
def test_never_raises_and_every_value_fits_its_column(
    exchange: Build, name: str, tokens: Any, moment: float | None, note: Any
) -> None:
    done = exchange(
        model=name,
        user=name,
        usage=Usage(tokens, tokens if isinstance(tokens, int) else None),
        cost=Cost(tokens if isinstance(tokens, int) else 0, source=name),
        ended_at=moment,
        first_byte_at=moment,
        stop_reason=name,
        organization=name,
    )
    done.annotate(name, note)
    done.attempts[0].error = InternalError(name)
    written: LogRecord = record(done)
    msgspec.json.decode(written.facts.annotations)
    found = arranged(written.facts)
    rows = [(REQUEST, found.request), *((ATTEMPT, row) for row in found.attempts)]
    rows += [(PROPERTY, row) for row in found.properties]
    for table, row in rows:
        assert len(row) == len(columns(table)) - (table is REQUEST)
        for column, value in named(table, row).items():
            if isinstance(value, str):
                assert value in found.texts
                value.encode("utf-8")
                assert "\0" not in value
            elif isinstance(value, int):
                assert -(2**63) <= value < 2**63
            else:
                assert value is None
                assert table.columns[column].nullable


@given(st.text(), st.integers(1, 40))
def test_text_fits_and_stays_text(value: str, limit: int) -> None:
    kept = text(value, limit)
    assert kept is not None
    assert len(kept.encode()) <= limit
    assert "\0" not in kept


def test_sizes_come_from_the_capture_even_when_it_was_cut(exchange: Build) -> None:
    done = exchange(request_capture=Capture(b"ab", True, 5_000_000))
    written = record(done)
    assert row_of(written)["request_size"] == 5_000_000
    assert written.bodies is not None
    assert written.bodies[0].cut


@pytest.mark.parametrize(
    ("said", "held"),
    [
        ("DE", "DE"),
        (" fr ", "FR"),
        ("XX", None),
        ("T1", None),
        ("", None),
        ("DEU", None),
        ("\u00e9\u00e9", None),
        (None, None),
    ],
)
def test_the_country_is_what_a_proxy_says(exchange: Build, said: str | None, held: str | None) -> None:
    one = exchange(headers={} if said is None else {"CF-IPCountry": said})
    assert row_of(record(one, country="cf-ipcountry"))["country_code"] == held
    assert row_of(record(one))["country_code"] is None
