"""Access: who is calling (`GatewayKey`), what they may use (`Permits`), where keys are looked up (`KeyRing`), and the
provider credential that a client brought itself (`ProviderCredential`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal, Protocol

from msgspec import Struct

from helicone_gw.errors import AuthenticationFailed, PermissionDenied


@dataclass(frozen=True, slots=True)
class Permits:
    """What a key may use; ``None`` permits everything, patterns are shell-style (``gpt-4*``), case-sensitive.

    Enforced by the core for every target immediately before every attempt, and for the path before anything else.
    """

    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None

    def allows_model(self, model: str | None) -> bool:
        """Whether ``model`` may be used; the core refuses what names none where it should."""
        return self.models is None or model is None or _matches(model, self.models)

    def allows_provider(self, provider: str) -> bool:
        """Whether ``provider`` may be called."""
        return self.providers is None or _matches(provider, self.providers)

    def allows_path(self, path: str) -> bool:
        """Whether ``path`` (the client's, version segment included) may be asked for."""
        return self.paths is None or _matches(path, self.paths)


def _matches(value: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)


Role = Literal["viewer", "member", "admin"]
"""What a caller may do with the gateway's own pages, each including what stands before it: a viewer reads, a member
writes what belongs to its work (feedback, scores, prompts), an admin manages keys, users, limits and settings."""

ROLES: tuple[Role, ...] = ("viewer", "member", "admin")
"""Every role, from the least to the most."""


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """A key that may call this gateway. ``id`` is stable and public; the secret itself is nowhere.

    ``role`` is about the gateway's own pages and REST routes; what may be asked of providers is in ``permits``.
    """

    id: str
    name: str
    owner: str
    organization: str = "default"
    permits: Permits = Permits()
    role: Role = "member"


class ProviderCredential(Struct, frozen=True):
    """A provider's key that the client sent along. It is used for ``provider`` and for no other.

    ``header`` is the field that carried it, lower-case ("authorization", "x-api-key", "api-key", "x-goog-api-key"), or
    "?key" for the query parameter; ``value`` the field's whole value ("Bearer sk-..."), never shown.
    """

    header: str
    value: str
    provider: str = ""

    def __repr__(self) -> str:
        return f"ProviderCredential(header={self.header!r}, provider={self.provider!r})"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the value, in hex: tells two credentials apart without holding either."""
        return hashlib.sha256(self.value.encode()).hexdigest()


ADMITTED = "helicone_gw.admitted"
"""Where the ASGI scope of a request for one of the gateway's own pages says whose key it came with."""


def caller(scope: Mapping[str, Any]) -> GatewayKey | None:
    """Who asks for a page of a plugin's own: their gateway key, ``None`` on a gateway that has no keys.

    ``scope`` is the request's ASGI scope, ``quart.request.scope`` in a view. Keys are checked before any view is
    called, the path against the key's permits as well; what belongs to whom is for the view to see to. Raises
    `AuthenticationFailed` for a scope that the gateway did not let in.
    """
    try:
        key: GatewayKey | None = scope[ADMITTED]
    except KeyError:
        raise AuthenticationFailed("This request did not come through the gateway.") from None
    return key


def require_role(caller: GatewayKey | None, role: Role) -> None:
    """Let ``caller``, as `caller` gives it, go on if it has ``role`` or more; else raise `PermissionDenied`.

    ``None``, everybody on a gateway without keys, may do everything: such a gateway listens on loopback only.
    """
    if caller is not None and ROLES.index(caller.role) < ROLES.index(role):
        raise PermissionDenied(
            f"This needs the role {role!r}; {caller.name!r} is {caller.role!r}.", code="role_required"
        )


class KeySource(Protocol):
    """Something that knows gateway keys: the ``security`` plugin, or any other."""

    @property
    def configured(self) -> bool:
        """Whether at least one key exists; while none does anywhere, the gateway is open (loopback only)."""

    async def lookup(self, secret: str) -> GatewayKey | None:
        """The key of this secret if it is valid now. Must compare hashes in constant time."""

    async def knows(self, secret: str) -> bool:
        """Whether this secret is, or was, one of its keys, valid or not: no provider may ever be sent one."""


class KeyRing:
    """All key sources of a gateway."""

    def __init__(self) -> None:
        self._sources: list[KeySource] = []

    def register(self, source: KeySource) -> None:
        """Add a source; called in a plugin's ``startup``."""
        self._sources.append(source)

    @property
    def configured(self) -> bool:
        """Whether any source has a key, so that one is required."""
        for source in self._sources:  # noqa: SIM110 - asked several times a request; a generator costs thrice as much
            if source.configured:
                return True
        return False

    async def lookup(self, secret: str) -> GatewayKey | None:
        """The first source's key for ``secret``, or ``None``."""
        for source in self._sources:
            key = await source.lookup(secret)
            if key is not None:
                return key
        return None

    async def knows(self, secret: str) -> bool:
        """Whether any source says that ``secret`` is or was a gateway key."""
        for source in self._sources:
            if await source.knows(secret):
                return True
        return False
