"""What bounds logins: attempts counted with and without the store, hashes under way, and a database that is away."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from helicone_gw import Headers, StoreUnavailable, TooManyRequests, Unavailable
from helicone_gw.store import MemoryStore
from helicone_gw.testing import GatewayFactory, VirtualClock
from helicone_gw_security.attempts import MOST, WINDOW, Attempts
from helicone_gw_security.browsers import SESSION_COOKIE, cookies, cross_site, is_csrf_token, local_address
from helicone_gw_security.passwords import RUNNING, WAITING, Passwords, password_problem
from tests.plugins.security.people import CHEAP, KEYS, USERS, Browser, security


class Away:
    """A store that does not answer."""

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        raise StoreUnavailable("away")


@pytest.mark.parametrize("away", [False, True])
async def test_failures_are_counted_and_forgotten(clock: VirtualClock, away: bool) -> None:
    store: Any = Away() if away else MemoryStore(clock)
    attempts = Attempts(store, clock)
    for number in range(MOST["account"]):
        await attempts.begin(f"203.0.113.{number}", "ann@example.com")
    with pytest.raises(TooManyRequests) as refused:
        await attempts.begin("198.51.100.1", "ann@example.com")
    assert refused.value.headers == {"Retry-After": str(WINDOW)}
    assert attempts.refused == 1
    await attempts.begin("198.51.100.1", "vic@example.com")
    clock.advance(WINDOW + 1)
    await attempts.begin("198.51.100.1", "ann@example.com")


async def test_many_at_once_are_no_way_round_and_good_ones_are_taken_back(clock: VirtualClock) -> None:
    attempts = Attempts(MemoryStore(clock), clock)

    async def one(good: bool) -> bool:
        try:
            counted = await attempts.begin("203.0.113.1", "ann@example.com")
        except TooManyRequests:
            return False
        await asyncio.sleep(0)
        if good:
            await attempts.good(counted)
        return True

    assert sum(await asyncio.gather(*(one(False) for _ in range(100)))) == MOST["account"]
    clock.advance(WINDOW + 1)
    for _ in range(50):
        assert await one(True)


async def test_the_store_holds_no_address_of_anybody(clock: VirtualClock) -> None:
    asked: list[str] = []

    class Told(MemoryStore):
        async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
            asked.append(key)
            return await super().increment(key, by, ttl)

    await Attempts(Told(clock), clock).begin("203.0.113.1", "ann@example.com")
    assert len(asked) == 2
    assert not any("203.0.113.1" in key or "ann" in key for key in asked)


async def test_so_many_hashes_are_under_way_and_one_more_is_told_to_wait() -> None:
    passwords = Passwords(CHEAP)
    go_on = threading.Event()
    passwords._matching = lambda hashes, password: go_on.wait(10) and []  # type: ignore[assignment, method-assign]
    waiting = [asyncio.create_task(passwords.matching([], "x")) for _ in range(RUNNING + WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await passwords.matching([], "x")
    assert passwords.refused == 1
    waiting[0].cancel()  # whoever leaves does not free the thread that still works for them
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await passwords.matching([], "x")
    go_on.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    while passwords._under_way:
        await asyncio.sleep(0.001)
    assert await passwords.matching([], "x") == []
    passwords.close()


async def test_the_same_letters_however_they_were_typed_are_the_same_password() -> None:
    passwords = Passwords(CHEAP)
    hashed = await passwords.hash("Ca\u0301tedral\uff11234")
    assert await passwords.matching(["no hash", hashed], "C\u00e1tedral1234") == [1]
    assert await passwords.matching([hashed], "C\u00e1tedral12345") == []
    passwords.close()


def test_what_a_password_has_to_be() -> None:
    assert password_problem("x" * 9) is not None
    assert password_problem("x" * 10) is None
    assert password_problem("x" * 1001) is not None


async def test_while_the_database_is_away_nobody_is_told_that_their_session_is_over(gateway: GatewayFactory) -> None:
    async with gateway([security(keys=KEYS, users=USERS)]) as running:
        browser = Browser(running)
        await browser.log_in()
        sessions: Any = running.gateway.plugins[0]._identity.sessions  # type: ignore[attr-defined]
        sessions._known.clear()

        def away() -> Any:
            raise OSError("postgres://user:secret@host is away")

        database, sessions._database = sessions._database, type("Database", (), {"connect": lambda self: away()})()
        reply = await browser.request("GET", "/v1/organization")
        assert (reply.status, reply.json()["error"]["code"]) == (503, "sessions_unavailable")
        assert b"secret" not in reply.body
        assert (
            await browser.request("GET", "/v1/organization", headers={"authorization": "Bearer hk-root-secret"})
        ).status == 200
        assert not (await browser.session())["authenticated"], "an open page is served all the same"
        sessions._database = database
        assert (await browser.request("GET", "/v1/organization")).status == 200


SECRET = "a" * 43


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([f"{SESSION_COOKIE}={SECRET}"], [SECRET]),
        ([f"a=b; {SESSION_COOKIE}={SECRET};c"], [SECRET]),
        ([f"x={SECRET}", f"{SESSION_COOKIE}={SECRET}; {SESSION_COOKIE}={'b' * 43}"], [SECRET, "b" * 43]),
        ([f"{SESSION_COOKIE}={SECRET}x", f"{SESSION_COOKIE}=", SESSION_COOKIE, f"x{SESSION_COOKIE}={SECRET}"], []),
        ([f'{SESSION_COOKIE}="{SECRET}"'], []),
    ],
)
def test_the_cookies_that_can_be_ours(fields: list[str], found: list[str]) -> None:
    headers = Headers([(b"cookie", field.encode()) for field in fields])
    assert cookies(headers, SESSION_COOKIE) == found


@pytest.mark.parametrize(
    ("fields", "other"),
    [
        ({"host": "gw.example"}, False),
        ({"host": "gw.example", "origin": "https://gw.example"}, False),
        ({"host": "gw.example:443", "origin": "https://gw.example"}, False),
        ({"host": "gw.example", "origin": "http://gw.example:8080"}, True),
        ({"host": "GW.example:8080", "origin": "http://gw.EXAMPLE:8080"}, False),
        ({"host": "gw.example", "origin": "https://gw.example.evil.example"}, True),
        ({"host": "", "origin": "https://"}, True),
        ({"host": "gw.example", "origin": "file://"}, True),
        ({"host": "inner", "origin": "https://gw.example", "sec-fetch-site": "same-origin"}, False),
        ({"host": "gw.example", "origin": "https://gw.example", "sec-fetch-site": "cross-site"}, True),
        ({"host": "gw.example", "sec-fetch-site": "anything"}, True),
    ],
)
def test_where_a_request_comes_from(fields: dict[str, str], other: bool) -> None:
    assert cross_site(Headers(fields)) is other


def test_a_token_is_one_sessions_own() -> None:
    from helicone_gw_security.browsers import csrf_token

    assert is_csrf_token(SECRET, csrf_token(SECRET))
    for wrong in ("", csrf_token("b" * 43), csrf_token(SECRET)[:-1], "\ud800"):
        assert not is_csrf_token(SECRET, wrong)


@pytest.mark.parametrize("address", ["/", "/a/b?c=d%2F#e", "/~x"])
def test_addresses_of_ours(address: str) -> None:
    assert local_address(address) == address
