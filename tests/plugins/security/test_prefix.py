"""Behind a proxy that takes a prefix off the paths, or speaks https: where browsers are sent, and what they keep."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway
from tests.plugins.security.people import PASSWORD, USERS, Browser, security

PLUGINS = [security(users=USERS)]
PROXY = {"server": {"trusted_proxies": ["127.0.0.0/8"]}}
HTML = {"accept": "text/html"}
FORM = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
FILLED = f"email=ann%40example.com&password={PASSWORD.replace(' ', '+')}&next=/keys".encode()


def serving(running: RunningGateway) -> RunningGateway:
    running.gateway.keys.login_page = "/login"
    return running


async def led(running: RunningGateway, **headers: str) -> tuple[str | None, str | None, str]:
    """Where a browser is sent to log in, where the login leads, and the name and path of its cookie."""
    asked = await running.request("GET", "/v1/audit", headers={**HTML, **headers})
    done = await running.request("POST", "/auth/login", content=FILLED, headers={**FORM, **headers})
    (cookie,) = done.headers.get_all("set-cookie")
    name = cookie.partition("=")[0]
    path = next(part.strip() for part in cookie.split(";") if part.strip().startswith("Path="))
    return asked.headers.get("location"), done.headers.get("location"), f"{name} {path}"


async def test_a_trusted_proxys_prefix_stands_before_every_address(gateway: GatewayFactory) -> None:
    async with gateway(PLUGINS, config=PROXY) as running:
        told = await led(serving(running), **{"x-forwarded-prefix": "/llm/", "x-forwarded-proto": "https"})
        assert told == ("/llm/login?next=/v1/audit", "/llm/keys", "__Secure-helicone_gw_session Path=/llm/")


@pytest.mark.parametrize(
    "prefix", ["//evil.example", "/a/../b", "https://evil.example", "/a b", "/a\\b", "a", "/" + "a" * 200]
)
async def test_what_is_no_path_is_no_prefix(gateway: GatewayFactory, prefix: str) -> None:
    async with gateway(PLUGINS, config=PROXY) as running:
        told = await led(serving(running), **{"x-forwarded-prefix": prefix})
        assert told == ("/login?next=/v1/audit", "/keys", "helicone_gw_session Path=/")


async def test_a_strangers_prefix_is_not_believed(gateway: GatewayFactory) -> None:
    async with gateway(PLUGINS) as running:
        told = await led(serving(running), **{"x-forwarded-prefix": "/llm"})
        assert told == ("/login?next=/v1/audit", "/keys", "helicone_gw_session Path=/")


async def test_the_configured_address_has_one_too(gateway: GatewayFactory) -> None:
    known = [security(users=USERS, login={"public_url": "https://example.com/llm"})]
    async with gateway(known) as running:
        told = await led(serving(running))
        assert told == ("/llm/login?next=/v1/audit", "/llm/keys", "__Secure-helicone_gw_session Path=/llm/")


@pytest.mark.parametrize(
    ("headers", "name"),
    [({}, "helicone_gw_session"), ({"x-forwarded-proto": "https"}, "__Host-helicone_gw_session")],
)
async def test_over_https_the_cookie_is_this_hosts_alone(
    gateway: GatewayFactory, headers: dict[str, Any], name: str
) -> None:
    async with gateway(PLUGINS) as running:
        browser = Browser(running, **headers)
        assert (await browser.log_in()).status == 200
        assert set(browser.cookies) == {name}
        assert (await browser.session())["authenticated"]
        secret = browser.cookies.pop(name)
        for planted in {"helicone_gw_session", "__Host-helicone_gw_session"} - {name}:
            browser.cookies = {planted: secret}
            assert not (await browser.session())["authenticated"], "what another host, or the network, may have set"
            assert (await browser.request("GET", "/v1/admin/users")).status == 401
        browser.cookies = {name: secret}
        assert (await browser.request("POST", "/auth/logout")).status == 200
        assert browser.cookies == {}
