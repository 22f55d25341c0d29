"""Logging out where one logged in, and being logged out from there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from helicone_gw.testing import GatewayFactory, Reply, RunningGateway, VirtualClock
from helicone_gw_security.oidc import LOGOUT_EVENT
from helicone_gw_security.sessions import opened, sealed
from tests.plugins.security.openid import CLIENT, OpenId, server
from tests.plugins.security.people import Browser
from tests.plugins.security.test_identity_oidc import EVERYBODY, log_in, openid, running_with

assert server
assert openid


@pytest.fixture
async def running(gateway: GatewayFactory, openid: OpenId, clock: VirtualClock) -> AsyncIterator[RunningGateway]:
    openid.person["sid"] = "s-1"
    openid.lies["discovery"] = {"end_session_endpoint": f"{openid.issuer}/bye?a=1"}
    async with running_with(gateway, openid, clock, logout=True, **EVERYBODY) as made:
        yield made


async def inside(running: RunningGateway, openid: OpenId, **person: str) -> Browser:
    openid.person |= person
    browser = Browser(running)
    await log_in(browser, openid)
    session = await browser.session()
    assert session["authenticated"]
    browser.token = session["csrf_token"]
    return browser


async def test_who_logs_out_here_logs_out_there(running: RunningGateway, openid: OpenId) -> None:
    browser = await inside(running, openid)
    ended = await browser.request("POST", "/auth/logout")
    url = ended.json()["data"]["logout_url"]
    asked = parse_qs(urlsplit(url).query)
    assert url.startswith(f"{openid.issuer}/bye?a=1&")
    assert asked["post_logout_redirect_uri"] == ["http://127.0.0.1:8787/login"]
    assert asked["client_id"] == [CLIENT]
    hint = jwt.decode(asked["id_token_hint"][0], openid.key, algorithms=["ES256"]).claims
    assert (hint["sub"], hint["aud"]) == ("u-1", CLIENT)
    assert browser.cookies == {}


async def test_a_form_goes_on_there_without_a_redirect(running: RunningGateway, openid: OpenId) -> None:
    browser = await inside(running, openid)
    form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    ended = await browser.request("POST", "/auth/logout", content=b"", headers=form)
    assert ended.status == 200, "what a form may lead to is this site alone, and a redirect would be a part of it"
    assert (ended.headers.get("refresh") or "").startswith(f"0; url={openid.issuer}/bye?a=1&")
    assert not (await browser.session())["authenticated"]


@pytest.mark.parametrize("lies", [{}, {"end_session_endpoint": "http://evil.example/bye"}])
async def test_where_there_is_no_such_place_it_ends_here(
    running: RunningGateway, openid: OpenId, lies: dict[str, Any]
) -> None:
    openid.lies["discovery"] = lies
    browser = await inside(running, openid)
    assert (await browser.request("POST", "/auth/logout")).json()["data"] is None
    assert browser.cookies == {}


def token(openid: OpenId, key: Any = None, **changes: Any) -> str:
    claims = {
        "iss": openid.issuer,
        "aud": CLIENT,
        "iat": openid.now,
        "exp": openid.now + 120,
        "jti": "1",
        "sid": "s-1",
        "events": {LOGOUT_EVENT: {}},
        **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "ES256", "kid": "one"}, claims, key or openid.key, algorithms=["ES256"])


async def tell(running: RunningGateway, text: str) -> Reply:
    form = {"content-type": "application/x-www-form-urlencoded"}
    return await running.request(
        "POST", "/auth/oidc/corp/backchannel", content=f"logout_token={text}".encode(), headers=form
    )


async def test_the_provider_ends_the_session_that_it_names(running: RunningGateway, openid: OpenId) -> None:
    one, two = await inside(running, openid), await inside(running, openid, sid="s-2")
    assert (await tell(running, token(openid))).status == 200
    assert [(await each.session())["authenticated"] for each in (one, two)] == [False, True]


async def test_or_all_of_a_person_and_nobody_elses(running: RunningGateway, openid: OpenId) -> None:
    one, two = await inside(running, openid), await inside(running, openid, sid="s-2")
    other = await inside(running, openid, sub="u-2", email="other@example.com", sid="s-3")
    assert (await tell(running, token(openid, sid=None, sub="u-1"))).status == 200
    assert [(await each.session())["authenticated"] for each in (one, two, other)] == [False, False, True]


async def test_an_old_token_ends_no_session_that_began_since(
    running: RunningGateway, openid: OpenId, clock: VirtualClock
) -> None:
    await inside(running, openid)
    old = token(openid, sid=None, sub="u-1")
    assert (await tell(running, old)).status == 200
    clock.advance(90)
    openid.now += 90
    later = await inside(running, openid)
    assert (await tell(running, old)).status == 200
    assert (await later.session())["authenticated"]


async def test_what_is_no_logout_token_ends_nothing(running: RunningGateway, openid: OpenId) -> None:
    browser = await inside(running, openid)
    strange = ECKey.generate_key("P-256", {"kid": "one"})
    wrong: tuple[dict[str, Any], ...] = (
        {"key": strange},
        {"iss": "https://evil.example"},
        {"aud": "other"},
        {"exp": openid.now - 61},
        {"exp": None},
        {"nonce": "an ID token"},
        {"events": None},
        {"events": {"another": {}}},
        {"sid": None},
    )
    for changes in wrong:
        refused = await tell(running, token(openid, **changes))
        assert (refused.status, refused.json()["code"]) == (400, "invalid_logout_token"), changes
    assert (await browser.session())["authenticated"]


def test_only_the_cookie_opens_the_token() -> None:
    kept = sealed("a" * 43, "the token")
    assert kept is not None
    assert "token" not in kept
    assert (opened("a" * 43, kept), opened("b" * 43, kept)) == ("the token", None)
