"""Sessions: who a browser belongs to, known by a cookie, for a while."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cachetools import TTLCache
from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import GatewayKey, PageRequest, PermissionDenied, Unavailable
from helicone_gw_security.browsers import (
    MAX_COOKIES,
    SESSION_COOKIE,
    cross_site,
    csrf_token,
    is_csrf_token,
    own_cookies,
)
from helicone_gw_security.cached import STALE_AFTER
from helicone_gw_security.identity_tables import SESSION, SessionRow

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

    from helicone_gw import Clock, Database

CACHED: Final = 10_000
"""Sessions, and again cookies that are none, whose owner is remembered for `STALE_AFTER` seconds."""

PER_HOLDER: Final = 50
"""Sessions that one user, or one key, has at most; with one more the oldest ends."""

SEEN_EVERY: Final = 60.0
"""Seconds between two notes of when a session was seen last."""

MAX_TOKEN: Final = 16_000
"""Characters of an ID token that are kept; a longer one is not."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_FAILURES = (SQLAlchemyError, OSError, TimeoutError)

Holders = Callable[[str, str], Awaitable[GatewayKey | None]]
"""Who a holder (``user:<id>``, ``key:<hash>``) of an organisation is now, ``None`` when it may not log in any more."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The OpenID provider that a session began at, its name for the session (``sid``), and its ID token."""

    provider: str
    id_token: str = field(repr=False)
    sid: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A session that is valid: whose it is, and what its cookie holds (never shown). Times are epoch seconds."""

    key: GatewayKey
    holder: str
    secret: str = field(repr=False)
    expires_at: float
    provider: str | None = None
    sealed: str | None = field(default=None, repr=False)

    @property
    def id_token(self) -> str | None:
        """The ID token of the provider that it began at, which only the cookie opens; ``None`` where there is none."""
        return None if self.sealed is None else opened(self.secret, self.sealed)

    @property
    def csrf_token(self) -> str:
        """What a request that changes something has to bring along."""
        return csrf_token(self.secret)


def hashed(secret: str) -> str:
    """What is kept of a cookie's secret, which is random and 256 bits long."""
    return hashlib.sha256(secret.encode()).hexdigest()


def named_there(provider: str, sid: str) -> str:
    """What is kept of a provider's name for a session."""
    return hashlib.sha256(f"{provider}\n{sid}".encode()).hexdigest()


def sealed(secret: str, text: str) -> str | None:
    """``text`` as only whoever has the cookie can read it; ``None`` for one that is too long to keep."""
    return _cipher(secret).encrypt(text.encode()).decode() if len(text) <= MAX_TOKEN else None


def opened(secret: str, text: str) -> str | None:
    """What was `sealed`; ``None`` if it was not, with this secret."""
    from cryptography.fernet import InvalidToken

    try:
        return _cipher(secret).decrypt(text.encode()).decode()
    except InvalidToken:
        return None


def _cipher(secret: str) -> Fernet:
    from cryptography.fernet import Fernet

    return Fernet(base64.urlsafe_b64encode(hmac.new(secret.encode(), b"id token", hashlib.sha256).digest()))


class Sessions:
    """A `helicone_gw.SessionSource` over the database.

    ``idle`` and ``lifetime`` are in seconds: how long a session lasts that nobody uses, and how long at most.
    ``configured`` says whether anybody can log in, ``https`` that browsers know the gateway by an address of it.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        log: Any,
        holders: Holders,
        *,
        idle: float,
        lifetime: float,
        configured: Callable[[], bool],
        https: bool = False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._log = log
        self._holders = holders
        self._idle = idle
        self.lifetime = lifetime
        self._configured = configured
        self.https = https
        self._known: TTLCache[str, tuple[SessionRow, GatewayKey]] = TTLCache(CACHED, STALE_AFTER, clock.monotonic)
        self._unknown: TTLCache[str, bool] = TTLCache(CACHED, STALE_AFTER, clock.monotonic)

    @property
    def configured(self) -> bool:
        """Whether anybody can log in."""
        return self._configured()

    async def caller(self, request: PageRequest) -> GatewayKey | None:
        """Whose browser sent ``request``. Raises `PermissionDenied` for a change that another site may have sent, and
        `Unavailable` when the database does not answer."""
        session = await self.of_cookies(
            own_cookies(request.headers, SESSION_COOKIE, secure=self.https or request.secure)
        )
        if session is None:
            return None
        if request.websocket or request.method not in _SAFE:
            if cross_site(request.headers):
                raise PermissionDenied("A page of another site may not do this.", code="cross_site_request")
            if not request.websocket:
                await self._check_token(session, request)
        return session.key

    async def _check_token(self, session: Session, request: PageRequest) -> None:
        given = request.headers.get("x-csrf-token")
        if given is None:
            given = (await request.form()).get("csrf_token", "")
        if not is_csrf_token(session.secret, given):
            raise PermissionDenied(
                "A change needs the session's token, in X-CSRF-Token or the form's csrf_token; "
                "GET /auth/session tells it.",
                code="csrf_token_required",
            )

    async def of_cookies(self, values: list[str]) -> Session | None:
        """The first valid session among the values of cookies. Raises `Unavailable`."""
        for secret in values[:MAX_COOKIES]:
            session = await self._find(secret)
            if session is not None:
                return session
        return None

    async def begin(self, holder: str, key: GatewayKey, address: str, origin: Origin | None = None) -> Session:
        """A new session of ``holder``, which is ``key`` to the gateway's pages; ``origin``: where it comes from.

        Raises SQLAlchemy's errors.
        """
        now = self._clock.now()
        secret = secrets.token_urlsafe(32)
        row = SessionRow(
            organization_id=key.organization,
            sha256=hashed(secret),
            holder=holder,
            created_at=now,
            seen_at=now,
            expires_at=now + self.lifetime,
            address=address[:100],
        )
        if origin is not None:
            row.provider = origin.provider
            row.sid = None if origin.sid is None else named_there(origin.provider, origin.sid)
            row.id_token = sealed(secret, origin.id_token)
        oldest = (
            select(SESSION.c.sha256)
            .where(SESSION.c.holder == holder)
            .order_by(SESSION.c.created_at.desc())
            .offset(PER_HOLDER - 1)
        )
        async with self._database.begin() as connection:
            await connection.execute(delete(SESSION).where(SESSION.c.expires_at <= now))
            ended = list((await connection.execute(oldest)).scalars())
            if ended:
                await connection.execute(delete(SESSION).where(SESSION.c.sha256.in_(ended)))
            await connection.execute(insert(SESSION).values(**row.model_dump()))
        return Session(key, holder, secret, row.expires_at, row.provider, row.id_token)

    async def end(self, secret: str) -> None:
        """End the session of this cookie, here at once, and in other processes within `STALE_AFTER` seconds."""
        async with self._database.begin() as connection:
            await connection.execute(delete(SESSION).where(SESSION.c.sha256 == hashed(secret)))
        self._known.pop(hashed(secret), None)

    async def end_all(self, holder: str) -> int:
        """End every session of ``holder``; how many there were."""
        async with self._database.begin() as connection:
            done = await connection.execute(delete(SESSION).where(SESSION.c.holder == holder))
        for sha256 in [sha256 for sha256, (row, _) in self._known.items() if row.holder == holder]:
            self._known.pop(sha256, None)
        return done.rowcount

    async def end_of(self, provider: str, holders: Sequence[str], sid: str | None, until: float) -> int:
        """End the sessions that began at ``provider`` up to ``until`` (epoch seconds): the one called ``sid`` there,
        else all of ``holders``."""
        which = SESSION.c.holder.in_(holders) if sid is None else SESSION.c.sid == named_there(provider, sid)
        which &= SESSION.c.created_at <= until
        async with self._database.begin() as connection:
            done = await connection.execute(delete(SESSION).where(SESSION.c.provider == provider, which))
        self._known.clear()
        return done.rowcount

    async def _find(self, secret: str) -> Session | None:
        sha256, now = hashed(secret), self._clock.now()
        if sha256 in self._unknown:
            return None
        found = self._known.get(sha256)
        if found is None:
            found = await self._asked(sha256)
            if found is None:
                self._unknown[sha256] = True
                return None
            self._known[sha256] = found
        row, key = found
        if now >= row.expires_at or now >= row.seen_at + self._idle:
            return None
        if now >= row.seen_at + SEEN_EVERY:
            await self._seen(row, now)
        return Session(key, row.holder, secret, row.expires_at, row.provider, row.id_token)

    async def _asked(self, sha256: str) -> tuple[SessionRow, GatewayKey] | None:
        try:
            async with self._database.connect() as connection:
                found: RowMapping | None = (
                    (await connection.execute(select(SESSION).where(SESSION.c.sha256 == sha256))).mappings().first()
                )
            if found is None:
                return None
            key = await self._holders(found["holder"], found["organization_id"])
        except _FAILURES as problem:
            self._log.error("sessions cannot be read", problem=type(problem).__name__)
            raise Unavailable(
                "The gateway cannot check sessions at the moment. Try again shortly.", code="sessions_unavailable"
            ) from None
        return None if key is None else (SessionRow(**found), key)

    async def _seen(self, row: SessionRow, now: float) -> None:
        row.seen_at = now  # before it is written, so that requests beside this one do not write as well
        statement = update(SESSION).where(SESSION.c.sha256 == row.sha256, SESSION.c.seen_at < now).values(seen_at=now)
        try:
            async with self._database.begin() as connection:
                await connection.execute(statement)
        except _FAILURES as problem:
            self._log.warning("when a session was seen cannot be written", problem=type(problem).__name__)
