"""Scopes: what must be the same, and what need not, before one question may be answered like another."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from helicone_gw import Exchange, GatewayKey, Headers, HeliconeHeaders, Permits, ProviderCredential, Request
from helicone_gw_semantic_cache.questions import question_of
from helicone_gw_semantic_cache.scope import MEANINGLESS, Scopes

SCOPES = Scopes("policy", (), (), users_apart=True)
BODY = {"model": "m", "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi?"}]}
KEY = GatewayKey("k1", "alice", "alice")
CREDENTIAL = ProviderCredential("authorization", "Bearer sk-1", "openai")


def exchange(
    body: Any = BODY,
    *,
    headers: dict[str, str] | None = None,
    helicone: HeliconeHeaders | None = None,
    key: GatewayKey | None = KEY,
    credential: ProviderCredential | None = CREDENTIAL,
    organization: str = "default",
    permits: Permits | None = None,
    **fields: Any,
) -> Exchange:
    request = Request(
        **{
            "method": "POST",
            "path": "/v1/chat/completions",
            "query": "",
            "headers": Headers(headers or {}),
            "body": msgspec.json.encode(body),
            "dialect": "openai",
            "operation": "chat",
            "helicone": helicone or HeliconeHeaders(),
            "model": "m",
            **fields,
        }
    )
    made = Exchange("id", request, 0.0)
    made.key, made.credential, made.organization, made.permits = key, credential, organization, permits
    return made


def digest(made: Exchange, scopes: Scopes = SCOPES) -> bytes:
    question = question_of(made.request)
    assert question is not None
    return scopes.digest(made, question)


def with_text(text: str) -> dict[str, Any]:
    return {**BODY, "messages": [BODY["messages"][0], {"role": "user", "content": text}]}


def test_a_session_at_the_provider_is_a_scope_and_a_load_balancer_s_cookie_is_none() -> None:
    one = digest(exchange(headers={"cookie": "session=1; AWSALB=a"}))
    assert one == digest(exchange(headers={"cookie": "__cf_bm=b; session=1"}))
    assert one != digest(exchange(headers={"cookie": "session=2; AWSALB=a"}))
    assert digest(exchange(headers={"cookie": "_cfuvid=c"})) == digest(exchange())


@given(st.text(min_size=1).filter(lambda text: not text.isspace() and text.isprintable()))
def test_another_question_is_in_the_same_scope(text: str) -> None:
    if text in ("Be kind.", "user", "system", "m", "role", "content", "model", "messages"):
        return  # stands elsewhere, too: see the tests of questions
    assert digest(exchange(with_text(text))) == digest(exchange())


@pytest.mark.parametrize(
    "other",
    [
        {"key": None},
        {"key": GatewayKey("k2", "alice-2", "alice")},
        {"key": GatewayKey("k1", "alice", "bob")},
        {"organization": "acme"},
        {"permits": Permits(models=("m",))},
        {"credential": None},
        {"credential": ProviderCredential("authorization", "Bearer sk-2", "openai")},
        {"credential": ProviderCredential("x-api-key", "Bearer sk-1", "openai")},
        {"credential": ProviderCredential("authorization", "Bearer sk-1", "groq")},
        {"path": "/v1/other"},
        {"query": "beta=true"},
        {"model": "m2"},
        {"model": None},
        {"provider": "openai"},
        {"router": "fast"},
        {"stream": True},
        {"headers": {"openai-organization": "org"}},
        {"headers": {"anthropic-beta": "x"}},
        {"headers": {"x-new-header": "1"}},
        {"body": {**BODY, "temperature": 0.5}},
        {"body": {**BODY, "tools": []}},
        {"body": {"messages": BODY["messages"], "model": "m"}},  # the order of keys may matter to somebody
        {"body": {**BODY, "messages": [{"role": "system", "content": "Be rude."}, BODY["messages"][1]]}},
        {"body": {**BODY, "messages": [{"role": "user", "content": "Before"}, *BODY["messages"]]}},
        {"helicone": HeliconeHeaders(user_id="u")},
        {"helicone": HeliconeHeaders(llm_security_enabled=True)},
        {"helicone": HeliconeHeaders(moderations_enabled=True)},
        {"helicone": HeliconeHeaders(prompt_id="p")},
        {"helicone": HeliconeHeaders(target_url="https://example.com")},
        {"helicone": HeliconeHeaders(fallbacks_raw="[]")},
        {"helicone": replace(HeliconeHeaders(), cache=replace(HeliconeHeaders().cache, seed="s"))},
    ],
    ids=str,
)
def test_anything_else_that_differs_is_another_scope(other: dict[str, Any]) -> None:
    assert digest(exchange(**other)) != digest(exchange())


@pytest.mark.parametrize(
    "other",
    [
        {"headers": {"user-agent": "x", "traceparent": "00", "x-stainless-os": "Linux", "idempotency-key": "1"}},
        {"headers": {"accept-encoding": "br", "x-forwarded-for": "1.2.3.4", "content-length": "7"}},
        {"helicone": HeliconeHeaders(request_id="r", session_id="s", properties={"a": "b"})},
        {"helicone": HeliconeHeaders(rate_limit_policy="10;w=60", omit_request=True, warnings=("w",))},
    ],
    ids=str,
)
def test_what_changes_no_answer_is_the_same_scope(other: dict[str, Any]) -> None:
    assert digest(exchange(**other)) == digest(exchange())


def test_every_field_of_the_headers_counts_unless_it_is_known_to_change_nothing() -> None:
    names = set(HeliconeHeaders.__struct_fields__)
    assert names >= MEANINGLESS
    for name in names - MEANINGLESS - {"prompt_mode", "gateway_body_mapping"}:
        changed = replace(HeliconeHeaders(), **{name: "changed"})
        assert digest(exchange(helicone=changed)) != digest(exchange()), name


def test_the_plugins_inside_count() -> None:
    assert digest(exchange(), Scopes("other policy", (), (), users_apart=True)) != digest(exchange())


def test_users_may_share_by_configuration() -> None:
    together = Scopes("policy", (), (), users_apart=False)
    one, other = (exchange(helicone=HeliconeHeaders(user_id=name)) for name in "ab")
    assert digest(one, together) == digest(other, together)
    assert digest(one) != digest(other)


def test_further_headers_can_be_left_out() -> None:
    scopes = Scopes("policy", (), ("X-Trace",), users_apart=True)
    assert digest(exchange(headers={"x-trace": "1"}), scopes) == digest(exchange(), scopes)


@pytest.mark.parametrize(
    ("vary", "other"),
    [
        ("session", {"helicone": HeliconeHeaders(session_id="s")}),
        ("property:tier", {"helicone": HeliconeHeaders(properties={"tier": "free"})}),
        ("header:user-agent", {"headers": {"user-agent": "x"}}),
        ("user", {"helicone": HeliconeHeaders(user_id="u")}),
    ],
)
def test_what_the_plugins_inside_look_at_counts(vary: str, other: dict[str, Any]) -> None:
    scopes = Scopes("policy", (vary,), (), users_apart=False)
    assert digest(exchange(**other), scopes) != digest(exchange(), scopes)


def test_one_header_does_not_pass_for_two() -> None:
    assert digest(exchange(headers={"a": "1b: 2"})) != digest(exchange(headers={"a": "1", "b": "2"}))


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "ab"]), st.sampled_from(["", "1", "11"])), max_size=3),
    st.lists(st.tuples(st.sampled_from(["a", "b", "ab"]), st.sampled_from(["", "1", "11"])), max_size=3),
)
def test_no_part_passes_for_the_end_of_another(one: Any, other: Any) -> None:
    first, second = (exchange(headers=dict(pairs)) for pairs in (one, other))
    same = first.request.headers.raw == second.request.headers.raw
    assert (digest(first) == digest(second)) is same
