"""Redaction: credentials never get through, everything else does."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_logging.redact import MARKER, OVERLAP, redact, redact_text

ALNUM = string.ascii_letters + string.digits
TOKEN = ALNUM + "-_"

KEYS = [
    "sk-" + "a1B2" * 12,
    "sk-proj-" + "Ab_-9" * 20,
    "sk-ant-api03-" + "x9Y-" * 20,
    "sk-or-v1-" + "0f" * 32,
    "sk-helicone-abcdefg-hijklmn",
    "pk-helicone-abcdefg-hijklmn",
    "AIzaSy" + "D3x-" * 8 + "a",
    "ya29." + "a0Af_" * 10,
    "gsk_" + "w3Xy" * 13,
    "xai-" + "Q1w2" * 10,
    "pplx-" + "0a9b" * 12,
    "hf_" + "AbCd" * 9,
    "r8_" + "Zy3x" * 9,
    "nvapi-" + "k-_9" * 12,
    "csk-" + "8y7x" * 10,
    "fw_" + "3Zq1" * 6,
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "9aZx" * 9,
    "github_pat_" + "11AB_" * 14,
    "glpat-" + "x-Y_" * 5,
    "xoxb-1234567890-abcdef",
    "sk_live_" + "4eC3" * 6,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
]

FIELDS = [
    *("api_key", "apiKey", "API_KEY", "openai_api_key", "x-api-key", "Authorization", "Helicone-Auth", "password"),
    *("client_secret", "access_token", "refresh_token", "secretAccessKey", "aws_secret_access_key", "private_key"),
]

PLACES = [
    "{}",
    "my key is {}.",
    "line one\n{}\nline three",
    "key={}",
    "Bearer {}",
    "('{}',)",
    "https://host/v1?key={}&alt=sse",
    "Authorization: Bearer {}",
    "%20{}%20",
]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:8])
@pytest.mark.parametrize("place", PLACES)
def test_keys_of_every_provider_wherever_they_stand(key: str, place: str) -> None:
    body = place.format(key)
    for stored in (
        redact_text(body),
        redact(json.dumps({"messages": [{"role": "user", "content": body}]}).encode()).decode(),
        redact(json.dumps({"arguments": json.dumps({"text": body})}).encode()).decode(),
    ):
        assert key not in stored
        assert MARKER in stored


@given(
    prefix=st.sampled_from(["sk-", "sk-ant-", "nvapi-", "glpat-", "Bearer "]),
    secret=st.text(TOKEN, min_size=20, max_size=200),
    before=st.text(max_size=19),
    after=st.text(max_size=19),
)
def test_a_planted_key_is_never_stored(prefix: str, secret: str, before: str, after: str) -> None:
    body = json.dumps({"content": f"{before} {prefix}{secret} {after}"}).encode()
    stored = redact(body)
    assert secret.encode() not in stored
    assert isinstance(json.loads(stored)["content"], str)


@given(
    name=st.sampled_from(FIELDS),
    secret=st.text(ALNUM, min_size=12, max_size=60),
)
def test_fields_that_hold_secrets_lose_their_value_at_any_depth(name: str, secret: str) -> None:
    plain = {"outer": [{name: secret, "model": "m"}]}
    nested = {"arguments": json.dumps(plain)}
    twice = {"arguments": json.dumps(nested)}
    for value in (plain, nested, twice):
        for separators in ((",", ":"), (", ", ": ")):
            stored = redact(json.dumps(value, separators=separators).encode())
            assert secret.encode() not in stored
            json.loads(stored)


@given(st.text(max_size=30), st.text(ALNUM + "._~ ", min_size=6, max_size=40), st.text(max_size=30))
def test_known_credentials_go_whatever_they_look_like(before: str, secret: str, after: str) -> None:
    assert secret.encode() not in redact(f"{before}{secret}{after}".encode(), [secret.encode()]).replace(
        MARKER.encode(), b"\0"
    )


pieces = st.one_of(
    st.sampled_from(
        [*KEYS, *FIELDS, *PLACES, '"', "\\", "\n", ": ", "{", "}", "-----BEGIN PRIVATE KEY-----", "://u:p@"]
    ),
    st.text(max_size=10),
)
strings = st.lists(pieces, max_size=8).map("".join)


@given(st.dictionaries(strings, st.one_of(strings, st.integers(), st.lists(strings, max_size=3)), max_size=5))
def test_json_stays_json(value: dict[str, object]) -> None:
    for text in (
        json.dumps(value),
        json.dumps({"arguments": json.dumps(value)}),
        json.dumps(value, ensure_ascii=False),
    ):
        stored = json.loads(redact(text.encode("utf-8", "surrogatepass")))
        if "arguments" in stored and "arguments" not in value:
            json.loads(stored["arguments"])


@pytest.mark.parametrize(
    "text",
    [
        "risk-assessment-framework-version-two",
        "the task-oriented-dialogue-benchmark",
        "the bearer certificate and the bearer bond",
        '{"tools":[{"parameters":{"properties":{"api_key":{"type":"string","description":"a key"}}}}]}',
        '{"logprobs":[{"token":"hello","logprob":-0.1}],"max_tokens":512}',
        '{"usage":{"prompt_tokens":10,"completion_tokens":5}}',
        "https://example.org:8080/path?monkey=1&page=2",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
        "print(api_key)",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact_text(text) == text


@given(st.binary())
def test_any_bytes_will_do(data: bytes) -> None:
    redact(data, cut=True)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:8])
def test_the_beginning_of_a_key_at_the_end_of_a_cut_body(key: str) -> None:
    for shown in range(11, len(key)):
        stored = redact(b'{"content":"here: ' + key[:shown].encode(), cut=True)
        assert stored == b'{"content":"here: [redacted]'


def test_the_beginning_of_a_secret_at_the_end_of_a_cut_body() -> None:
    assert redact(b'{"api_key": "qwert', cut=True) == b'{"api_key": "[redacted]'
    assert redact(b"Authorization: Bearer qw", cut=True) == b"Authorization: Bearer [redacted]"


def test_passwords_in_urls_and_signatures() -> None:
    assert redact_text("postgresql://me:hunter2@db/x") == f"postgresql://me:{MARKER}@db/x"
    assert redact_text("https://h/p?sv=1&sig=abc%3D&x=1") == f"https://h/p?sv=1&sig={MARKER}&x=1"


def test_private_keys() -> None:
    pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"
    for text in (pem, json.dumps(pem)):
        assert "MIIEow" not in redact_text(text)


UNITS = [
    *("sk-", " sk-", "eyJ", "aeyJ", "bearer ", '"secret', '\\"secret\\":  ', "\\", '"api_', "://a:", "-----BEGIN "),
    *("?key=", "Bearer", "key_", '\\"a_', "://", "PRIVATE KEY-----"),
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", UNITS)
def test_no_input_makes_it_slow(unit: str) -> None:
    """A pattern whose work grows with the square of its input would run into the timeout, by far."""
    body = (unit * (1_000_000 // len(unit)) + 'key" key\\ PRIVATE KEY-----').encode()
    assert len(redact(body, cut=True)) > 0


def test_overlap_is_longer_than_any_key_here() -> None:
    assert max(map(len, KEYS)) < OVERLAP
