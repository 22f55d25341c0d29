"""Passwords: argon2id (RFC 9106) in threads of its own, with a bound on how many are under way."""

from __future__ import annotations

import asyncio
import contextlib
import unicodedata
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

from helicone_gw import Unavailable

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

SHORTEST: Final = 10
"""Characters that a password must have."""
LONGEST: Final = 1000
"""Characters that a password may have."""

TEMPORARY: Final = 7 * 86_400.0
"""Seconds for which a password that somebody else set is good for choosing another."""

RUNNING: Final = 2
"""Hashes computed at a time: each takes a core for some 40 ms, and 19 MiB."""
WAITING: Final = 32
"""Hashes that may wait for their turn; a login more is told to try again."""

NOBODY: Final = "$argon2id$v=19$m=19456,t=2,p=1$mL1xduJo2TAX+m7JN5j5SA$1/XXIx8wMrq6KR8xasp4n1kckpYvxlZvf8ksbDcz+9s"
"""A hash of what nobody knows: verified where there is none, so that an unknown name takes as long as a known one."""


def password_problem(password: str) -> str | None:
    """What is wrong with a new password, ``None`` if nothing is."""
    if len(password) < SHORTEST:
        return f"a password has {SHORTEST} characters at least"
    if len(password) > LONGEST:
        return f"a password has {LONGEST} characters at most"
    return None


class Passwords:
    """Hashes and verifies passwords. ``hasher`` says at what cost; OWASP's least for argon2id if left out."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._given = hasher
        self._threads: ThreadPoolExecutor | None = None
        self._under_way = 0
        self.refused = 0
        """Times that too many were waiting."""

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher  # most starts of the gateway need none

        return self._given or PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

    async def hash(self, password: str) -> str:
        """The encoded hash of ``password``. Raises `Unavailable` when too many wait."""
        return await self._run(lambda: self._hasher.hash(_text(password)))

    async def matching(self, hashes: Sequence[str], password: str) -> list[int]:
        """The places of those ``hashes`` that are of ``password``; all are tried, and one if there is none.

        Raises `Unavailable` when too many wait.
        """
        return await self._run(lambda: self._matching(hashes, _text(password)))

    def outdated(self, hashed: str) -> bool:
        """Whether ``hashed`` was made at another cost than new ones are."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """Start no further ones."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    def _matching(self, hashes: Sequence[str], password: bytes) -> list[int]:
        found = [place for place, hashed in enumerate(hashes) if self._verify(hashed, password)]
        if not hashes:
            self._verify(NOBODY, password)
        return found

    def _verify(self, hashed: str, password: bytes) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._under_way >= RUNNING + WAITING:
            self.refused += 1
            raise Unavailable(
                "Too many people are logging in at this moment. Try again shortly.",
                code="login_busy",
                headers={"Retry-After": "2"},
            )
        if self._threads is None:
            self._threads = ThreadPoolExecutor(RUNNING, thread_name_prefix="security.passwords")
        self._under_way += 1
        future = self._threads.submit(work)
        loop = asyncio.get_running_loop()
        # Not when whoever waits has left, but when the thread is free again.
        future.add_done_callback(lambda _: _call(loop, self._finished))
        return await asyncio.wrap_future(future)

    def _finished(self) -> None:
        self._under_way -= 1


def _call(loop: asyncio.AbstractEventLoop, work: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody counts any more
        loop.call_soon_threadsafe(work)


def _text(password: str) -> bytes:
    # NFKC, so that the same password typed on another keyboard is the same one (RFC 8265, section 4.2, in essence).
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
