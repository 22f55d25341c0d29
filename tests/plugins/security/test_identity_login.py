"""Logging in and out: passwords, keys, cookies, tokens, and how many tries there are."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory, RunningGateway, VirtualClock
from helicone_gw_security import passwords
from tests.plugins.security.people import CHEAP, HASH, KEYS, PASSWORD, USERS, Browser, security

FORM = {"content-type": "application/x-www-form-urlencoded"}
BOTH = security(keys=KEYS, users=USERS)


async def test_a_user_logs_in_sees_who_they_are_and_logs_out(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        browser = Browser(running)
        assert (await browser.session())["authenticated"] is False
        reply = await browser.log_in()
        assert reply.status == 200
        assert reply.headers.get("cache-control") == "no-store"
        data = reply.json()["data"]
        assert data["user"] == {"id": "config:default:ann@example.com", "name": "ann@example.com", "kind": "user"}
        assert (data["role"], data["organization"]) == ("admin", "default")
        session = await browser.session()
        assert {name: session[name] for name in data} == data
        assert session["methods"] == {"password": True, "key": False, "oidc": []}
        assert (await browser.request("POST", "/auth/logout")).status == 200
        assert browser.cookies == {}
        assert (await browser.session())["authenticated"] is False


async def test_the_cookie_is_no_scripts_and_no_other_sites(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        (plain,) = (await Browser(running).log_in()).headers.get_all("set-cookie")
        assert re.fullmatch(
            r"helicone_gw_session=[\w-]{43}; (Expires=[^;]+; )?Max-Age=604800; HttpOnly; Path=/; SameSite=Lax", plain
        )
        (behind_tls,) = (await Browser(running, **{"X-Forwarded-Proto": "https"}).log_in()).headers.get_all(
            "set-cookie"
        )
        assert "; Secure;" in behind_tls
    known = security(users=USERS, login={"public_url": "https://llm.example.com"})
    async with gateway([known]) as running:
        browser = Browser(running)
        (silent_proxy,) = (await browser.log_in()).headers.get_all("set-cookie")
        (ended,) = (await browser.request("POST", "/auth/logout")).headers.get_all("set-cookie")
        assert "; Secure;" in silent_proxy
        assert "; Secure;" in ended


async def test_the_session_is_a_new_one_every_time_and_the_old_one_ends(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        browser = Browser(running)
        await browser.log_in()
        first = dict(browser.cookies)
        await browser.log_in("vic@example.com")
        assert browser.cookies != first
        assert (await browser.session())["user"]["name"] == "vic@example.com"
        old = Browser(running)
        old.cookies = first
        assert (await old.session())["authenticated"] is False
        planted = Browser(running)
        planted.cookies = {"helicone_gw_session": "x" * 43}
        await planted.log_in()
        assert planted.cookies["helicone_gw_session"] != "x" * 43, "a session that somebody planted is not taken over"


WRONG: list[Any] = [
    {"email": "ann@example.com", "password": "wrong"},
    {"email": "nobody@example.com", "password": PASSWORD},
    {"email": "ann@example.com", "password": PASSWORD, "organization": "other"},
    {"email": "ann@example.com", "password": ""},
    {"email": "ann@example.com' OR 1=1 --", "password": PASSWORD},
]


async def test_who_is_wrong_learns_no_more_than_that(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        for body in WRONG:
            reply = await running.request("POST", "/auth/login", json=body)
            assert reply.status == 401
            assert reply.json() == {
                "data": None,
                "error": "The e-mail address and the password do not belong together.",
                "code": "login_failed",
            }
            assert reply.headers.get("set-cookie") is None


async def test_an_unknown_user_costs_as_much_as_a_known_one(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        passwords: Any = running.gateway.plugins[0]._identity._passwords  # type: ignore[attr-defined]
        verified: list[str] = []
        passwords._verify = lambda hashed, password: verified.append(hashed)
        for email in ("ann@example.com", "nobody@example.com"):
            await running.request("POST", "/auth/login", json={"email": email, "password": "wrong"})
        assert len(verified) == 2
        assert verified[0] == HASH


NO_BODIES: list[Any] = [b"[]", b'{"email": 1}', b"{", b'{"password": "x"}', b"x" * 70_000, b""]


async def test_a_body_that_is_none_is_refused(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        for body in NO_BODIES:
            reply = await running.request("POST", "/auth/login", content=body)
            assert reply.status in (400, 413)
        long = await running.request("POST", "/auth/login", json={"email": "a@b.c", "password": "x" * 2000})
        assert long.status == 400


async def test_a_nul_is_in_no_text(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        json = await running.request("POST", "/auth/login", json={"email": "a\0@b.c", "password": "x"})
        form = await running.request("POST", "/auth/login", content=b"email=a%00&password=x", headers=FORM)
        assert (json.status, form.status) == (400, 400)
        assert (await Browser(running).log_in(organization="\0")).status == 400


async def test_the_organisation_may_be_said_where_one_address_is_in_several(gateway: GatewayFactory) -> None:
    other = {"ann@example.com": USERS["ann@example.com"]}
    async with gateway([security(users=other)]) as running:
        identity: Any = running.gateway.plugins[0]._identity  # type: ignore[attr-defined]
        for organization in ("acme", "beta"):
            await identity.users.table.add(
                "ann@example.com", "viewer", now=0, organization=organization, password_hash=HASH
            )
        browser = Browser(running)
        assert (await browser.log_in(organization="beta")).json()["data"]["organization"] == "beta"
        assert (await browser.log_in(organization="nowhere")).status == 401
        assert (await browser.log_in()).json()["data"]["organization"] == "default"


async def test_tries_are_counted_by_account_whoever_tries(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        wrong = {"email": "ann@example.com", "password": "wrong"}
        answers = [(await running.request("POST", "/auth/login", json=wrong)).status for _ in range(11)]
        assert answers == [401] * 10 + [429]
        refused = await Browser(running).log_in()
        assert (refused.status, refused.headers.get("retry-after")) == (429, "600")
        assert (await Browser(running).log_in("vic@example.com")).status == 200, "others are not locked out"


async def test_tries_are_counted_by_address_whatever_the_account(
    gateway: GatewayFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "NOBODY", CHEAP.hash("what nobody knows"))
    async with gateway([BOTH]) as running:
        answers = [
            (await running.request("POST", "/auth/login", json={"key": f"wrong-{number}"})).status
            for number in range(3)
        ]
        assert answers == [403] * 3, "keys are no login where users are, and not even counted"
        wrong = [{"email": f"nobody{number}@example.com", "password": "wrong"} for number in range(31)]
        answers = [(await running.request("POST", "/auth/login", json=body)).status for body in wrong]
        assert answers == [401] * 30 + [429]


async def test_good_logins_are_not_counted(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        assert [(await Browser(running).log_in()).status for _ in range(12)] == [200] * 12


async def test_where_there_is_no_user_a_gateway_key_opens_a_session(gateway: GatewayFactory) -> None:
    async with gateway([security(keys=KEYS)]) as running:
        browser = Browser(running)
        assert (await browser.session())["methods"] == {"password": False, "key": True, "oidc": []}
        wrong = await browser.request("POST", "/auth/login", json={"key": "hk-wrong"})
        assert (wrong.status, wrong.json()["code"]) == (401, "login_failed")
        reply = await browser.request("POST", "/auth/login", json={"key": " hk-reader-secret "})
        assert reply.json()["data"]["user"] == {"id": "config:reader", "name": "reader", "kind": "key"}
        session = await browser.session()
        assert (session["role"], session["authenticated"]) == ("viewer", True)
        assert b"hk-reader-secret" not in reply.body


async def test_a_session_of_a_key_ends_with_the_key(gateway: GatewayFactory, clock: VirtualClock) -> None:
    async with gateway([security(keys=KEYS)], clock=clock) as running:
        keys: Any = running.gateway.plugins[0]._keys  # type: ignore[attr-defined]
        secret, row = await keys._table.create("temporary", now=0)
        browser = Browser(running)
        assert (await browser.request("POST", "/auth/login", json={"key": secret})).status == 200
        assert (await browser.session())["authenticated"]
        await keys._table.revoke(row.id, now=1)
        clock.advance(11)
        assert not (await browser.session())["authenticated"]


async def test_a_form_is_answered_with_where_to_go(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        running.gateway.keys.login_page = "/login"
        good = f"email=ann%40example.com&password={PASSWORD.replace(' ', '+')}&next=%2Frequests%3Fa%3D1".encode()
        reply = await running.request("POST", "/auth/login", content=good, headers=FORM)
        assert (reply.status, reply.headers.get("location")) == (303, "/requests?a=1")
        assert reply.headers.get("set-cookie")
        bad = b"email=ann%40example.com&password=wrong&next=%2Frequests%3Fa%3D1"
        reply = await running.request("POST", "/auth/login", content=bad, headers=FORM)
        assert (reply.status, reply.headers.get("location")) == (
            303,
            "/login?error=login_failed&next=/requests%3Fa%3D1",
        )
        assert reply.headers.get("set-cookie") is None


OTHER_SITES: list[Any] = [
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "javascript:alert(1)",
    "/a\r\nX: y",
    "/" + "x" * 3000,
    "",
]


async def test_nobody_is_sent_to_another_site_after_the_login(gateway: GatewayFactory) -> None:
    from urllib.parse import urlencode

    async with gateway([BOTH]) as running:
        for target in OTHER_SITES:
            body = urlencode({"email": "ann@example.com", "password": PASSWORD, "next": target}).encode()
            reply = await running.request("POST", "/auth/login", content=body, headers=FORM)
            assert (reply.status, reply.headers.get("location")) == (303, "/")


FROM: list[Any] = [
    ({"sec-fetch-site": "cross-site"}, 403),
    ({"sec-fetch-site": "same-site"}, 403),
    ({"origin": "https://evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "http://127.0.0.1:8788"}, 403),
    ({"origin": "http://127.0.0.1:8787"}, 200),
    ({"origin": "https://gateway.example", "sec-fetch-site": "same-origin"}, 200),
    ({"sec-fetch-site": "none"}, 200),
    ({}, 200),
]


async def test_no_other_site_logs_anybody_in(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        for headers, status in FROM:
            assert (await Browser(running, **headers).log_in()).status == status


async def test_every_change_wants_the_sessions_token(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        browser = Browser(running)
        await browser.log_in()
        token, browser.token = browser.token, None
        other = Browser(running)
        await other.log_in()
        for wrong in (None, "", "x", other.token):
            reply = await browser.request("POST", "/auth/logout", headers={"x-csrf-token": wrong})
            assert (reply.status, reply.json()["error"]["code"]) == (403, "csrf_token_required"), wrong
        reply = await browser.request(
            "POST", "/auth/logout", headers={"x-csrf-token": token, "origin": "https://evil.example"}
        )
        assert (reply.status, reply.json()["error"]["code"]) == (403, "cross_site_request")
        assert (await browser.session())["authenticated"], "nothing of that ended the session"
        form = f"csrf_token={token}".encode()
        assert (await browser.request("POST", "/auth/logout", content=form, headers=FORM)).status == 303
        assert not (await browser.session())["authenticated"]


async def test_a_session_ends_when_nobody_uses_it_and_in_any_case(gateway: GatewayFactory, clock: VirtualClock) -> None:
    settings = security(users=USERS, login={"idle": 600, "lifetime": 1800})
    async with gateway([settings], clock=clock) as running:
        used, idle = Browser(running), Browser(running)
        await used.log_in()
        await idle.log_in()
        for _ in range(3):
            clock.advance(500)
            assert (await used.session())["authenticated"]
        assert not (await idle.session())["authenticated"]
        clock.advance(301)
        assert not (await used.session())["authenticated"]


async def test_one_user_has_so_many_sessions_and_the_oldest_goes(gateway: GatewayFactory, clock: VirtualClock) -> None:
    async with gateway([BOTH], clock=clock) as running:
        first = Browser(running)
        await first.log_in()
        for _ in range(50):
            clock.advance(1)
            await Browser(running).log_in()
        clock.advance(10)
        assert not (await first.session())["authenticated"]


async def changed(running: RunningGateway, browser: Browser, current: str, new: str) -> tuple[int, str | None]:
    reply = await browser.request("POST", "/auth/password", json={"current": current, "new": new})
    return reply.status, reply.json().get("code")


async def test_a_new_password_ends_every_other_session(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        identity: Any = running.gateway.plugins[0]._identity  # type: ignore[attr-defined]
        await identity.users.table.add("new@example.com", "member", now=0, password_hash=HASH)
        here, there = Browser(running), Browser(running)
        await here.log_in("new@example.com")
        await there.log_in("new@example.com")
        assert await changed(running, here, "wrong", "another password") == (401, "login_failed")
        assert await changed(running, here, PASSWORD, "short") == (400, "weak_password")
        assert await changed(running, here, PASSWORD, "another password") == (200, None)
        assert (await here.session())["authenticated"], "but whoever changed it goes on"
        assert not (await there.session())["authenticated"]
        assert (await there.log_in("new@example.com")).status == 401
        assert (await there.log_in("new@example.com", "another password")).status == 200
        ann = Browser(running)
        await ann.log_in()
        assert await changed(running, ann, PASSWORD, "another password") == (403, "no_password"), "the file's own"


async def test_a_login_that_a_new_password_overtakes_is_none(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        identity: Any = running.gateway.plugins[0]._identity  # type: ignore[attr-defined]
        user = await identity.users.table.add("new@example.com", "member", now=0, password_hash=HASH)
        matching, another = identity.logins.passwords.matching, CHEAP.hash("another password")

        async def overtaken(hashes: list[str], password: str) -> list[int]:
            found: list[int] = await matching(hashes, password)
            await identity.users.table.change(user.id, password_hash=another)
            await identity.sessions.end_all(f"user:{user.id}")
            return found

        identity.logins.passwords.matching = overtaken
        browser = Browser(running)
        assert (await browser.log_in("new@example.com")).status == 401
        assert browser.cookies == {}
        assert await identity.sessions.end_all(f"user:{user.id}") == 0
        assert (await identity.users.table.get(user.id)).password_hash == another, "no hash of the old one is put back"


async def test_passwords_hashed_at_another_cost_are_hashed_anew(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        users: Any = running.gateway.plugins[0]._identity.users.table  # type: ignore[attr-defined]
        user = await users.add("new@example.com", "member", now=0, password_hash=HASH)
        assert (await Browser(running).log_in("new@example.com")).status == 200
        stored = await users.get(user.id)
        assert stored.password_hash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert stored.last_login_at is not None
        assert (await Browser(running).log_in("new@example.com")).status == 200


async def test_a_gateway_with_users_and_no_keys_is_not_open(gateway: GatewayFactory) -> None:
    async with gateway([security(users=USERS)]) as running:
        assert (await running.chat()).status == 401
        browser = Browser(running)
        await browser.log_in()
        assert (await browser.request("POST", "/v1/chat/completions", json={"model": "gpt-4o"})).status == 401
        assert running.provider.requests == []


async def test_an_open_gateway_says_so_and_the_first_user_closes_it(
    gateway: GatewayFactory, clock: VirtualClock
) -> None:
    async with gateway(["security"], clock=clock) as running:
        session = await Browser(running).session()
        assert (session["open"], session["role"], session["csrf_token"]) == (True, "admin", None)
        assert (await running.chat()).status == 200
        identity: Any = running.gateway.plugins[0]._identity  # type: ignore[attr-defined]
        await identity.users.table.add("new@example.com", "admin", now=0, password_hash=HASH)
        clock.advance(6)
        while not running.gateway.keys.configured:
            await asyncio.sleep(0)
        assert (await running.chat()).status == 401


async def test_logins_are_in_the_audit_log_and_failed_ones_are_not(gateway: GatewayFactory) -> None:
    async with gateway([BOTH]) as running:
        browser = Browser(running)
        await browser.log_in(password="wrong")
        await browser.log_in()
        await browser.request("POST", "/auth/logout")
        entries = await running.gateway.plugins[0]._identity.audit_log.entries("default", limit=10)  # type: ignore[attr-defined]
        assert [(entry.action, entry.actor, entry.address) for entry in entries] == [
            ("session.end", "ann@example.com", "127.0.0.1"),
            ("session.begin", "ann@example.com", "127.0.0.1"),
        ]
