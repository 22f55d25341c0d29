"""Pages of other sites: which may call, what browsers are told, and that a key can be kept to some of them."""

from __future__ import annotations

import pytest

from helicone_gw import Gateway, GatewayKey, Permits, Plugin, hookimpl
from helicone_gw.testing import GatewayFactory

PAGE = "https://app.example.com"
ASKING = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type",
}
PRIVATE = {"access-control-request-private-network": "true"}
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}


KEYS = {
    "sk-anybody": GatewayKey("1", "anybody", "ann"),
    "sk-page": GatewayKey("2", "page", "ann", permits=Permits(origins=(PAGE,))),
    "sk-network": GatewayKey("3", "network", "ann", permits=Permits(networks=("10.0.0.0/8",))),
    "sk-read": GatewayKey("4", "reader", "ann", scope="read"),
    "sk-write": GatewayKey("5", "writer", "ann", scope="write"),
}


class Doorman(Plugin):
    """One key for everybody, one for a page, one for a network, and two that do half of everything."""

    configured = True

    async def lookup(self, secret: str) -> GatewayKey | None:
        return KEYS.get(secret)

    async def knows(self, secret: str) -> bool:
        return secret in KEYS

    @hookimpl
    async def startup(self, gateway: Gateway) -> None:
        gateway.keys.register(self)


CLASSES: dict[str, type[Plugin]] = {"doorman": Doorman}
CORS = {"origins": [PAGE, "https://other.example.com"], "max_age": 60}


def bearing(key: str, **fields: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", **{name.replace("_", "-"): value for name, value in fields.items()}}


async def test_a_browser_that_asks_beforehand_is_answered_without_a_key(gateway: GatewayFactory) -> None:
    async with gateway(["doorman"], config={"server": {"cors": CORS}}, classes=CLASSES) as running:
        for path in ("/v1/chat/completions", "/healthz", "/nowhere"):
            told = await running.request("OPTIONS", path, headers=ASKING)
            assert told.status == 204
            assert told.headers.get("access-control-allow-origin") == PAGE
            assert told.headers.get("access-control-allow-headers") == "authorization, content-type"
            assert told.headers.get("access-control-max-age") == "60"
            assert told.headers.get("vary") == "Origin"
            assert "access-control-allow-credentials" not in told.headers, "cookies never count"


async def test_pages_that_are_not_listed_are_told_nothing(gateway: GatewayFactory) -> None:
    async with gateway(["doorman"], config={"server": {"cors": CORS}}, classes=CLASSES) as running:
        for origin in (
            "https://evil.example",
            "https://app.example.com.evil.example",
            "null",
            "http://app.example.com",
        ):
            told = await running.request("OPTIONS", "/v1/chat/completions", headers={**ASKING, "origin": origin})
            assert told.status == 401
            assert "access-control-allow-origin" not in told.headers


async def test_nothing_is_told_unless_it_is_configured(gateway: GatewayFactory) -> None:
    async with gateway(["doorman"], config={"server": {}}, classes=CLASSES) as running:
        told = await running.request("OPTIONS", "/v1/chat/completions", headers=ASKING)
        assert told.status == 401
        assert "access-control-allow-origin" not in told.headers


@pytest.mark.parametrize("stream", [False, True])
async def test_a_page_may_read_its_answer_and_a_refusal(gateway: GatewayFactory, stream: bool) -> None:
    async with gateway(["doorman"], config={"server": {"cors": CORS}}, classes=CLASSES) as running:
        body = {**CHAT, "stream": stream}
        for key, status in (("sk-anybody", 200), ("sk-wrong", 401)):
            answer = await running.request("POST", "/v1/chat/completions", json=body, headers=bearing(key, origin=PAGE))
            assert answer.status == status
            assert answer.headers.get_all("access-control-allow-origin") == [PAGE]
            assert answer.headers.get("access-control-expose-headers") == "*"


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [({"origin": PAGE}, True), ({"origin": "https://other.example.com"}, False), ({}, False)],
)
async def test_a_key_may_be_kept_to_its_pages(gateway: GatewayFactory, origin: dict[str, str], allowed: bool) -> None:
    async with gateway(["doorman"], config={"server": {"cors": CORS}}, classes=CLASSES) as running:
        answer = await running.request("POST", "/v1/chat/completions", json=CHAT, headers=bearing("sk-page", **origin))
        assert answer.status == (200 if allowed else 403)
        if not allowed:
            assert answer.json()["error"]["code"] == "origin_not_permitted"
            assert not running.provider.requests


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [("10.1.2.3", 200), ("203.0.113.7", 403), ("10.1.2.3, 203.0.113.7", 403), ("nonsense", 403)],
)
async def test_a_key_may_be_kept_to_its_networks(gateway: GatewayFactory, forwarded: str, status: int) -> None:
    async with gateway(["doorman"], config={"server": {"trusted_proxies": ["127.0.0.1"]}}, classes=CLASSES) as running:
        headers = bearing("sk-network", x_forwarded_for=forwarded)
        answer = await running.request("POST", "/v1/chat/completions", json=CHAT, headers=headers)
        assert answer.status == status
        if status == 200:
            assert running.exchanges[-1].client == forwarded
            sent = running.provider.requests[-1]
            assert "x-forwarded-for" not in sent.headers, "whoever the client is, is no provider's business"


async def test_the_word_of_a_stranger_opens_no_network(gateway: GatewayFactory) -> None:
    async with gateway(["doorman"], config={"server": {}}, classes=CLASSES) as running:
        headers = bearing("sk-network", x_forwarded_for="10.1.2.3")
        answer = await running.request("POST", "/v1/chat/completions", json=CHAT, headers=headers)
        assert answer.status == 403
        assert answer.json()["error"]["code"] == "address_not_permitted"


async def test_a_key_that_reads_calls_no_provider(gateway: GatewayFactory) -> None:
    async with gateway(["doorman"], config={"server": {}}, classes=CLASSES) as running:
        answer = await running.request("POST", "/v1/chat/completions", json=CHAT, headers=bearing("sk-read"))
        assert (answer.status, answer.json()["error"]["code"]) == (403, "scope_required")
        assert not running.provider.requests
        answer = await running.request("POST", "/v1/chat/completions", json=CHAT, headers=bearing("sk-write"))
        assert answer.status == 200


async def test_without_keys_a_listed_page_calls_providers_and_nothing_else(gateway: GatewayFactory) -> None:
    async with gateway([], config={"server": {"cors": CORS}}) as running:
        page = {"origin": PAGE, "sec-fetch-site": "cross-site"}
        asked = await running.request("OPTIONS", "/v1/chat/completions", headers={**ASKING, **PRIVATE})
        assert asked.headers.get("access-control-allow-private-network") == "true"
        called = await running.request("POST", "/v1/chat/completions", json=CHAT, headers=page)
        assert (called.status, called.headers.get("access-control-allow-origin")) == (200, PAGE)
        for headers in ({**page, "origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
            refused = await running.request("POST", "/v1/chat/completions", json=CHAT, headers=headers)
            assert (refused.status, refused.headers.get("access-control-allow-origin")) == (403, None)
        assert (await running.request("GET", "/healthz", headers=page)).status == 200
        rebound = {**page, "host": "evil.example"}
        assert (await running.request("POST", "/v1/chat/completions", json=CHAT, headers=rebound)).status == 403


async def test_without_keys_any_page_is_no_page(gateway: GatewayFactory) -> None:
    async with gateway([], config={"server": {"cors": {"origins": ["*"]}}}) as running:
        refused = await running.request("POST", "/v1/chat/completions", json=CHAT, headers={"origin": PAGE})
        assert refused.status == 403


async def test_without_keys_no_page_of_another_site_reads_our_own(gateway: GatewayFactory) -> None:
    async with gateway(["metrics"], config={"server": {"cors": CORS}}) as running:
        assert (await running.request("GET", "/metrics", headers={"origin": PAGE})).status == 403
        assert (await running.request("GET", "/metrics")).status == 200
