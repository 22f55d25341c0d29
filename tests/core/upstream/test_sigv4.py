"""Signature Version 4: AWS's published example, and the same signatures as AWS's own library for any request."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.headers import Headers
from helicone_gw.upstream.sigv4 import AwsCredentials, signed

AT = float(calendar.timegm((2026, 11, 26, 12, 36, 4)))
KEYS = AwsCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-3-5-sonnet-20241022-v2%3A0/converse"


def sign(
    url: str = URL, headers: Headers | None = None, body: bytes = b"{}", keys: AwsCredentials = KEYS, at: float = AT
) -> Headers:
    fields = headers or Headers({"content-type": "application/json"})
    return signed("POST", url, fields, body, keys, region="us-east-1", service="bedrock", at=at)


def as_botocore_does(
    method: str, url: str, headers: Headers, body: bytes, keys: AwsCredentials, region: str, at: float
) -> dict[str, str]:
    request = AWSRequest(method=method, url=url, data=body)
    for name, value in headers:
        request.headers.add_header(name, value)
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    moment = datetime.fromtimestamp(int(at), UTC).replace(tzinfo=None)
    with patch("botocore.auth.get_current_datetime", lambda: moment):
        SigV4Auth(credentials, "bedrock", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def test_the_example_of_the_documentation() -> None:
    # "Signature Version 4 test suite", get-vanilla-query-order-key-case.
    url = "https://example.amazonaws.com/?Param2=value2&Param1=value1"
    at = float(calendar.timegm((2015, 8, 30, 12, 36, 0)))
    headers = signed("GET", url, Headers(), b"", KEYS_OF_THE_SUITE, region="us-east-1", service="service", at=at)
    assert headers.get("x-amz-date") == "20150830T123600Z"
    assert headers.get("authorization") == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
    )


KEYS_OF_THE_SUITE = AwsCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

SEGMENTS = st.text("abcXYZ019-._~:@!$&'()*+,;=", max_size=8) | st.sampled_from(
    ["", ".", "..", "%3A0", "%2F", "%252F", "%20", "anthropic.claude-v2:1", "arn:aws:bedrock:us-east-1:1:model%2Fx"]
)
PATHS = st.lists(SEGMENTS, max_size=6).map(lambda segments: "/" + "/".join(segments))
PAIRS = st.tuples(st.text("abAB0-_.~%", max_size=5), st.text("abAB0-_.~%=", max_size=5)).map("=".join) | st.just("flag")
QUERIES = st.lists(PAIRS, max_size=5).map("&".join)
HOSTS = st.sampled_from(
    [
        "bedrock-runtime.us-east-1.amazonaws.com",
        "Bedrock-Runtime.EU-west-1.amazonaws.com:443",
        "vpce-1.example.com:8443",
        "127.0.0.1:4010",
        "[::1]:9000",
    ]
)
VALUES = st.text("abc /;=*,\t", max_size=12).map(str.strip)
SIGNED_NAMES = st.sampled_from(["content-type", "x-amz-target", "x-amz-meta", "X-Amz-Bedrock-Trace"])
FIELDS = st.lists(st.tuples(SIGNED_NAMES, VALUES), max_size=5, unique_by=lambda each: each[0])
OTHERS = st.lists(st.tuples(st.sampled_from(["accept", "user-agent", "x-stainless-os", "expect"]), VALUES), max_size=3)
SECRETS = st.text("abcDEF/+=019", min_size=1, max_size=40)
CREDENTIALS = st.builds(AwsCredentials, st.just("AKID"), SECRETS, st.none() | SECRETS)


def encoded(fields: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in fields]


@given(
    st.sampled_from(["POST", "GET", "put"]),
    st.sampled_from(["https", "http"]),
    HOSTS,
    PATHS,
    QUERIES,
    FIELDS,
    OTHERS,
    st.binary(max_size=64),
    CREDENTIALS,
    st.sampled_from(["us-east-1", "eu-central-2"]),
    st.integers(0, 4_000_000_000),
)
def test_any_request_is_signed_as_awss_own_library_signs_it(
    method: str,
    scheme: str,
    host: str,
    path: str,
    query: str,
    fields: list[tuple[str, str]],
    others: list[tuple[str, str]],
    body: bytes,
    keys: AwsCredentials,
    region: str,
    at: int,
) -> None:
    url = f"{scheme}://{host}{path}" + (f"?{query}" if query else "")
    ours = signed(
        method, url, Headers(encoded(others + fields)), body, keys, region=region, service="bedrock", at=float(at)
    )
    theirs = as_botocore_does(method, url, Headers(encoded(fields)), body, keys, region, at)
    for name in ("authorization", "x-amz-date", "x-amz-security-token"):
        assert ours.get(name) == theirs.get(name)


def test_a_model_id_is_encoded_once_on_the_wire_and_twice_in_the_signature() -> None:
    headers = sign()
    assert (
        headers.get("authorization")
        == as_botocore_does("POST", URL, Headers({"content-type": "application/json"}), b"{}", KEYS, "us-east-1", AT)[
            "authorization"
        ]
    )
    assert headers.get("authorization") != sign(URL.replace("%3A", ":")).get("authorization")


def test_fields_that_are_not_signed_stay_and_do_not_matter() -> None:
    plain = sign()
    noisy = sign(headers=Headers({"content-type": "application/json", "user-agent": "x", "accept": "*/*"}))
    assert noisy.get("authorization") == plain.get("authorization")
    assert noisy.get("user-agent") == "x"


def test_several_fields_of_one_name_are_signed_as_one() -> None:
    twice = Headers([(b"x-amz-meta", b"a"), (b"x-amz-meta", b"b  c")])
    once = Headers({"x-amz-meta": "a,b c"})
    assert sign(headers=twice).get("authorization") == sign(headers=once).get("authorization")


def test_what_an_earlier_signature_left_is_replaced() -> None:
    temporary = AwsCredentials("AKIDEXAMPLE", "secret", "token-1")
    first = sign(keys=temporary)
    assert first.get_all("x-amz-security-token") == ["token-1"]
    again = sign(headers=first)
    assert again == sign()
    assert "x-amz-security-token" not in again


@pytest.mark.parametrize("changed", [{"body": b"{} "}, {"url": f"{URL}?a=b"}, {"at": AT + 1}])
def test_body_address_and_time_are_part_of_the_signature(changed: dict[str, object]) -> None:
    assert sign(**changed).get("authorization") != sign().get("authorization")  # type: ignore[arg-type]


def test_a_hash_that_is_given_stands_for_the_body() -> None:
    hashed = Headers({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    assert sign(headers=hashed, body=b"a").get("authorization") == sign(headers=hashed, body=b"b").get("authorization")


def test_nothing_of_a_credential_shows() -> None:
    shown = repr(AwsCredentials("AKIDEXAMPLE", "very-secret", "token"))
    assert re.search("AKID|secret|token-|very", shown.replace("secret_access_key", "")) is None
