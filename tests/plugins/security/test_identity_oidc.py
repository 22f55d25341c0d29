"""Logging in at an OpenID provider: the way there and back, what it may say of whom, and everything that is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from sqlalchemy import text

from helicone_gw import ConfigError
from helicone_gw.testing import GatewayFactory, Reply, RunningGateway, VirtualClock
from helicone_gw_security.oidc_states import LIFETIME, LoginStates
from tests.plugins.security.openid import CLIENT, SECRET, OpenId, forged, server, with_the_public_key
from tests.plugins.security.people import HASH, KEYS, Browser, security

assert server  # a fixture


@pytest.fixture
def openid(server: OpenId, clock: VirtualClock) -> OpenId:
    issuer, published = server.issuer, server.key
    server.__init__()  # type: ignore[misc]
    server.issuer, server.key, server.published, server.now = issuer, published, [published], clock.now()
    return server


@asynccontextmanager
async def running_with(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock, **settings: Any
) -> AsyncIterator[RunningGateway]:
    provider = {"issuer": openid.issuer, "client_id": CLIENT, "client_secret": SECRET, **settings}
    async with gateway([security(keys=KEYS, oidc={"corp": provider})], clock=clock) as running:
        await running.gateway.http.aclose()
        running.gateway.http = httpx.AsyncClient(trust_env=False)
        running.gateway.keys.login_page = "/login"
        yield running


EVERYBODY: dict[str, Any] = {"provision": True, "allowed_domains": ["*"], "role": "member"}


async def start(browser: Browser, next_: str = "/requests?a=1") -> str:
    reply = await browser.request("GET", f"/auth/oidc/corp/start?{urlencode({'next': next_})}")
    assert reply.status == 303, reply.body
    location = reply.headers.get("location")
    assert location is not None
    return location


async def come_back(browser: Browser, openid: OpenId, url: str, **changes: str) -> Reply:
    redirect, fields = openid.authorize(url)
    assert redirect == "http://127.0.0.1:8787/auth/oidc/corp/callback"
    return await browser.request("GET", f"{urlsplit(redirect).path}?{urlencode({**fields, **changes})}")


async def log_in(browser: Browser, openid: OpenId) -> Reply:
    return await come_back(browser, openid, await start(browser))


async def test_there_and_back(gateway: GatewayFactory, openid: OpenId, clock: VirtualClock) -> None:
    async with running_with(gateway, openid, clock, label="The company", **EVERYBODY) as running:
        browser = Browser(running)
        methods = (await browser.session())["methods"]
        assert methods["oidc"] == [{"name": "corp", "label": "The company"}]
        reply = await log_in(browser, openid)
        assert (reply.status, reply.headers.get("location")) == (303, "/requests?a=1")
        assert set(browser.cookies) == {"helicone_gw_session"}, "the login's own cookie is gone"
        session = await browser.session()
        assert (session["user"]["name"], session["role"]) == ("sso@example.com", "member")
        first = session["user"]["id"]
        openid.person["email"] = "married@example.com"
        again = Browser(running)
        await log_in(again, openid)
        assert (await again.session())["user"]["id"] == first, "people are known by their subject"
        assert openid.calls.count("/jwks") == 1
        audit = running.gateway.plugins[0]._identity.audit_log  # type: ignore[attr-defined]
        *logins, made = [entry.after for entry in await audit.entries("default", limit=5)]
        assert logins == [{"with": "oidc:corp"}] * 2
        assert made == {"email": "sso@example.com", "name": "", "role": "member"}


Lie = Callable[[OpenId], Any]
LIES: dict[str, Lie] = {
    "another issuer": lambda openid: openid.lies.update(claims={"iss": "https://evil.example"}),
    "another audience": lambda openid: openid.lies.update(claims={"aud": "other"}),
    "two audiences": lambda openid: openid.lies.update(claims={"aud": [CLIENT, "other"]}),
    "another party": lambda openid: openid.lies.update(claims={"azp": "other"}),
    "another nonce": lambda openid: openid.lies.update(claims={"nonce": "other"}),
    "expired": lambda openid: openid.lies.update(claims={"exp": openid.now - 61}),
    "no end": lambda openid: openid.lies.update(claims={"exp": None}),
    "of tomorrow": lambda openid: openid.lies.update(claims={"iat": openid.now + 61}),
    "nobody": lambda openid: openid.lies.update(claims={"sub": ""}),
    "forged": forged,
    "signed with the public key": with_the_public_key,
    "unsigned": lambda openid: openid.lies.update(token=unsigned(openid)),
    "no token": lambda openid: openid.lies.update(token=None),
    "rubbish": lambda openid: openid.lies.update(token="a.b.c"),
    "out of order": lambda openid: openid.lies.update(status=500),
    "another's discovery": lambda openid: openid.lies.update(discovery={"issuer": "https://evil.example"}),
    "plain http elsewhere": lambda openid: openid.lies.update(
        discovery={"token_endpoint": "http://evil.example/token"}
    ),
}


def unsigned(openid: OpenId) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"iss": openid.issuer, "aud": CLIENT, "exp": openid.now + 300, "iat": openid.now, **openid.person}
    return f"{part({'alg': 'none'})}.{part(claims)}."


async def test_a_provider_that_lies_lets_nobody_in(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    async with running_with(gateway, openid, clock, **EVERYBODY) as running:
        for what, lie in LIES.items():
            openid.lies, openid.signing, openid.header = {}, None, {}
            clock.advance(3601)  # the discovery document and the attempts are forgotten
            openid.now = clock.now()
            lie(openid)
            browser = Browser(running)
            reply = await browser.request("GET", "/auth/oidc/corp/start")
            if "/authorization?" in (reply.headers.get("location") or ""):
                reply = await come_back(browser, openid, reply.headers.get("location") or "")
            assert (reply.status, reply.headers.get("location")) == (303, "/login?error=sso_failed"), what
            assert "helicone_gw_session" not in browser.cookies, what


async def test_only_the_browser_that_began_comes_back_and_once(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    async with running_with(gateway, openid, clock, **EVERYBODY) as running:
        browser, victim = Browser(running), Browser(running)
        url = await start(browser)
        await start(victim)
        redirect, fields = openid.authorize(url)
        path = f"{urlsplit(redirect).path}?{urlencode(fields)}"
        for other in (Browser(running), victim):
            reply = await other.request("GET", path)
            assert reply.headers.get("location") == "/login?error=sso_failed", "somebody else's code is no login"
            assert "helicone_gw_session" not in other.cookies
        kept = dict(browser.cookies)
        assert (await browser.request("GET", path)).headers.get("location") == "/requests?a=1"
        browser.cookies = kept
        assert (await browser.request("GET", path)).headers.get("location") == "/login?error=sso_failed", "once"
        late = await start(browser)
        clock.advance(LIFETIME)
        openid.now = clock.now()
        assert (await come_back(browser, openid, late)).headers.get("location") == "/login?error=sso_failed"
        for changes in ({"state": "other"}, {"state": ""}, {"code": "other"}, {"code": ""}, {"state": "x" * 5000}):
            reply = await come_back(browser, openid, await start(browser), **changes)
            assert reply.headers.get("location") == "/login?error=sso_failed", changes
        assert (await browser.request("GET", "/auth/oidc/other/start")).status == 404


async def test_what_began_at_one_provider_does_not_end_at_another(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    async with running_with(gateway, openid, clock, **EVERYBODY) as running:
        states = LoginStates(running.gateway.database, clock)
        good, mixed_up = await states.begin("corp", "/"), await states.begin("corp", "/")
        assert await states.take("corp", good.state, [good.browser]) is not None
        assert await states.take("other", mixed_up.state, [mixed_up.browser]) is None
        assert await states.take("corp", mixed_up.state, [mixed_up.browser]) is None, "it is spent"


async def test_while_the_database_is_away_nobody_is_sent_to_the_provider(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    async with running_with(gateway, openid, clock, **EVERYBODY) as running:
        browser = Browser(running)
        url = await start(browser)
        async with running.gateway.database.begin() as connection:
            await connection.execute(text("DROP TABLE login_state"))
        away = "/login?error=database_unavailable"
        assert (await browser.request("GET", "/auth/oidc/corp/start")).headers.get("location") == away
        assert (await come_back(browser, openid, url)).headers.get("location") == away


async def test_new_keys_of_the_provider_are_taken_up_and_not_asked_for_all_the_time(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    async with running_with(gateway, openid, clock, **EVERYBODY) as running:
        assert (await log_in(Browser(running), openid)).headers.get("location") == "/requests?a=1"
        forged(openid)
        for _ in range(3):
            assert (await log_in(Browser(running), openid)).headers.get("location") == "/login?error=sso_failed"
        assert openid.calls.count("/jwks") == 1, "forged tokens make the gateway ask nobody"
        openid.published = [openid.signing]
        clock.advance(61)
        openid.now = clock.now()
        assert (await log_in(Browser(running), openid)).headers.get("location") == "/requests?a=1"
        assert openid.calls.count("/jwks") == 2


async def outcome(running: RunningGateway, openid: OpenId, **person: Any) -> str:
    """The role and the organisation of whoever logs in, or the code with which they are turned away."""
    openid.person = {"sub": "u-1", "email": "sso@example.com", "email_verified": True, **person}
    browser = Browser(running)
    location = (await log_in(browser, openid)).headers.get("location") or ""
    if location != "/requests?a=1":
        return location.removeprefix("/login?error=")
    session = await browser.session()
    return f"{session['role']} of {session['organization']}"


async def test_strangers_are_users_only_where_that_is_configured(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    async with running_with(gateway, openid, clock) as running:
        assert await outcome(running, openid) == "sso_refused"
        users = running.gateway.plugins[0]._identity.users.table  # type: ignore[attr-defined]
        invited = await users.add("sso@example.com", "viewer", now=0)
        assert await outcome(running, openid) == "viewer of default"
        assert await outcome(running, openid, sub="u-2") == "sso_refused", "the address has somebody else's subject"
        await users.remove(invited.id, now=1)
        assert await outcome(running, openid) == "sso_refused"


async def test_addresses_must_be_verified_and_of_a_domain_that_may(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    settings = {**EVERYBODY, "allowed_domains": ["example.com"]}
    async with running_with(gateway, openid, clock, **settings) as running:
        assert await outcome(running, openid, email_verified=False) == "sso_refused"
        assert await outcome(running, openid, email_verified=None) == "sso_refused"
        assert await outcome(running, openid, email="sso@evil.example") == "sso_refused"
        assert await outcome(running, openid, email="sso@example.com.evil.example") == "sso_refused"
        assert await outcome(running, openid, email="nobody") == "sso_refused"
        assert await outcome(running, openid, email="SSO@Example.COM") == "member of default"
    async with running_with(gateway, openid, clock, **settings, unverified_email=True) as running:
        assert await outcome(running, openid, email_verified=None) == "member of default"


async def test_an_address_that_only_userinfo_tells(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    async with running_with(gateway, openid, clock, **EVERYBODY) as running:
        del openid.person["email"], openid.person["email_verified"]
        openid.userinfo = {"sub": "somebody else", "email": "sso@example.com", "email_verified": True}
        assert (await log_in(Browser(running), openid)).headers.get("location") == "/login?error=sso_failed"
        openid.userinfo["sub"] = "u-1"
        assert (await log_in(Browser(running), openid)).headers.get("location") == "/requests?a=1"


async def test_roles_and_organisations_come_from_claims(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    settings = {
        "provision": True,
        "allowed_domains": ["*"],
        "roles": {"claim": "realm.roles", "admin": ["boss"], "viewer": ["guest"]},
        "organizations": {"claim": "hd", "values": {"example.com": "default", "other.example": "other"}},
    }
    async with running_with(gateway, openid, clock, **settings) as running:
        example: dict[str, Any] = {"hd": "example.com"}
        assert await outcome(running, openid, **example) == "sso_refused", "no role"
        assert await outcome(running, openid, realm={"roles": ["boss"]}) == "sso_refused", "no organisation"
        assert await outcome(running, openid, **example, realm={"roles": ["guest", "boss"]}) == "admin of default"
        kept = Browser(running)
        await log_in(kept, openid)
        guest = {**example, "realm": {"roles": ["guest"]}}
        assert await outcome(running, openid, **guest) == "admin of default", "nobody else could administer"
        other = {"email": "other@example.com", "role": "admin", "password": "long enough for that"}
        root = {"authorization": "Bearer hk-root-secret"}
        assert (await running.request("POST", "/v1/admin/users", json=other, headers=root)).status == 201
        assert (await kept.session())["authenticated"]
        assert await outcome(running, openid, **guest) == "viewer of default"
        assert not (await kept.session())["authenticated"], "another role ends the sessions"
        (told,) = (await running.request("GET", "/v1/audit?action=user.change", headers=root)).json()["data"]["entries"]
        assert (told["before"]["role"], told["after"]["role"]) == ("admin", "viewer")
        assert await outcome(running, openid, hd="other.example", realm={"roles": ["guest"]}) == "viewer of other"
        assert await outcome(running, openid, hd="evil.example", realm={"roles": ["boss"]}) == "sso_refused"
        assert await outcome(running, openid, **example, realm={"roles": ["nothing"]}) == "sso_refused"


async def test_a_user_of_the_file_logs_in_with_the_role_that_stands_there(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    oidc = {"corp": {"issuer": openid.issuer, "client_id": CLIENT, "client_secret": SECRET}}
    users = {"sso@example.com": {"role": "admin"}, "other@example.com": {"password_hash": HASH}}
    async with gateway([security(users=users, oidc=oidc)], clock=clock) as running:
        await running.gateway.http.aclose()
        running.gateway.http = httpx.AsyncClient(trust_env=False)
        assert await outcome(running, openid) == "admin of default"
        refused = await Browser(running).log_in("sso@example.com", "")
        assert refused.status == 401, "there is no password"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"issuer": "http://idp.example"}, "https"),
        ({"issuer": "https://user@idp.example"}, "nothing after it"),
        ({"provision": True, "role": "member"}, "allowed_domains"),
        ({"provision": True, "allowed_domains": ["*"]}, "role"),
        ({"scopes": ["email"]}, "openid"),
    ],
)
async def test_what_would_let_anybody_in_is_no_configuration(
    gateway: GatewayFactory, settings: dict[str, Any], problem: str
) -> None:
    provider = {"issuer": "https://idp.example", "client_id": "x", "client_secret": "s3cret-of-client", **settings}
    with pytest.raises(ConfigError) as refused:
        async with gateway([security(oidc={"corp": provider})]):
            pytest.fail("it started")
    assert problem in str(refused.value)
    assert "s3cret-of-client" not in str(refused.value)


async def test_a_provider_that_is_away_is_not_waited_for_by_one_after_the_other(
    gateway: GatewayFactory, openid: OpenId, clock: VirtualClock
) -> None:
    async with running_with(gateway, openid, clock, **EVERYBODY) as running:
        openid.lies["status"] = 503
        for _ in range(3):
            reply = await Browser(running).request("GET", "/auth/oidc/corp/start")
            assert reply.headers.get("location") == "/login?error=sso_failed"
        assert len(openid.calls) == 1
        openid.lies.clear()
        clock.advance(5)
        openid.now = clock.now()
        assert (await log_in(Browser(running), openid)).headers.get("location") == "/requests?a=1"
