"""Location: which of the gateway's modes a request is in, decided by its address alone.

The order, first match wins: the gateway's own paths; the host's first label; a path prefix; the operations that are
routed by model; any other path under the version segment; nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import unquote, unquote_plus

from helicone_gw.headers import Headers
from helicone_gw.ingress import native, operations
from helicone_gw.ingress.hosts import first_label, split_host
from helicone_gw.ingress.operations import Match
from helicone_gw.ingress.paths import read_path, read_query

LocationKind = Literal["gateway", "local", "unknown"]

FORCED_ROUTING = "Helicone-Forced-Routing"
"""The header by which clients of Helicone's older gateway have ``/ai`` and ``/router`` go straight to a provider."""

DIALECT_PROVIDERS: Mapping[str, str] = {"openai": "openai", "anthropic": "anthropic", "gemini": "gemini"}
"""The provider that a dialect's own paths imply when the address names none."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a request wants to go.

    ``kind``: "gateway" is proxied, "local" is answered by the gateway's own HTTP application, "unknown" is a 404.
    ``dialect``: the client's, known even for "unknown" (the error's shape): "openai", "anthropic", "gemini", or the
    provider's own when it is none of these and the path none of theirs.
    ``path``: canonical in that dialect, version segment included; ``verbatim`` says that it is instead what the
    provider's own SDK sent and must be appended to the provider's or target's base unchanged.
    ``client_path``: what the client sent, mode prefix and gateway key removed, always as it came.
    ``provider``: set when host or prefix names one; ``router``: the named route; ``needs_target_url``: the upstream is
    what ``Helicone-Target-URL`` or ``Helicone-Fallbacks`` says.
    ``model`` and ``stream``: what path and query say, ``None`` when the body has the word (``model_in`` "body").
    ``json``: the operation's body is JSON. ``websocket``: may be upgraded.
    ``reason``: of "unknown", for the client.
    """

    kind: LocationKind
    dialect: str
    operation: str
    path: str
    query: str = field(default="", repr=False)
    client_path: str = ""
    provider: str | None = None
    router: str | None = None
    needs_target_url: bool = False
    path_key: str | None = field(default=None, repr=False)
    model: str | None = None
    model_in: operations.ModelPlace | None = None
    stream: bool | None = None
    json: bool = False
    websocket: bool = False
    verbatim: bool = False
    reason: str | None = None

    @property
    def implied_provider(self) -> str:
        """Whose credential a client brings along here; "" when only the target URL can tell."""
        if self.provider is not None:
            return self.provider
        return "" if self.needs_target_url else DIALECT_PROVIDERS.get(self.dialect, self.dialect)


def locate(
    method: str,
    host: str,
    raw_path: bytes,
    query: bytes,
    headers: Headers,
    *,
    providers: Mapping[str, str],
    dialects: Mapping[str, str],
    domains: Collection[str] = (),
) -> Location:
    """Decide a request's mode. Never raises: what cannot be placed is "unknown", with a reason.

    Args:
        method: upper-case; "GET" for a WebSocket.
        host: the ``Host`` field or ``:authority``, with or without port.
        raw_path: as in the request line, still percent-encoded, without the query.
        query: without ``?``.
        providers: path prefix, alias or host label -> provider name.
        dialects: provider name -> dialect.
        domains: ``server.domains``, beside Helicone's own.
    """
    client = read_path(raw_path)
    path = client.path
    draft = _Draft(method, read_query(query), client.key, _hint(headers))
    if client.problem is not None:
        return draft.unknown(path, client.problem)

    name = operations.local(method, path) or _dashboard(method, path, headers)
    if name is not None:
        return draft.build("local", draft.prefer, name, path)

    label = _label(host, tuple(domains))
    if label == "gateway":
        return _to_target(draft, path)
    if label is not None and label not in ("api", "ai-gateway") and label in providers:
        return _to_provider(draft, path, providers[label], dialects)
    if label == "ai-gateway" and method == "POST" and path in ("/", "/v1", "/v1/"):
        # Helicone's gateway host takes a chat completion at any POST path; some clients send none at all.
        path = "/v1/chat/completions"

    first, rest = _split_first(path)
    if first == "gateway":
        return _to_target(draft, rest)
    forced = headers.get(FORCED_ROUTING) if first in ("ai", "router") else None
    if first == "router":
        router, rest = _split_first(rest)
        if not router:
            return draft.unknown(path, "The path names no router: /router/{name}/v1/...")
        draft.router = unquote(router) if forced is None else None
    if forced is not None:
        if forced not in providers:
            return draft.unknown(path, f"{FORCED_ROUTING} names no provider.")
        return _to_provider(draft, rest, providers[forced], dialects)
    if first in ("ai", "router"):
        return _by_model(draft, rest)
    if first == "v1" and rest.startswith("/gateway/"):
        alias, rest = _split_first(_split_first(rest)[1])
        if alias in providers:
            return _to_provider(draft, rest, providers[alias], dialects)
        return draft.unknown(path, "After /v1/gateway the path must name a provider, as in /v1/gateway/oai/v1/...")
    if first in providers:
        return _to_provider(draft, rest, providers[first], dialects)
    return _by_model(draft, path)


@lru_cache(maxsize=256)
def _label(host: str, domains: tuple[str, ...]) -> str | None:
    return first_label(split_host(host)[0], domains)


class _Draft:
    """What is known of a `Location` while it is being decided."""

    __slots__ = ("hint", "key", "method", "needs_target_url", "provider", "query", "router")

    def __init__(self, method: str, query: str, key: str | None, hint: str | None) -> None:
        self.method = method
        self.query = query
        self.key = key
        self.hint = hint
        self.provider: str | None = None
        self.router: str | None = None
        self.needs_target_url = False

    @property
    def prefer(self) -> str:
        return self.hint or "openai"

    def build(
        self,
        kind: LocationKind,
        dialect: str,
        operation: str,
        path: str,
        client_path: str | None = None,
        **facts: Any,
    ) -> Location:
        return Location(
            kind,
            dialect,
            operation,
            path,
            self.query,
            path if client_path is None else client_path,
            self.provider,
            self.router,
            self.needs_target_url,
            self.key,
            **facts,
        )

    def unknown(self, path: str, reason: str) -> Location:
        return self.build("unknown", self.prefer, "other", path, reason=reason)

    def at(self, found: Match, client_path: str, *, verbatim: bool = False, dialect: str | None = None) -> Location:
        """A path that has a row in the table."""
        operation = found.operation
        model, stream = found.model, operation.stream
        if operation.model == "query":
            model = _query_value(self.query, "model")
        if self.query and operation.stream_query is not None:
            name, _, value = operation.stream_query.partition("=")
            stream = True if _query_value(self.query, name) == value else stream
        return self.build(
            "gateway",
            dialect or operation.dialect,
            operation.name,
            client_path if verbatim else found.path,
            client_path,
            model=model,
            model_in=operation.model,
            stream=stream,
            json=operation.json,
            websocket=operation.websocket,
            verbatim=verbatim,
        )

    def other(self, path: str, dialect: str, client_path: str, *, verbatim: bool = False) -> Location:
        """A path without a row: passed on as it is, and read where it is known what its provider has there."""
        found = native.find(self.method, client_path, None if self.needs_target_url else dialect)
        if found is None:
            return self.build("gateway", dialect, operations.resource(path), path, client_path, verbatim=verbatim)
        said = found._asdict()
        return self.build("gateway", path=path, client_path=client_path, json=True, verbatim=verbatim, **said)


def _by_model(draft: _Draft, path: str) -> Location:
    found = operations.match(draft.method, path, draft.prefer)
    if found is not None:
        return draft.at(found, path)
    parts = operations.segments(path)
    if len(parts) > 1 and parts[0] == "v1":
        return draft.other(path, draft.prefer, path)
    if len(parts) > 1 and (parts[1] if parts[0] == "upload" else parts[0]) in ("v1beta", "v1alpha"):
        # Only Gemini's API has these versions; its SDK keeps files and caches there.
        return _in_dialect(draft, path, "gemini")
    return draft.unknown(
        path,
        f"There is nothing at {draft.method[:20]} {path[:200]}. "
        "Operations are served under /v1, providers under /{provider}/v1.",
    )


def _to_provider(draft: _Draft, path: str, provider: str, dialects: Mapping[str, str]) -> Location:
    draft.provider = provider
    dialect = dialects.get(provider, "openai")
    if dialect in operations.DIALECTS and not operations.segments(path):
        return draft.unknown(path, "The path names a provider and nothing there.")
    return _in_dialect(draft, path, dialect)


def _in_dialect(draft: _Draft, path: str, dialect: str) -> Location:
    """A path that the SDK of a provider of ``dialect`` sends, with or without its version segment."""
    ours = dialect in operations.DIALECTS
    azure = _azure(draft.method, path)
    if azure is not None:
        return draft.at(azure, path, verbatim=True)
    found = operations.match(draft.method, path, draft.hint or dialect)
    if found is not None and (ours or found.operation.name in operations.TRANSLATED):
        return draft.at(found, path)
    tail = _after_base_path(path)
    if tail is not None:
        compatible = operations.match(draft.method, tail, "openai")
        if compatible is not None and (dialect == "openai" or compatible.operation.name in operations.TRANSLATED):
            return draft.at(compatible, path)
        if dialect == "openai":
            return draft.other("/v1" + tail, dialect, path)
    embedded = operations.match_verb(draft.method, path)
    if embedded is not None:
        return draft.at(embedded, path, verbatim=True)
    if not ours:
        if found is not None:
            return draft.at(found, path, verbatim=True, dialect=dialect)
        return draft.other(path, dialect, path, verbatim=True)
    first = operations.segments(path)[0]
    if operations.is_version(dialect, first) or (dialect == "gemini" and first == "upload"):
        return draft.other(path, dialect, path)
    if _looks_like_version(first) or first == "openai":
        # Another version of the API, or Azure's own paths: nothing to put in front of them.
        return draft.other(path, dialect, path, verbatim=True)
    return draft.other(f"/{operations.default_version(dialect)}{path}", dialect, path)


def _to_target(draft: _Draft, path: str) -> Location:
    """A path for whatever host the request names: sent as it is, its operation recognised where possible."""
    draft.needs_target_url = True
    found = operations.match(draft.method, path, draft.prefer) or _azure(draft.method, path)
    if found is None:
        tail = _after_base_path(path)
        found = operations.match(draft.method, tail, "openai") if tail is not None else None
    found = found or operations.match_verb(draft.method, path)
    if found is None:
        return draft.other(path, draft.prefer, path, verbatim=True)
    return draft.at(found, path, verbatim=True)


def _azure(method: str, path: str) -> Match | None:
    """``/openai/deployments/{deployment}/...``: an openai operation whose model is the deployment in the path."""
    if not path.startswith("/openai/deployments/"):
        return None
    deployment, _, tail = path.removeprefix("/openai/deployments/").partition("/")
    found = operations.match(method, tail, "openai") if deployment else None
    if found is None or found.operation.dialect != "openai":
        return None
    return Match(found.operation, path, unquote(deployment))


def _after_base_path(path: str) -> str | None:
    for base in operations.OPENAI_BASE_PATHS:
        if path.startswith(base + "/"):
            return "/" + path[len(base) :].lstrip("/")
    return None


def _hint(headers: Headers) -> str | None:
    """The dialect that a header gives away where the path does not."""
    if "anthropic-version" in headers:
        return "anthropic"
    return "gemini" if "x-goog-api-key" in headers else None


def _dashboard(method: str, path: str, headers: Headers) -> str | None:
    wants_page = path == "/" and method in ("GET", "HEAD") and "text/html" in (headers.get("accept") or "").lower()
    return "dashboard" if wants_page else None


def _looks_like_version(segment: str) -> bool:
    return segment[0] == "v" and segment[1:2].isdigit()


def _split_first(path: str) -> tuple[str, str]:
    first, _, rest = path[1:].partition("/")
    return first, "/" + rest.lstrip("/")


def _query_value(query: str, name: str) -> str | None:
    for field_ in query.split("&"):
        key, _, value = field_.partition("=")
        if key == name:
            return unquote_plus(value)
    return None
