"""Gateway keys: how one is made, what is kept of it, and how a secret is matched against what was kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass

from helicone_gw import GatewayKey

MARK = "sk-helicone-"
"""What every key made here begins with; clients and secret scanners of Helicone's know it."""

_ALPHABET = string.ascii_lowercase + string.digits
_GROUPS, _GROUP_LENGTH = 4, 7
_SHOWN = 4


PROXY = "proxy-"
"""What follows `MARK` in keys that stand for a provider's key, as Helicone's do."""


def generate(*, proxy: bool = False) -> str:
    """A new key: `MARK` and four groups of seven, 144 bits from the operating system's generator."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    return MARK + (PROXY if proxy else "") + "-".join(groups)


def shown_prefix(secret: str) -> str:
    """As much of a key from `generate` as lists may show: enough to recognise it, 124 bits short of using it."""
    start = len(MARK) + (len(PROXY) if secret.startswith(MARK + PROXY) else 0)
    return secret[: start + _SHOWN]


def digest(secret: str) -> str:
    """SHA-256 of ``secret`` as UTF-8, in hex. A fast hash will do: generated keys have no dictionary to try."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def digests(secret: str) -> tuple[str, ...]:
    """Every `digest` that ``secret`` may stand for, likeliest first.

    Header values are decoded as latin-1 (RFC 9110 section 5.5), while clients encode other letters as UTF-8; so a
    secret with such letters is also tried as the bytes that were on the wire.
    """
    first = digest(secret)
    if secret.isascii():
        return (first,)
    try:
        on_the_wire = secret.encode("latin-1")
    except UnicodeEncodeError:
        return (first,)
    return (first, hashlib.sha256(on_the_wire).hexdigest())


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is kept of a key: who it is and the hash of its secret. Times are epoch seconds."""

    key: GatewayKey
    sha256: str
    expires_at: float | None = None
    revoked_at: float | None = None
    stored: bool = False
    """Whether it is in the database, and not in the configuration."""

    def valid(self, now: float) -> bool:
        """Whether the key may be used at ``now``."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class StaticKeys:
    """A fixed set of keys, found by the hash of their secret."""

    def __init__(self, keys: Iterable[StoredKey]) -> None:
        self._by_hash = {stored.sha256: stored for stored in keys}

    def __len__(self) -> int:
        return len(self._by_hash)

    def of_hash(self, sha256: str) -> StoredKey | None:
        """The key whose secret has this hash, valid or not."""
        return self._by_hash.get(sha256)

    def match(self, secret: str) -> StoredKey | None:
        """The key whose secret this is, valid or not.

        The index only sees hashes, whose bits a caller cannot choose; the comparison itself takes constant time.
        """
        for candidate in digests(secret):
            stored = self._by_hash.get(candidate)
            if stored is not None and hmac.compare_digest(stored.sha256, candidate):
                return stored
        return None
