"""Logins: from a password or a gateway key to a session, at a bounded rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from helicone_gw import AuthenticationFailed, BadRequest, GatewayKey, PermissionDenied
from helicone_gw_security.passwords import LONGEST, Passwords, password_problem
from helicone_gw_security.users import MAX_ACCOUNTS, User, Users

if TYPE_CHECKING:
    from helicone_gw import Clock
    from helicone_gw_security.attempts import Attempts
    from helicone_gw_security.keys import StoredKey
    from helicone_gw_security.sessions import Origin, Session, Sessions
    from helicone_gw_security.source import Keys

MAX_FIELD: Final = 300
"""Characters of an e-mail address or an organisation."""

WRONG: Final = "The e-mail address and the password do not belong together."
WRONG_KEY: Final = "The gateway key is not valid."


class Logins:
    """Opens sessions. ``key_login`` says whether gateway keys open them, ``None``: while there is no user.

    ``public_url`` is the gateway's address as browsers know it, if that is configured.

    ``audit`` is `helicone_gw.Gateway.audit`. Every method raises `TooManyRequests`, `Unavailable` and SQLAlchemy's.
    """

    def __init__(
        self,
        users: Users,
        keys: Keys,
        sessions: Sessions,
        passwords: Passwords,
        attempts: Attempts,
        clock: Clock,
        audit: Any,
        *,
        key_login: bool | None = None,
        public_url: str | None = None,
    ) -> None:
        self.public_url = public_url
        self.users = users
        self.sessions = sessions
        self.passwords = passwords
        self.attempts = attempts
        self._keys = keys
        self._clock = clock
        self._audit = audit
        self._key_login = key_login

    async def methods(self) -> dict[str, bool]:
        """Which of "password" and "key" open a session now."""
        users = await self.users.refresh()
        return {"password": users, "key": (not users) if self._key_login is None else self._key_login}

    async def with_password(
        self, email: str, password: str, organization: str | None, address: str, new: str | None = None
    ) -> Session:
        """The session of the user whose e-mail address and password these are; ``new`` takes the password's place.

        Of several organisations where they are right, the first by name is taken, unless ``organization`` says which.
        Raises `AuthenticationFailed` for anything else, after as much work as for a user who exists.
        """
        email = email.strip().lower()
        if len(email) > MAX_FIELD or len(password) > LONGEST or len(organization or "") > MAX_FIELD:
            raise BadRequest("An e-mail address, password or organization is too long.")
        counted = await self.attempts.begin(address, email)
        known = [user for user in await self.users.of_email(email, organization) if user.password_hash][:MAX_ACCOUNTS]
        right = await self.passwords.matching([user.password_hash or "" for user in known], password)
        if not right:
            raise AuthenticationFailed(WRONG, code="login_failed")
        await self.attempts.good(counted)
        user = known[right[0]]
        if not user.stored:
            return await self.of_user(user, address, "password")
        if user.temporary_until is not None:
            return await self._with_temporary(user, password, new, address)
        hashed = user.password_hash or ""
        if self.passwords.outdated(hashed):
            fresh = await self.passwords.hash(password)
            if await self.users.table.rehash(user.id, hashed, fresh):
                hashed = fresh
        session = await self.of_user(user, address, "password")
        # A new password ends all sessions; this one may have begun just afterwards, with the old one.
        now = await self.users.table.get(user.id)
        if now is None or now.password_hash != hashed:
            await self.sessions.end(session.secret)
            raise AuthenticationFailed(WRONG, code="login_failed")
        return session

    async def _with_temporary(self, user: User, password: str, new: str | None, address: str) -> Session:
        """The session of a user whose password somebody else set, once they chose one of their own.

        Raises `PermissionDenied` while they did not, `BadRequest` for one that will not do.
        """
        if user.temporary_until is None or self._clock.now() >= user.temporary_until:
            raise AuthenticationFailed(WRONG, code="login_failed")
        if not new:
            raise PermissionDenied(
                "This password is good for choosing one of your own: send that as `new` beside it.",
                code="password_change_required",
            )
        if (problem := password_problem(new)) is not None or new == password:
            raise BadRequest(f"The new password will not do: {problem or 'it is the old one'}.", code="weak_password")
        hashed = await self.passwords.hash(new)
        if not await self.users.table.rehash(user.id, user.password_hash or "", hashed):
            raise AuthenticationFailed(WRONG, code="login_failed")  # somebody was quicker
        await self.sessions.end_all(f"user:{user.id}")
        await self._audit(user.key, "user.set_password", f"user:{user.id}")
        return await self.of_user(user, address, "password")

    async def with_key(self, secret: str, address: str) -> Session:
        """The session of a gateway key. Raises `AuthenticationFailed`, `PermissionDenied` where keys open none."""
        if not (await self.methods())["key"]:
            raise PermissionDenied("Log in with an e-mail address and a password.", code="key_login_disabled")
        counted = await self.attempts.begin(address)
        key = await self._keys.lookup(secret.strip())
        if key is None:
            raise AuthenticationFailed(WRONG_KEY, code="login_failed")
        if key.scope == "write":
            raise PermissionDenied(f"Key {key.name!r} calls providers and reads nothing.", code="scope_required")
        await self.attempts.good(counted)
        stored = await self._keys.stored(secret.strip())
        assert stored is not None
        session = await self.sessions.begin(f"key:{stored.sha256}", key, address)
        await self._audit(key, "session.begin", f"key:{key.id}", after={"with": "key"})
        return session

    async def of_user(self, user: User, address: str, how: str, origin: Origin | None = None) -> Session:
        """A session of ``user``, who proved who they are by ``how``, at ``origin`` if that is an OpenID provider."""
        if user.stored:
            await self.users.table.change(user.id, last_login_at=self._clock.now())
        session = await self.sessions.begin(f"user:{user.id}", user.key, address, origin)
        await self._audit(user.key, "session.begin", f"user:{user.id}", after={"with": how})
        return session

    async def changed_elsewhere(self, user: User, before: User | None) -> User:
        """Tell of what an OpenID provider's word made of ``user``; ``before``: who it was, ``None`` for nobody.

        Another role ends their sessions.
        """
        if before is None:
            await self._audit(user.key, "user.create", f"user:{user.id}", after=user.described())
        elif before.role != user.role:
            await self.sessions.end_all(f"user:{user.id}")
            told = {"before": before.described(), "after": user.described()}
            await self._audit(user.key, "user.change", f"user:{user.id}", **told)
        return user

    async def end(self, session: Session) -> None:
        """End a session."""
        await self.sessions.end(session.secret)
        await self._audit(session.key, "session.end", session.key.id)

    async def end_there(self, provider: str, subject: str | None, sid: str | None, until: float) -> None:
        """End sessions because the OpenID provider says so: the one called ``sid`` there, else all of ``subject``.

        Those that began after ``until`` (epoch seconds) stay: somebody may send an old token again.
        """
        users = [] if subject is None or sid is not None else await self.users.table.with_subject(subject)
        await self.sessions.end_of(provider, [f"user:{user}" for user in users], sid, until)

    async def change_password(self, key: GatewayKey, current: str, new: str, address: str) -> User:
        """Give the user behind ``key`` a new password, and end all their sessions.

        Raises `AuthenticationFailed` when ``current`` is wrong, `BadRequest` for a new one that will not do, and
        `PermissionDenied` where there is no password to change.
        """
        user = await self._user_of(key)
        if user is None or not user.stored or user.password_hash is None:
            raise PermissionDenied("There is no password that could be changed here.", code="no_password")
        if (problem := password_problem(new)) is not None:
            raise BadRequest(f"The new password will not do: {problem}.", code="weak_password")
        if len(current) > LONGEST:
            raise AuthenticationFailed(WRONG, code="login_failed")
        counted = await self.attempts.begin(address, user.email)
        if not await self.passwords.matching([user.password_hash], current):
            raise AuthenticationFailed("The current password is wrong.", code="login_failed")
        await self.attempts.good(counted)
        await self.users.table.change(user.id, password_hash=await self.passwords.hash(new), temporary_until=None)
        await self.sessions.end_all(f"user:{user.id}")
        await self._audit(key, "user.set_password", f"user:{user.id}")
        return user

    async def holder(self, holder: str, organization: str) -> GatewayKey | None:
        """Who a session's ``holder`` is now, as `helicone_gw_security.sessions.Holders` has it."""
        kind, _, which = holder.partition(":")
        if kind == "user":
            user = await self.users.get(which, organization)
            return None if user is None else user.key
        stored: StoredKey | None = await self._keys.of_hash(which)
        if stored is None or not stored.valid(self._clock.now()) or stored.key.organization != organization:
            return None
        return stored.key

    async def _user_of(self, key: GatewayKey) -> User | None:
        if not key.id.startswith("user:"):
            return None
        return await self.users.get(key.id.removeprefix("user:"), key.organization)
