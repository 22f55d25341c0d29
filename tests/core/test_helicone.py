"""Helicone's request headers, parsed once: what each means, and what happens to a malformed one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.headers import Headers
from helicone_gw.helicone import (
    EMPTY,
    CacheHeaders,
    HeliconeHeaders,
    Properties,
    RetryHeaders,
    lift_metadata,
    parse_helicone_headers,
)
from helicone_gw.ingress.fields import ROWS


def parse(metadata: Mapping[str, object] | None = None, /, **headers: Any) -> HeliconeHeaders:
    fields = {f"Helicone-{name.replace('_', '-')}": value for name, value in headers.items()}
    return parse_helicone_headers(Headers(fields), metadata)


def test_a_request_without_any_of_them_shares_one_object() -> None:
    headers = Headers({"content-type": "application/json", "x-helicone-user-id": "u"})

    assert parse_helicone_headers(headers) is EMPTY
    assert parse_helicone_headers(headers, {"user_id": "u"}) is EMPTY
    assert parse(Auth="Bearer k") is EMPTY
    assert parse(Something_New="x") is EMPTY


def test_switches_that_come_with_every_request_are_read_once() -> None:
    first, again = (parse_helicone_headers(Headers({"Helicone-Cache-Enabled": "true"})) for _ in range(2))
    assert first is again
    assert first.cache.enabled
    assert first.properties["helicone-cache-enabled"] == "true"
    other = parse_helicone_headers(Headers({"Helicone-Cache-Enabled": "false"}))
    assert other.cache.enabled is False


@pytest.mark.parametrize(
    "fields",
    [
        {"Helicone-User-Id": "u"},
        {"Helicone-JWT": "secret"},
        {"Helicone-Property-App": "shop"},
        {"Helicone-Fallbacks": "[]"},
        {"Helicone-Cache-Ignore-Keys": "k" * 300},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_nothing_else_is_remembered(fields: dict[str, str]) -> None:
    told = {"Helicone-Cache-Enabled": "true", **fields}
    assert parse_helicone_headers(Headers(told)) is not parse_helicone_headers(Headers(told))


@pytest.mark.parametrize(
    ("header", "attribute", "value"),
    [
        ("User-Id", "user_id", "u-1"),
        ("Session-Id", "session_id", "s"),
        ("Session-Path", "session_path", "/a/b"),
        ("Session-Name", "session_name", "Plan"),
        ("Prompt-Id", "prompt_id", "p"),
        ("Prompt-Version", "prompt_version", "3"),
        ("Prompt-Name", "prompt_name", "n"),
        ("Prompt-Format", "prompt_format", "f"),
        ("Model-Override", "model_override", "gpt-4o"),
        ("Target-URL", "target_url", "https://api.example.com"),
        ("OpenAI-Api-Base", "openai_api_base", "https://x.openai.azure.com"),
        ("RateLimit-Policy", "rate_limit_policy", "10;w=60"),
        ("Rate-Limit-Policy", "rate_limit_policy", "basic-100"),
        ("Experiment-Id", "experiment_id", "e"),
        ("Experiment-Column-Id", "experiment_column_id", "c"),
        ("Experiment-Row-Index", "experiment_row_index", "1"),
        ("Node-Id", "node_id", "n"),
        ("Posthog-Key", "posthog_key", "phc"),
        ("Posthog-Host", "posthog_host", "https://ph"),
        ("Lytix-Key", "lytix_key", "lx"),
        ("Lytix-Host", "lytix_host", "https://lx"),
        ("Org-Id", "org_id", "o"),
        ("Jwt", "jwt", "e.y.j"),
        ("Manual-Access-Key", "manual_access_key", "m"),
    ],
)
def test_text_headers(header: str, attribute: str, value: str) -> None:
    for spelling in (header, header.upper(), header.lower()):
        assert getattr(parse(**{spelling.replace("-", "_"): f" {value} "}), attribute) == value
    assert getattr(parse(**{header.replace("-", "_"): ""}), attribute) is None


def test_headers_with_other_names() -> None:
    parsed = parse_helicone_headers(Headers({"X-Stripe-Customer-Id": "cus_1", "Upstash-Callback": "https://cb"}))

    assert (parsed.stripe_customer_id, parsed.upstash_callback) == ("cus_1", "https://cb")


@pytest.mark.parametrize(
    ("header", "attribute", "otherwise"),
    [
        ("Omit-Request", "omit_request", False),
        ("Omit-Response", "omit_response", False),
        ("Increase-Timeout", "increase_timeout", False),
        ("Server-Timing", "server_timing", False),
        ("Stream-Force-Format", "stream_force_format", False),
        ("Stream-Usage", "stream_usage", False),
        ("Moderations-Enabled", "moderations_enabled", None),
        ("LLM-Security-Enabled", "llm_security_enabled", None),
        ("Prompt-Security-Enabled", "llm_security_enabled", None),
        ("Peyeeye-Enabled", "peyeeye_enabled", None),
        ("Webhook-Enabled", "webhook_enabled", None),
    ],
)
def test_flags_are_true_for_exactly_true(header: str, attribute: str, otherwise: bool | None) -> None:
    name = header.replace("-", "_")

    assert getattr(EMPTY, attribute) is otherwise
    assert getattr(parse(**{name: "true"}), attribute) is True
    assert getattr(parse(**{name: "false"}), attribute) is False
    assert parse(**{name: "false"}).warnings == ()
    for value in ("True", "TRUE", "1", "yes"):
        malformed = parse(**{name: value})
        assert getattr(malformed, attribute) is otherwise
        (warning,) = malformed.warnings
        assert warning.lower().startswith(f"helicone-{header.lower()} ")


def test_a_headers_own_name_wins_over_its_alias() -> None:
    assert parse(Rate_Limit_Policy="alias", RateLimit_Policy="own").rate_limit_policy == "own"
    assert parse(Prompt_Security_Enabled="true", LLM_Security_Enabled="false").llm_security_enabled is False


@pytest.mark.parametrize(("value", "advanced"), [("true", True), ("1", True), ("false", False), ("False", False)])
def test_advanced_security_is_asked_for_by_presence(value: str, advanced: bool) -> None:
    assert parse(LLM_Security_Advanced=value).llm_security_advanced is advanced


@pytest.mark.parametrize("version", "12345678")
@pytest.mark.parametrize("variant", "89ab")
def test_any_uuid_of_rfc_9562_is_a_request_id(version: str, variant: str) -> None:
    text = f"0190163D-8694-{version}39B-{variant}EA6-D33F5D8A0EAF"

    assert parse(Request_Id=text).request_id == text.lower()


@pytest.mark.parametrize(
    "value",
    [
        "x",
        "0190163d-8694-039b-aea6-d33f5d8a0eaf",
        "0190163d-8694-939b-aea6-d33f5d8a0eaf",
        "0190163d-8694-739b-cea6-d33f5d8a0eaf",
        "0190163d8694739baea6d33f5d8a0eaf",
        "{0190163d-8694-739b-aea6-d33f5d8a0eaf}",
        "0190163d-8694-739b-aea6-d33f5d8a0eaf0",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ],
)
def test_any_other_request_id_is_replaced_and_reported(value: str) -> None:
    parsed = parse(Request_Id=value)

    assert parsed.request_id is None
    assert len(parsed.warnings) == 1
    assert "Helicone-Request-Id" in parsed.warnings[0]


def test_cache_headers() -> None:
    parsed = parse(
        Cache_Enabled="TRUE",
        Cache_Save="True",
        Cache_Read="false",
        Cache_Bucket_Max_Size="3",
        Cache_Seed="s",
        Cache_Ignore_Keys="request_id, user ,",
        Cache_Control="max-age=60",
        Cache_Debug="TRUE",
    )

    assert parsed.cache == CacheHeaders(True, True, False, 3, "s", ("request_id", "user"), "max-age=60", True)
    assert parsed.warnings == ()
    assert EMPTY.cache == CacheHeaders()


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        ('["a", "b,c"]', ("a", "b,c")),
        ('"a","b"', ("a", "b")),
        (" , ", ()),
        ("[]", ()),
    ],
)
def test_ignore_keys_are_a_list_in_any_of_its_known_forms(value: str, keys: tuple[str, ...]) -> None:
    assert parse(Cache_Ignore_Keys=value).cache.ignore_keys == keys


@pytest.mark.parametrize("value", ["[a]", '["a"', "[1]", '"a'])
def test_a_broken_array_of_ignore_keys_is_reported(value: str) -> None:
    parsed = parse(Cache_Ignore_Keys=value)

    assert parsed.cache.ignore_keys == ()
    assert "Helicone-Cache-Ignore-Keys" in parsed.warnings[0]


@pytest.mark.parametrize(
    ("value", "size", "warned"),
    [
        ("1", 1, 0),
        ("21", 21, 0),
        ("5x", 5, 1),
        ("0", None, 1),
        ("-1", None, 1),
        ("many", None, 1),
        ("9" * 5000, None, 1),
    ],
)
def test_bucket_size(value: str, size: int | None, warned: int) -> None:
    parsed = parse(Cache_Bucket_Max_Size=value)

    assert (parsed.cache.bucket_max_size, len(parsed.warnings)) == (size, warned)
    assert all(len(warning) < 150 for warning in parsed.warnings)


def test_retry_headers() -> None:
    parsed = parse(
        Retry_Enabled="true", Retry_Num="3", Retry_Factor="1.5", Retry_Min_Timeout="500", Retry_Max_Timeout="+8000"
    )

    assert parsed.retry == RetryHeaders(True, 3, 1.5, 500, 8000)
    assert EMPTY.retry == RetryHeaders(None, None, None, None, None)
    assert parse(Retry_Num="0").retry.num == 0
    assert parse(Retry_Factor="2").retry.factor == 2.0


@pytest.mark.parametrize("factor", ["0", "-1", "inf", "nan", "x", "", "." * 9, "9" * 400, "-0.0"])
def test_an_unusable_factor_is_not_said(factor: str) -> None:
    parsed = parse(Retry_Factor=factor)

    assert parsed.retry.factor is None
    assert len(parsed.warnings) == (1 if factor else 0)


def test_digits_before_something_else_are_taken_with_a_warning() -> None:
    parsed = parse(Retry_Factor="1.5x", Retry_Num="3 times")

    assert (parsed.retry.factor, parsed.retry.num, len(parsed.warnings)) == (1.5, 3, 2)


def test_enumerations_are_compared_case_insensitively_and_checked() -> None:
    assert parse(Gateway_Body_Mapping="responses").gateway_body_mapping == "RESPONSES"
    assert parse(Token_Limit_Exception_Handler="Middle-Out").token_limit_exception_handler == "middle-out"
    malformed = parse(Gateway_Body_Mapping="XML", Token_Limit_Exception_Handler="drop", Prompt_Mode="draft")
    assert malformed.gateway_body_mapping is None
    assert malformed.token_limit_exception_handler is None
    assert len(malformed.warnings) == 3
    assert "NO_MAPPING" in malformed.warnings[0]


def test_prompt_mode_defaults_by_prompt_id() -> None:
    assert EMPTY.prompt_mode == "deactivated"
    assert parse(Prompt_Id="p").prompt_mode == "production"
    assert parse(Prompt_Id="p", Prompt_Mode="testing").prompt_mode == "testing"
    assert parse(Prompt_Id="p", Prompt_Mode="nonsense").prompt_mode == "production"


def test_fallbacks_in_both_forms() -> None:
    entry = {"target-url": "https://a", "headers": {"Authorization": "Bearer sk-secret"}, "onCodes": [429]}
    parsed = parse(Fallbacks=json.dumps([entry]))

    assert parsed.fallbacks is not None
    assert parsed.fallbacks_error is None
    assert "sk-secret" not in repr(parsed)
    assert parse(Fallbacks='["gpt-4"]').fallbacks == ("gpt-4",)
    assert parse({"Helicone-Fallbacks": ["gpt-4"]}).fallbacks == ("gpt-4",)


def test_malformed_fallbacks_are_kept_for_whoever_uses_them_and_raise_nothing() -> None:
    parsed = parse(Fallbacks="[{")

    assert (parsed.fallbacks, parsed.fallbacks_raw) == (None, "[{")
    assert parsed.fallbacks_error is not None
    assert len(parsed.warnings) == 1


# Properties


def test_properties_are_compared_case_insensitively_and_shown_as_first_sent() -> None:
    properties = Properties([("App-Version", "1"), ("app-version", "2"), ("Env", "prod")])

    assert dict(properties) == {"App-Version": "1", "Env": "prod"}
    assert properties["APP-VERSION"] == "1"
    assert "env" in properties
    assert len(properties) == 2
    assert properties.get("nosuch") is None


def test_custom_properties_and_those_that_helicone_adds() -> None:
    parsed = parse(
        {"Helicone-Property-App-Version": "2"},
        Property_Env="prod",
        Property_="nameless",
        Session_Id="s",
        Session_Path="/p",
        Session_Name="n",
        Prompt_Id="p",
        Experiment_Id="e",
        Cache_Enabled="true",
        Cache_Seed="abc",
        Cache_Bucket_Max_Size="2",
        Cache_Control="max-age=1",
        Posthog_Key="k",
    )

    assert dict(parsed.properties) == {
        "env": "prod",
        "App-Version": "2",
        "Helicone-Session-Id": "s",
        "Helicone-Session-Path": "/p",
        "Helicone-Session-Name": "n",
        "Helicone-Prompt-Id": "p",
        "Helicone-Experiment-Id": "e",
        "Helicone-Cache-Enabled": "true",
        "Helicone-Cache-Seed": "abc",
        "Helicone-Cache-Bucket-Max-Size": "2",
        "Helicone-Cache-Control": "max-age=1",
        "Helicone-Sent-To-Posthog": "true",
    }


def test_a_property_cannot_pose_as_a_header() -> None:
    parsed = parse(Property_Helicone_Session_Id="fake", Session_Id="real")

    assert parsed.properties["Helicone-Session-Id"] == "real"


def test_values_are_utf_8_where_they_can_be() -> None:
    headers = Headers([(b"helicone-user-id", "zoë".encode()), (b"helicone-session-id", b"caf\xe9")])
    parsed = parse_helicone_headers(headers)

    assert (parsed.user_id, parsed.session_id) == ("zoë", "café")


# Metadata


def test_metadata_counts_as_headers_and_a_real_header_wins() -> None:
    metadata: dict[str, object] = {
        "Helicone-User-Id": "m",
        "helicone-session-id": "s",
        "Helicone-Retry-Num": 2,
        "other": 1,
    }
    parsed = parse(metadata, User_Id="h")

    assert (parsed.user_id, parsed.session_id, parsed.retry.num) == ("h", "s", 2)
    assert parse({**lift_metadata(metadata)[0]}, User_Id="h") == parsed


def test_the_key_is_not_kept() -> None:
    parsed = parse({"Helicone-Auth": "Bearer secret"}, User_Id="u")

    assert "secret" not in str(msgspec.structs.asdict(parsed))


def test_secrets_show_in_no_representation() -> None:
    text = repr(parse(Posthog_Key="phc_1", Lytix_Key="lx_1", Jwt="jwt_1", Manual_Access_Key="mak_1", Fallbacks="[fb_1"))

    assert not any(secret in text for secret in ("phc_1", "lx_1", "jwt_1", "mak_1", "fb_1"))


def test_the_first_of_repeated_headers_counts() -> None:
    headers = Headers([(b"helicone-user-id", b"a"), (b"helicone-user-id", b"b")])

    assert parse_helicone_headers(headers).user_id == "a"


def test_warnings_can_be_header_values() -> None:
    headers = Headers([(b"helicone-retry-num", "ü\x00\tjunk".encode()), (b"helicone-omit-request", b"\xff" * 300)])
    parsed = parse_helicone_headers(headers)

    assert len(parsed.warnings) == 2
    assert all(warning.isascii() and warning.isprintable() and len(warning) < 300 for warning in parsed.warnings)


def test_no_more_than_eight_warnings_are_given() -> None:
    malformed = {row.header.removeprefix("Helicone-").replace("-", "_"): "?" for row in ROWS if row.kind == "flag"}

    assert len(malformed) > 8
    assert len(parse(**malformed).warnings) == 8


def test_every_header_of_the_table_has_its_attribute() -> None:
    own = set(HeliconeHeaders.__struct_fields__)
    groups = {
        "cache": set(CacheHeaders.__struct_fields__),
        "retry": set(RetryHeaders.__struct_fields__),
    }

    assert all(row.attribute in (own if row.group is None else groups[row.group]) for row in ROWS)
    made = {"properties", "fallbacks", "fallbacks_error", "cache", "retry", "warnings"}
    assert own - {row.attribute for row in ROWS if row.group is None} == made


names = st.sampled_from([row.header for row in ROWS] + ["Helicone-Property-A", "Helicone-Auth", "Helicone-"])


@given(st.lists(st.tuples(names.map(str.encode), st.binary(max_size=30)), max_size=12))
def test_no_value_whatever_raises(fields: list[tuple[bytes, bytes]]) -> None:
    parsed = parse_helicone_headers(Headers(fields))

    assert len(parsed.warnings) <= len(fields)
    assert all(warning.isascii() and warning.isprintable() for warning in parsed.warnings)


def test_properties_keep_the_spelling_of_the_requests_own_head() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nHelicone-Property-AppVersion: 1\r\nhelicone-property-two: 2\r\n\r\n"
    headers = Headers({"host": "x", "helicone-property-appversion": "1", "helicone-property-two": "2"})
    parsed = parse_helicone_headers(headers, head=head)
    assert dict(parsed.properties) == {"AppVersion": "1", "two": "2"}
    assert dict(parse_helicone_headers(headers, head=b"GET / HTTP/1.1\r\n\r\n").properties) == {
        "appversion": "1",
        "two": "2",
    }
