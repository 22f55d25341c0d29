"""Access: who is calling (`GatewayKey`), what they may use (`Permits`), where keys are looked up (`KeyRing`), and the
provider credential that a client brought itself (`ProviderCredential`)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from operator import attrgetter
from typing import Any, Literal, Protocol

from msgspec import Struct

from helicone_gw.errors import AuthenticationFailed, PermissionDenied
from helicone_gw.headers import Headers


@dataclass(frozen=True, slots=True)
class Permits:
    """What a key may use; ``None`` permits everything, patterns are shell-style (``gpt-4*``), case-sensitive.

    ``networks`` are addresses and networks (CIDR) that requests may come from, ``origins`` those of web pages that may
    send them ("https://app.example.com"). Enforced by the core for every target immediately before every attempt; path,
    address and origin before anything else.
    """

    models: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    networks: tuple[str, ...] | None = None
    origins: tuple[str, ...] | None = None

    def allows_model(self, model: str | None) -> bool:
        """Whether ``model`` may be used; the core refuses what names none where it should."""
        return self.models is None or model is None or _matches(model, self.models)

    def allows_provider(self, provider: str) -> bool:
        """Whether ``provider`` may be called."""
        return self.providers is None or _matches(provider, self.providers)

    def allows_path(self, path: str) -> bool:
        """Whether ``path`` (the client's, version segment included) may be asked for."""
        return self.paths is None or _matches(path, self.paths)

    def allows_address(self, address: str) -> bool:
        """Whether a request may come from ``address``; what is no IP address comes from no network."""
        return self.networks is None or within(address, self.networks)

    def allows_origin(self, origin: str | None) -> bool:
        """Whether a page of ``origin`` may send a request; a key with origins is for pages alone, ``None`` for none."""
        return self.origins is None or (origin is not None and origin.lower() in self.origins)


def within(address: str, networks: Sequence[str]) -> bool:
    """Whether the IP address ``address`` lies in one of ``networks``; what is IPv4 written as IPv6 is IPv4."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip.version == network.version and ip in network for network in map(_network, networks))


@lru_cache(maxsize=4096)
def _network(text: str) -> IPv4Network | IPv6Network:
    network = ip_network(text, strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        return network if mapped is None else IPv4Network((mapped, network.prefixlen - 96))
    return network


def _matches(value: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns)


Role = Literal["viewer", "member", "admin"]
"""What a caller may do with the gateway's own pages, each including what stands before it: a viewer reads, a member
writes what belongs to its work (feedback, scores, prompts), an admin manages keys, users, limits and settings."""

ROLES: tuple[Role, ...] = ("viewer", "member", "admin")
"""Every role, from the least to the most."""


Scope = Literal["all", "read", "write"]
"""What a key is for: everything; reading the gateway's own pages and nothing of any provider; or calling providers and
telling of calls (logs, feedback, scores), and reading nothing that others did."""


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """A key that may call this gateway. ``id`` is stable and public; the secret itself is nowhere.

    ``role`` is about the gateway's own pages and REST routes; what may be asked of providers is in ``permits``.
    ``limits`` are policies (``100;w=60;u=request``) and ``budgets`` dollars by period (``25/month``) of this key alone,
    for whichever plugin enforces them (`KeyRing.limits_enforced`). ``provider_key`` is the id of the one stored
    provider key that it stands for, if it does.
    """

    id: str
    name: str
    owner: str
    organization: str = "default"
    permits: Permits = Permits()
    role: Role = "member"
    scope: Scope = "all"
    limits: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()
    provider_key: str | None = None


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


class ProviderKey(Struct, frozen=True):
    """A provider's key that is kept for an organisation: it takes the place of the configuration's own for
    ``provider``, and goes to the origin of that provider's ``base_url`` alone. An empty ``secret``: it cannot be read.
    """

    id: str
    provider: str
    secret: str

    def __repr__(self) -> str:
        return f"ProviderKey(id={self.id!r}, provider={self.provider!r})"


NO_PROVIDER_KEYS: Mapping[str, ProviderKey] = {}

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

    ``None``, everybody on a gateway without keys, may do everything: such a gateway listens on loopback only. A key for
    reading alone is a viewer's, whatever its role.
    """
    if caller is not None and caller.scope == "read" and role != "viewer":
        raise PermissionDenied(f"Key {caller.name!r} only reads.", code="scope_required")
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


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request for one of the gateway's own pages, as far as it is known before its body is read.

    ``path`` is the canonical one, ``query`` without ``?``; ``websocket`` says that it wants to be upgraded; ``client``
    is the address that it came from; ``secure``: the browser speaks https, as connection or proxy say. ``form`` reads
    the body's fields if it is an HTML form's (``application/x-www-form-urlencoded``, 1 MiB at most) and gives none for
    any other; the page gets the body all the same.
    """

    method: str
    path: str
    query: str = field(repr=False)
    headers: Headers
    client: str
    websocket: bool
    secure: bool
    form: Callable[[], Awaitable[Mapping[str, str]]] = field(repr=False)


class SessionSource(Protocol):
    """Something that knows people by the session that their browser has with the gateway's own pages."""

    @property
    def configured(self) -> bool:
        """Whether anybody can log in, so that the gateway is not open although it may have no key."""

    async def caller(self, request: PageRequest) -> GatewayKey | None:
        """Who asks, as the key to act for; ``None`` when the request belongs to no session that is valid now.

        Asked only for the gateway's own pages, never for a provider's paths, and only when no gateway key came in a
        header. Raises `PermissionDenied` for a request that changes something and may have been sent by another site.
        """


_is_configured: Callable[[object], bool] = attrgetter("configured")


class KeyRing:
    """Who may call a gateway: all its key sources, its sessions, and the pages that need neither."""

    def __init__(self) -> None:
        self._sources: list[KeySource] = []
        self._sessions: list[SessionSource] = []
        self._open: frozenset[str] = frozenset()
        self._open_below: tuple[str, ...] = ()
        self.login_page: str | None = None
        """The path to which a browser without a session is sent, with the path it asked for as ``?next=``; whoever
        serves it sets it, and opens it with `open_pages`."""
        self.path_prefix = ""
        """What a proxy in front takes off the paths of all pages, as far as it is configured; whoever knows sets it."""
        self.limits_enforced = False
        """Whether a plugin enforces `GatewayKey.limits`; it says so when it starts."""
        self.budgets_enforced = False
        """Whether a plugin enforces `GatewayKey.budgets`."""

    def register(self, source: KeySource) -> None:
        """Add a source; called in a plugin's ``startup``."""
        self._sources.append(source)

    def register_sessions(self, source: SessionSource) -> None:
        """Add a source of sessions; called in a plugin's ``startup``."""
        self._sessions.append(source)

    def open_pages(self, *paths: str) -> None:
        """Let everybody have these pages of a plugin's own, with any method: a path, or what lies below one that ends
        in a slash. In their views ``caller`` raises `AuthenticationFailed` when nobody is known."""
        self._open |= {path for path in paths if not path.endswith("/")}
        self._open_below += tuple(path for path in paths if path.endswith("/"))

    def is_open_page(self, path: str) -> bool:
        """Whether `open_pages` was told of ``path``."""
        return path in self._open or path.startswith(self._open_below)

    @property
    def configured(self) -> bool:
        """Whether any source has a key or anybody can log in, so that a key, or a session, is required."""
        # Asked several times a request; a generator costs thrice as much.
        return any(map(_is_configured, self._sources)) or any(map(_is_configured, self._sessions))

    async def session(self, request: PageRequest) -> GatewayKey | None:
        """Whose session ``request`` belongs to, or ``None``. Raises `PermissionDenied` as `SessionSource` does."""
        for source in self._sessions:
            key = await source.caller(request)
            if key is not None:
                return key
        return None

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
