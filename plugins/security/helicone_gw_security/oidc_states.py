"""LoginStates: logins at OpenID providers that are under way, each good for one return of the browser that began it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, func, insert, select

from helicone_gw import Unavailable
from helicone_gw_security.identity_tables import LOGIN_STATE, LoginStateRow
from helicone_gw_security.sessions import hashed

if TYPE_CHECKING:
    from helicone_gw import Clock, Database

LIFETIME: Final = 600
"""Seconds that somebody has to log in at the provider."""

MOST: Final = 10_000
"""Logins that may be under way; one more is told to try again."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What a login begins with, each 256 random bits: ``browser`` goes into a cookie, the others to the provider."""

    state: str = field(repr=False)
    browser: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)


class LoginStates:
    """The table of logins under way. SQLAlchemy's errors pass through."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def begin(self, provider: str, next_: str) -> Begun:
        """Remember a login that begins. Raises `Unavailable` past `MOST`."""
        begun = Begun(*(secrets.token_urlsafe(32) for _ in range(4)))
        now = self._clock.now()
        row = LoginStateRow(
            sha256=hashed(begun.state),
            browser=hashed(begun.browser),
            provider=provider,
            nonce=begun.nonce,
            verifier=begun.verifier,
            next=next_,
            expires_at=now + LIFETIME,
        )
        async with self._database.begin() as connection:
            await connection.execute(delete(LOGIN_STATE).where(LOGIN_STATE.c.expires_at <= now))
            if (await connection.execute(select(func.count()).select_from(LOGIN_STATE))).scalar_one() >= MOST:
                raise Unavailable(
                    "Too many people are logging in at this moment. Try again shortly.",
                    code="login_busy",
                    headers={"Retry-After": "60"},
                )
            await connection.execute(insert(LOGIN_STATE).values(**row.model_dump()))
        return begun

    async def take(self, provider: str, state: str, browsers: list[str]) -> LoginStateRow | None:
        """The login of this ``state``, once, if one of the cookies ``browsers`` is of whoever began it."""
        which = LOGIN_STATE.c.sha256 == hashed(state)
        async with self._database.begin() as connection:
            found = (await connection.execute(select(LOGIN_STATE).where(which))).mappings().first()
            if found is None or found["browser"] not in {hashed(browser) for browser in browsers}:
                return None
            done = await connection.execute(delete(LOGIN_STATE).where(which))
        if not done.rowcount or found["provider"] != provider or self._clock.now() >= found["expires_at"]:
            return None
        return LoginStateRow(**found)
