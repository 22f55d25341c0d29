"""A password that somebody else set is good for choosing one of one's own, once and for a while."""

from __future__ import annotations

from typing import Any

from helicone_gw.testing import GatewayFactory, RunningGateway, VirtualClock
from helicone_gw_security.passwords import TEMPORARY
from tests.plugins.security.people import KEYS, PASSWORD, USERS, Browser, security

ROOT = {"authorization": "Bearer hk-root-secret"}
OWN = "a password of my own"


async def made(running: RunningGateway) -> tuple[str, str]:
    """A user, and the password that was made for them."""
    new = {"email": "new@example.com", "generate_password": True}
    data = (await running.request("POST", "/v1/admin/users", json=new, headers=ROOT)).json()["data"]
    assert data["user"]["password_temporary"]
    return data["user"]["id"], data["temporary_password"]


async def test_it_opens_no_session_until_another_is_chosen(gateway: GatewayFactory) -> None:
    async with gateway([security(keys=KEYS, users=USERS)]) as running:
        which, given = await made(running)
        browser = Browser(running)
        refused = await browser.log_in("new@example.com", given)
        assert (refused.status, refused.json()["code"], browser.cookies) == (403, "password_change_required", {})
        for bad in ("short", given):
            weak = await browser.log_in("new@example.com", given, new=bad)
            assert (weak.status, weak.json()["code"]) == (400, "weak_password")
        wrong = await browser.log_in("new@example.com", "not what was given", new=OWN)
        assert (wrong.status, wrong.json()["code"]) == (401, "login_failed"), "nobody else chooses one"
        assert (await browser.log_in("new@example.com", given, new=OWN)).status == 200
        assert (await browser.session())["authenticated"]
        assert (await Browser(running).log_in("new@example.com", given, new=OWN)).status == 401, "it is used up"
        assert (await Browser(running).log_in("new@example.com", OWN)).status == 200
        (seen,) = [
            user
            for user in (await running.request("GET", "/v1/admin/users", headers=ROOT)).json()["data"]
            if user["id"] == which
        ]
        assert not seen["password_temporary"]


async def test_so_is_one_that_an_administrator_resets_and_sessions_end(gateway: GatewayFactory) -> None:
    async with gateway([security(keys=KEYS, users=USERS)]) as running:
        which, given = await made(running)
        browser = Browser(running)
        assert (await browser.log_in("new@example.com", given, new=OWN)).status == 200
        reset: Any = {"password": "given by an admin"}
        path = f"/v1/admin/users/{which}"
        assert (await running.request("PATCH", path, json=reset, headers=ROOT)).json()["data"]["password_temporary"]
        assert not (await browser.session())["authenticated"]
        assert (await Browser(running).log_in("new@example.com", reset["password"])).status == 403


async def test_after_a_week_it_is_none(gateway: GatewayFactory, clock: VirtualClock) -> None:
    async with gateway([security(keys=KEYS, users=USERS)], clock=clock) as running:
        _, given = await made(running)
        clock.advance(TEMPORARY)
        late = await Browser(running).log_in("new@example.com", given, new=OWN)
        assert (late.status, late.json()["code"]) == (401, "login_failed")


async def test_others_log_in_as_ever(gateway: GatewayFactory) -> None:
    async with gateway([security(users=USERS)]) as running:
        assert (await Browser(running).log_in(password=PASSWORD, new=OWN)).status == 200
        assert (await Browser(running).log_in(password=PASSWORD)).status == 200, "what was not asked for is not done"
