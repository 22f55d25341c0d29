"""Whose credential a call carries: no secret of one origin ever reaches another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw import (
    AuthenticationFailed,
    BadRequest,
    Exchange,
    GatewayError,
    Headers,
    ProviderCredential,
    Request,
    Secret,
    Target,
)
from helicone_gw.config import ProviderConfig
from helicone_gw.helicone import parse_helicone_headers
from helicone_gw.pipeline.attempts import Call
from helicone_gw.testing import run_virtual
from helicone_gw.upstream.prepare import Preparer
from helicone_gw.upstream.providers import Catalogue

OWN = "sk-own-of-the-client"
CONFIGURED = {name: f"sk-configured-for-{name}" for name in ("openai", "groq", "anthropic", "gemini", "mistral")}
LISTED = "http://127.0.0.1:9999"
"""An allowed target that belongs to no provider."""

PROVIDERS = {
    **{name: ProviderConfig(api_key=Secret(key)) for name, key in CONFIGURED.items()},
    "house": ProviderConfig(base_url="http://127.0.0.1:8000/v1", dialect="openai", auth="none"),
    "byquery": ProviderConfig(base_url="http://127.0.0.1:8001", api_key=Secret("k&ey"), auth="query-key"),
}


def preparer(*allowed: str, **providers: ProviderConfig) -> Preparer:
    return Preparer(Catalogue.build(providers or PROVIDERS), allowed or ("127.0.0.1:9999",))


def exchange(credential: ProviderCredential | None = None, **changes: Any) -> Exchange:
    helicone = changes.pop("helicone", {})
    body = changes.pop("body", b'{"model": "gpt-4o", "messages": [], "temperature": 0.50}')
    request = Request(
        "POST",
        "/v1/chat/completions",
        "",
        Headers({"content-type": "application/json"}),
        body,
        "openai",
        "chat",
        parse_helicone_headers(Headers(helicone)),
        model="gpt-4o",
    )
    one = Exchange("id", request.replace(**changes), 0.0)
    one.credential = credential
    return one


async def prepared(one: Exchange, target: Target, prepare: Preparer | None = None) -> Call:
    return await (prepare or preparer())(one, target)


def own(provider: str = "openai", header: str = "authorization") -> ProviderCredential:
    return ProviderCredential(header, f"Bearer {OWN}" if header == "authorization" else OWN, provider)


async def test_the_configured_key_in_the_providers_own_style() -> None:
    openai = await prepared(exchange(), Target("openai", "gpt-4o"))
    assert openai.request.headers.get_all("authorization") == [f"Bearer {CONFIGURED['openai']}"]
    claude = await prepared(exchange(dialect="anthropic", operation="messages"), Target("anthropic", "claude"))
    assert claude.request.headers.get_all("x-api-key") == [CONFIGURED["anthropic"]]
    assert "authorization" not in claude.request.headers


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "api-key"])
async def test_the_clients_own_goes_to_the_provider_that_its_address_implies(header: str) -> None:
    call = await prepared(exchange(own(header=header)), Target("openai", "gpt-4o"))
    sent = [name for name, value in call.request.headers if OWN in value]
    assert sent == [header]
    assert CONFIGURED["openai"] not in str(list(call.request.headers))


async def test_and_to_no_other() -> None:
    call = await prepared(exchange(own()), Target("groq", "llama"))
    assert call.request.headers.get_all("authorization") == [f"Bearer {CONFIGURED['groq']}"]
    assert OWN not in str(list(call.request.headers)) + call.request.url


async def test_without_any_the_message_says_what_to_set() -> None:
    prepare = preparer(anthropic=ProviderConfig(api_key=Secret("sk")))
    with pytest.raises(AuthenticationFailed, match=r"OPENAI_API_KEY or providers\.openai\.api_key") as refused:
        await prepared(exchange(), Target("openai", "gpt-4o"), prepare)
    assert refused.value.code == "provider_key_not_found"
    assert refused.value.status == 401
    with pytest.raises(AuthenticationFailed):
        await prepared(exchange(own("anthropic")), Target("openai", "gpt-4o"), prepare)


async def test_a_provider_that_needs_none() -> None:
    call = await prepared(exchange(own()), Target("house", "llama"))
    assert [name for name, _ in call.request.headers] == ["content-type", "accept-encoding"]


async def test_a_key_for_the_query() -> None:
    call = await prepared(exchange(query="a=1&key=old"), Target("byquery", "gpt-4o"))
    assert call.request.url == "http://127.0.0.1:8001/chat/completions?a=1&key=k%26ey"
    assert "authorization" not in call.request.headers
    assert "k%26ey" not in repr(call.request)
    mine = await prepared(exchange(own("byquery", "?key")), Target("byquery", "gpt-4o"))
    assert mine.request.url.endswith(f"?key={OWN}")


async def test_the_target_that_a_client_names_gets_the_clients_own_credential() -> None:
    one = exchange(own(), helicone={"Helicone-Target-URL": LISTED})
    call = await prepared(one, Target("127.0.0.1", "gpt-4o", base_url=LISTED))
    assert call.request.headers.get_all("authorization") == [f"Bearer {OWN}"]
    assert call.request.url == f"{LISTED}/v1/chat/completions"
    assert call.request.address == "127.0.0.1"
    without = exchange(helicone={"Helicone-Target-URL": LISTED})
    call = await prepared(without, Target("127.0.0.1", "gpt-4o", base_url=LISTED))
    assert "authorization" not in call.request.headers, "an origin of nobody gets no configured key"
    prefixed = exchange(own(""), helicone={"Helicone-OpenAI-Api-Base": LISTED})
    call = await prepared(prefixed, Target("127.0.0.1", "gpt-4o", base_url=LISTED))
    assert call.request.headers.get_all("authorization") == [f"Bearer {OWN}"]


async def test_the_target_that_a_plugin_chose_does_not() -> None:
    for name in ("elsewhere", "openai"):
        call = await prepared(exchange(own()), Target(name, "gpt-4o", base_url=LISTED))
        assert OWN not in str(list(call.request.headers))
    call = await prepared(exchange(own("house")), Target("x", "gpt-4o", base_url="http://127.0.0.1:8000/v1"))
    assert call.request.headers.get("authorization") == f"Bearer {OWN}", "the address is that provider's"


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://10.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:9998",
        "https://evil.example",
        "http://api.openai.com",
        "https://api.openai.com:8443",
        "https://user:pw@api.openai.com",
        "https://api.openai.com@evil.example",
        "file:///etc/passwd",
        "http://[::1]:9999",
        "http://2130706433:9999",
        "https://api.openai.com/../x",
        "https://api.openai.com?x=1",
        "",
    ],
)
async def test_a_target_that_is_not_allowed_is_never_called(url: str) -> None:
    one = exchange(own(), helicone={"Helicone-Target-URL": url})
    with pytest.raises(BadRequest) as refused:
        await prepared(one, Target("x", "gpt-4o", base_url=url))
    assert refused.value.code == "target_not_allowed"


HEADERS = st.sampled_from(["authorization", "x-api-key", "api-key", "x-goog-api-key", "?key"])
NAMES = st.sampled_from([*CONFIGURED, "house", "byquery", "deepseek", "elsewhere"])
URLS = st.none() | st.sampled_from([LISTED, "http://127.0.0.1:8000/v1", "http://127.0.0.1:8001", "http://10.0.0.1"])


@given(
    credential=st.none() | st.builds(own, st.sampled_from([*CONFIGURED, ""]), HEADERS),
    dialect=st.sampled_from([("openai", "chat"), ("anthropic", "messages"), ("gemini", "generate_content")]),
    name=NAMES,
    url=URLS,
    client_named=st.booleans(),
    model=st.sampled_from([None, "gpt-4o", "other"]),
)
def test_no_secret_of_one_origin_is_ever_sent_to_another(
    credential: ProviderCredential | None,
    dialect: tuple[str, str],
    name: str,
    url: str | None,
    client_named: bool,
    model: str | None,
) -> None:
    one = exchange(
        credential,
        dialect=dialect[0],
        operation=dialect[1],
        helicone={"Helicone-Target-URL": url} if url and client_named else {},
    )
    catalogue = Catalogue.build(PROVIDERS)
    secrets = (OWN, "k&ey", *CONFIGURED.values())
    try:
        call = run_virtual(prepared(one, Target(name, model, base_url=url))).request
    except GatewayError as refused:
        told = refused.message
    else:
        told = ""
    assert not any(secret in told for secret in secrets)
    if told:
        return
    wire = f"{call.url}\n{list(call.headers)}\n{call.body!r}"
    for owner, key in {**CONFIGURED, "byquery": "k%26ey"}.items():
        origin = catalogue.get(owner).origin  # type: ignore[union-attr]
        assert key not in wire or call.url.startswith(f"{origin}/"), owner
    if OWN in wire:
        assert credential is not None
        origin = getattr(catalogue.get(credential.provider), "origin", None)
        assert client_named or call.url.startswith(f"{origin}/")
    assert wire.count(OWN) <= 1
