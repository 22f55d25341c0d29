"""The key of a question: what is the same for it, and what is not (contract 4.3 and 18.2, as COMPAT settles them)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import (
    Exchange,
    GatewayConfig,
    GatewayKey,
    Headers,
    HeliconeHeaders,
    Permits,
    ProviderCredential,
    Request,
)
from helicone_gw.config import ModelConfig, ProviderConfig, Secret
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw_cache.config import CacheConfig
from helicone_gw_cache.keys import HARMLESS, PARTS, Keys, canonical, matters
from helicone_gw_cache.policy import Policies

BODY = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Hi there"}]}'
ALICE = GatewayKey("config:alice", "alice", "alice")


def config(**sections: Any) -> GatewayConfig:
    return GatewayConfig.model_validate({"database": {"url": "sqlite://"}, **sections})


KEYS = Keys(config(), "a fingerprint")


def exchange(
    body: bytes = BODY,
    *,
    headers: dict[str, str] | None = None,
    helicone: dict[str, str] | None = None,
    key: GatewayKey | None = None,
    credential: ProviderCredential | None = None,
    **changes: Any,
) -> Exchange:
    said = {"helicone-cache-enabled": "true", **(helicone or {})}
    request = Request(
        method="POST",
        path="/v1/chat/completions",
        query="",
        headers=Headers(headers or {}),
        body=body,
        dialect="openai",
        operation="chat",
        helicone=parse_helicone_headers(Headers(said)),
        model="gpt-4o-mini",
    ).replace(**changes)
    made = Exchange("an-id", request, 0.0)
    made.key, made.credential = key, credential
    if key is not None:
        made.permits, made.organization = key.permits, key.organization
    return made


def key(body: bytes = BODY, *, keys: Keys = KEYS, **asked: Any) -> str:
    made = exchange(body, **asked)
    policy = Policies(CacheConfig()).of(made.request)
    assert policy is not None
    return keys.key(made, policy)


def bearer(value: str, header: str = "authorization", provider: str = "openai") -> ProviderCredential:
    return ProviderCredential(header, value, provider)


def test_it_is_a_hash() -> None:
    assert len(key()) == 64
    assert int(key(), 16)
    assert key() == key()


# What makes no difference


@pytest.mark.parametrize(
    "same",
    [
        {"body": json.dumps(json.loads(BODY), indent=2).encode()},
        {"body": b" \r\n\t" + BODY + b"\n"},
        {"helicone": {"helicone-user-id": "u"}},
        {"helicone": {"helicone-session-id": "s", "helicone-session-path": "/a", "helicone-session-name": "n"}},
        {"helicone": {"helicone-property-tier": "gold"}},
        {"helicone": {"helicone-request-id": "6f1c1a3e-2f5a-4c1e-9a55-0a53c1a3a001"}},
        {"helicone": {"helicone-omit-request": "true", "helicone-omit-response": "true"}},
        {"helicone": {"helicone-retry-enabled": "true"}},
        {"helicone": {"helicone-ratelimit-policy": "10;w=60"}},
        {"helicone": {"helicone-cache-debug": "true"}},
        {"helicone": {"helicone-cache-read": "true"}},
        {"helicone": {"helicone-cache-enabled": "TRUE"}},
        {"headers": {"cache-control": "max-age=60"}},
        {"headers": {"user-agent": "x/2", "accept": "*/*", "accept-encoding": "br", "traceparent": "00-1"}},
        {"headers": {"x-stainless-runtime-version": "3.11", "idempotency-key": "k", "x-request-id": "r"}},
    ],
)
def test_what_makes_no_difference(same: dict[str, Any]) -> None:
    assert key(**same) == key()


def test_one_sided_caching_fills_what_the_other_side_reads() -> None:
    saves = exchange(helicone={"helicone-cache-enabled": "", "helicone-cache-save": "true"})
    reads = exchange(helicone={"helicone-cache-enabled": "", "helicone-cache-read": "true"})
    found = [KEYS.key(one, policy) for one in (saves, reads) if (policy := Policies(CacheConfig()).of(one.request))]
    assert found == [key(), key()]


# What makes a difference

DIFFERENT: list[dict[str, Any]] = [
    {"body": b'{"messages":[{"role":"user","content":"Hi there"}],"model":"gpt-4o-mini"}'},
    {"body": BODY.replace(b"Hi there", b"Hi  there")},
    {"body": BODY.replace(b"Hi there", b"Hi ther\\u0065")},
    {"body": BODY[:-1] + b',"stream":true}', "stream": True},
    {"stream": True},
    {"body": BODY[:-1] + b',"seed":1}'},
    {"body": BODY[:-1] + b',"seed":1.0}'},
    {"body": BODY[:-1] + b',"seed":1e0}'},
    {"body": BODY[:-1] + b',"seed":12345678901234567890}'},
    {"body": BODY[:-1] + b',"seed":12345678901234567891}'},
    {"body": BODY[:-1] + b',"seed":NaN}'},
    {"body": BODY[:-1] + b',"model":"gpt-4o-mini"}'},
    {"body": b"not JSON"},
    {"helicone": {"helicone-cache-seed": "s"}},
    {"helicone": {"helicone-cache-bucket-max-size": "2"}},
    {"helicone": {"helicone-cache-ignore-keys": "seed"}},
    {"helicone": {"helicone-cache-control": "x"}},
    {"key": ALICE},
    {"key": GatewayKey("config:bob", "bob", "bob")},
    {"key": GatewayKey("config:alice-2", "alice-2", "alice")},
    {"key": GatewayKey("config:alice", "alice", "alice", organization="other")},
    {"key": GatewayKey("config:alice", "alice", "alice", permits=Permits(models=("gpt-4o-mini",)))},
    {"key": GatewayKey("config:alice", "alice", "alice", permits=Permits(providers=("gpt-4o-mini",)))},
    {"credential": bearer("Bearer sk-1")},
    {"credential": bearer("Bearer sk-2")},
    {"credential": bearer("Bearer sk-1", provider="groq")},
    {"credential": bearer("sk-1", "x-api-key")},
    {"credential": bearer("sk-1", "api-key")},
    {"credential": bearer("sk-1", "x-goog-api-key")},
    {"credential": bearer("sk-1", "?key")},
    {"credential": bearer("Bearer ya29.one")},
    {"credential": bearer("Bearer ya29.two")},
    {"provider": "openai"},
    {"provider": "groq"},
    {"router": "groq"},
    {"model": "gpt-4o-mini/azure"},
    {"path": "/v1/chat/completions/"},
    {"query": "api-version=1"},
    {"dialect": "anthropic"},
    {"operation": "completions"},
    {"helicone": {"helicone-target-url": "https://a.example.com"}},
    {"helicone": {"helicone-target-url": "https://b.example.com"}},
    {"helicone": {"helicone-openai-api-base": "https://a.example.com"}},
    {"helicone": {"helicone-moderations-enabled": "true"}},
    {"helicone": {"helicone-moderations-enabled": "false"}},
    {"helicone": {"helicone-llm-security-enabled": "true"}},
    {"helicone": {"helicone-llm-security-advanced": "true"}},
    {"helicone": {"helicone-peyeeye-enabled": "true"}},
    {"helicone": {"helicone-model-override": "gpt-4o"}},
    {"helicone": {"helicone-fallbacks": '["a", "b"]'}},
    {"helicone": {"helicone-fallbacks": '["a", "c"]'}},
    {"helicone": {"helicone-prompt-id": "p"}},
    {"helicone": {"helicone-prompt-id": "p", "helicone-prompt-version": "2"}},
    {"helicone": {"helicone-gateway-body-mapping": "RESPONSES"}},
    {"helicone": {"helicone-token-limit-exception-handler": "truncate"}},
    {"helicone": {"helicone-translation-strict": "true"}},
    {"headers": {"anthropic-beta": "a"}},
    {"headers": {"anthropic-version": "2023-06-01"}},
    {"headers": {"openai-organization": "org-1"}},
    {"headers": {"openai-project": "p"}},
    {"headers": {"cookie": "session=1"}},
    {"headers": {"x-auth-token": "1"}},
    {"headers": {"ocp-apim-subscription-key": "1"}},
]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, "__cf_bm=a"),
        ("__cf_bm=a; _cfuvid=b", "__cf_bm=c"),
        ("AWSALB=a; AWSALBCORS=b", "AWSALB=c"),
        ("session=1; GCLB=a", "session=1;GCLB=b"),
        ("helicone_gw_session=1", "helicone_gw_session=2"),
        ("__Host-helicone_gw_session=1", "__Secure-helicone_gw_session=2"),
    ],
)
def test_cookies_of_those_who_only_carry_make_none(one: str | None, other: str) -> None:
    first = key() if one is None else key(headers={"cookie": one})
    assert first == key(headers={"cookie": other})
    assert first != key(headers={"cookie": f"{other}; session=2"})


def test_what_makes_a_difference() -> None:
    found = {key(): "the plain question"}
    for different in DIFFERENT:
        made = key(**different)
        assert made not in found, f"{different} is as {found[made]}"
        found[made] = str(different)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # What ends one part could begin the next, were they simply put together.
        ({"path": "/v1/chat", "query": "/a"}, {"path": "/v1/chat/a", "query": ""}),
        ({"provider": "a", "router": None}, {"provider": None, "router": "a"}),
        ({"credential": bearer("b", "x-api-key", "a")}, {"credential": bearer("b", "a", "x-api-key")}),
        ({"headers": {"x-auth": "a", "x-key": "b"}}, {"headers": {"x-auth": "ax-keyb"}}),
        ({"helicone": {"helicone-cache-seed": "1"}}, {"helicone": {"helicone-cache-control": "1"}}),
        ({"helicone": {"helicone-cache-ignore-keys": "a,b"}}, {"helicone": {"helicone-cache-ignore-keys": '["a,b"]'}}),
        ({"key": GatewayKey("k", "n", "ab")}, {"key": GatewayKey("bk", "n", "a")}),
    ],
)
def test_no_part_passes_for_another(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert key(**one) != key(**other)


def test_a_google_token_is_no_part_where_a_gateway_key_says_who_asks() -> None:
    one, two = (bearer(f"Bearer ya29.{name}", provider="gemini") for name in ("one", "two"))
    assert key(key=ALICE, credential=one) == key(key=ALICE, credential=two)
    assert key(key=ALICE, credential=one) != key(key=ALICE)
    assert key(credential=one) != key(credential=two)
    assert key(key=ALICE, credential=bearer("Bearer xya29.one")) != key(key=ALICE, credential=bearer("Bearer xya29.2"))


def test_the_keys_of_one_owner_may_share() -> None:
    shared = Keys(config(), "a fingerprint", share="owner")
    second = GatewayKey("config:second", "second", "alice")
    assert key(keys=shared, key=ALICE) == key(keys=shared, key=second)
    assert key(keys=shared, key=ALICE) != key(keys=shared, key=GatewayKey("config:bob", "bob", "bob"))
    limited = GatewayKey("config:third", "third", "alice", permits=Permits(models=("gpt-4o*",)))
    assert key(keys=shared, key=ALICE) != key(keys=shared, key=limited), "it may use less"


def test_the_configuration_is_a_part() -> None:
    openai = ProviderConfig(api_key=Secret("sk-1"))
    there = {"openai": openai.model_copy(update={"base_url": "https://elsewhere.example.com/v1"})}
    models = {"house": ModelConfig(providers=("openai",))}
    found = {
        key(keys=Keys(config(), "one")),
        key(keys=Keys(config(), "another")),
        key(keys=Keys(config(providers={"openai": openai}), "one")),
        key(keys=Keys(config(providers=there), "one")),
        key(keys=Keys(config(models=models), "one")),
    }
    assert len(found) == 5
    rotated = {"openai": ProviderConfig(api_key=Secret("sk-2"))}
    assert key(keys=Keys(config(providers={"openai": openai}), "one")) == key(
        keys=Keys(config(providers=rotated), "one")
    )


def test_what_the_plugins_inside_look_at_is_a_part() -> None:
    vary = Keys(config(), "f", ["user", "property:Tier", "header:X-Tier", "session"])
    found = {
        key(keys=vary),
        key(keys=vary, user="u"),
        key(keys=vary, helicone={"helicone-property-tier": "gold"}),
        key(keys=vary, helicone={"helicone-session-id": "s"}),
        key(keys=vary, headers={"x-tier": "gold"}),
    }
    assert len(found) == 5
    assert key(keys=vary, helicone={"helicone-property-other": "x"}) == key(keys=vary)
    named = Keys(config(), "f", ["key"], share="owner")
    second = GatewayKey("config:second", "second", "alice")
    assert key(keys=named, key=ALICE) != key(keys=named, key=second)
    with pytest.raises(ValueError, match="is not user, session"):
        Keys(config(), "f", ["colour"])


def test_a_helicone_header_counts_unless_it_is_known_to_be_harmless() -> None:
    names = set(HeliconeHeaders.__struct_fields__)
    assert names >= HARMLESS
    plain = exchange()
    policy = Policies(CacheConfig()).of(plain.request)
    assert policy is not None
    for name in sorted(names - {"cache", "fallbacks", "properties", "retry", "warnings"}):
        said = plain.request.helicone.replace(**{name: "another value"})
        other = exchange(helicone={})
        other.request = other.request.replace(helicone=said)
        assert (KEYS.key(other, policy) == KEYS.key(plain, policy)) is (name in HARMLESS), name


def test_it_explains_itself_part_by_part() -> None:
    def parts(one: Exchange) -> dict[str, str]:
        policy = Policies(CacheConfig()).of(one.request)
        assert policy is not None
        return dict(part.split("=") for part in KEYS.explained(one, policy).split(", "))  # type: ignore[misc]

    plain = parts(exchange())
    assert tuple(plain) == PARTS
    other = parts(exchange(BODY + b" ", headers={"anthropic-beta": "b"}, query="a=1"))
    assert {name for name in PARTS if plain[name] != other[name]} == {"where", "headers"}
    secret = parts(exchange(credential=bearer("Bearer sk-1")))["sender"]
    assert secret != parts(exchange(credential=bearer("Bearer sk-1"), key=ALICE))["sender"], "told apart by caller"


def test_a_name_with_a_lone_surrogate_has_a_key() -> None:
    assert key(model="\ud800") != key(model="\ud801")


# The body


@pytest.mark.parametrize(
    ("ignored", "body", "left"),
    [
        (("request_id",), b'{"a":1,"request_id":"x"}', b'{"a":1}'),
        (("request_id",), b'{"request_id":{"b":[1,"]}"]},"a":1}', b'{"a":1}'),
        (("request_id",), b'{"a":{"request_id":1}}', b'{"a":{"request_id":1}}'),
        (("request_id",), b'{"request_id":1,"a":2,"request_id":3}', b'{"a":2}'),
        (("request_id",), b'{"request\\u005fid":1,"a":2}', b'{"a":2}'),
        (("a", "b"), b'{"a":1,"b":"a\\"b,","c":[]}', b'{"c":[]}'),
        (("a",), b'{"a":1}', b"{}"),
        (("a",), b"{}", b"{}"),
        (("a",), b'["a"]', b'["a"]'),
        (("a",), b'{"b":"a","a":[{"a":1},2],"c":{"a":1}}', b'{"b":"a","c":{"a":1}}'),
        (("a",), b'{"\\ud800":1,"a":2}', b'raw:{"\\ud800":1,"a":2}'),
        (("a",), b'{"\xff":1,"a":2}', b'{"\xff":1}'),
        ((), b'{"a": [1, 2 ], "b" : null}', b'{"a":[1,2],"b":null}'),
        ((), b'{"a": 1 2}', b'raw:{"a": 1 2}'),
        ((), b'{"a": NaN}', b'raw:{"a": NaN}'),
        (("a",), b'{"a": NaN}', b'raw:{"a": NaN}'),
        ((), b"", b"raw:"),
    ],
)
def test_the_body_without_whitespace_and_ignored_keys(ignored: tuple[str, ...], body: bytes, left: bytes) -> None:
    assert canonical(body, ignored) == left


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=4), children, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=5), st.sampled_from([None, 0, 2]), st.booleans())
def test_whitespace_is_all_that_goes(value: dict[str, Any], indent: int | None, plain: bool) -> None:
    written = json.dumps(value, indent=indent, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    compact = json.dumps(value, separators=(",", ":"), ensure_ascii=plain).encode("utf-8", "surrogatepass")
    assert canonical(written) == compact


@given(st.dictionaries(st.text(max_size=3), VALUES, max_size=6), st.lists(st.text(max_size=3), max_size=3))
def test_ignored_keys_go_and_nothing_else(value: dict[str, Any], more: list[str]) -> None:
    ignored = tuple({*list(value)[:2], *more})
    left = {name: item for name, item in value.items() if name not in ignored}
    assert canonical(json.dumps(value).encode(), ignored) == json.dumps(left, separators=(",", ":")).encode()


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_two_bodies_are_the_same_only_if_their_tokens_are(one: bytes, other: bytes) -> None:
    if canonical(one) == canonical(other) and one != other:
        assert json.loads(one) == json.loads(other)


@pytest.mark.parametrize(
    "name", ["authorization-x", "x-my-secret", "openai-beta", "x-tenant", "api-version", "x-amz-date"]
)
def test_fields_that_matter(name: str) -> None:
    assert matters(name.encode())


@pytest.mark.parametrize("name", ["user-agent", "accept", "x-stainless-lang", "sec-fetch-site", "traceparent", "date"])
def test_fields_that_do_not(name: str) -> None:
    assert not matters(name.encode())


BOB = GatewayKey("config:bob", "bob", "bob", "acme", permits=Permits(models=("gpt-4o-mini",)))
CREDENTIALS = (None, bearer("Bearer sk-one"), bearer("Bearer sk-two"), bearer("Bearer sk-one", provider="groq"))
ASKED = st.fixed_dictionaries(
    {
        "body": st.sampled_from([BODY, b"{ }", b"no json", BODY.replace(b"Hi", b"Ho")]),
        "helicone": st.sampled_from([{}, {"helicone-cache-seed": "a"}, {"helicone-moderations-enabled": "true"}]),
        "key": st.sampled_from([None, ALICE, BOB]),
        "credential": st.sampled_from(CREDENTIALS),
        "model": st.sampled_from(["gpt-4o-mini", "gpt-4o", "\ud800"]),
        "stream": st.booleans(),
    }
)


@given(st.lists(ASKED, min_size=2, max_size=8))
def test_what_is_kept_for_one_head_changes_no_key(asked: list[dict[str, Any]]) -> None:
    said = {"openai-organization": "o", "accept": "text/plain"}
    one = Headers(said)
    policies = Policies(CacheConfig())
    for each in asked:
        again, alone = exchange(headers=said, **each), exchange(headers=said, **each)
        again.request = again.request.replace(headers=one)
        policy = policies.of(again.request)
        assert policy is not None
        assert KEYS.key(again, policy) == KEYS.key(alone, policy)
        assert KEYS.key(again, policy) == Keys(config(), "a fingerprint").key(again, policy)


def test_what_is_kept_is_asked_for_once() -> None:
    one, other = exchange(), exchange(BODY.replace(b"Hi", b"Ho"))
    other.request = other.request.replace(headers=one.request.headers, helicone=one.request.helicone)
    policy = Policies(CacheConfig()).of(one.request)
    assert policy is not None
    first = KEYS.key(one, policy)
    kept = dict(one.request.headers.kept)
    assert len(kept) == 1
    assert KEYS.key(other, policy) != first
    assert {name: id(value) for name, value in one.request.headers.kept.items()} == {
        name: id(value) for name, value in kept.items()
    }
    other.key, other.organization = ALICE, "acme"
    assert KEYS.key(other, policy) not in (first, KEYS.key(one, policy))
