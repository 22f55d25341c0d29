"""Operations: which method and path is which operation of which dialect, read from ``operations.json``.

The table: ``operations`` are paths without their version segment (``versions``: the ones that a dialect knows, the
first being its own default), ``translated`` the operations that the gateway can carry to another dialect, ``resources``
the first segments of every other path worth a name of its own, ``openai_base_paths`` the paths under which providers
serve the openai dialect, ``local`` what the gateway answers itself. In a path ``{name}`` is one segment, a last ``**``
one or more; method ``*`` is any.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Literal
from urllib.parse import unquote

import msgspec

ModelPlace = Literal["body", "path", "query"]


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row: an operation of a dialect.

    ``json``: the request body is JSON; ``model``: where the model's name is; ``stream``: whether the path alone says
    that the answer streams; ``stream_query``: the query parameter (``name=value``) that says so; ``websocket``: may be
    upgraded.
    """

    name: str
    dialect: str
    method: str
    path: str
    json: bool = False
    model: ModelPlace | None = None
    stream: bool | None = None
    stream_query: str | None = None
    websocket: bool = False


class LocalPath(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row: a path that the gateway answers itself; ``name`` is health, metrics, dashboard, log or rest."""

    name: str
    method: str
    path: str


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    versions: dict[str, tuple[str, ...]]
    operations: tuple[Operation, ...]
    translated: frozenset[str]
    resources: frozenset[str]
    openai_base_paths: tuple[str, ...]
    local: tuple[LocalPath, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """An operation found in a path: ``path`` is canonical (version segment in front), ``model`` the path's own."""

    operation: Operation
    path: str
    model: str | None = None


_TABLE = msgspec.json.decode((resources.files(__package__) / "operations.json").read_bytes(), type=_Table)

DIALECTS = frozenset(_TABLE.versions)
"""The dialects whose operations are known."""
TRANSLATED = _TABLE.translated
"""Operations that can be carried to a provider of another dialect."""
OPENAI_BASE_PATHS = _TABLE.openai_base_paths
"""Paths under which providers serve the openai dialect, longest useful first."""

_ALL_VERSIONS = frozenset(version for versions in _TABLE.versions.values() for version in versions)
# A client asks for few paths: most answers are remembered. Longer paths are not worth the memory.
_CACHED_LENGTH = 160
_STATIC: dict[str, list[Operation]] = {}
_BY_FIRST: dict[str, list[tuple[tuple[str, ...], Operation]]] = {}
_VERBS: dict[tuple[str, str], Operation] = {}

for _row in _TABLE.operations:
    _before, _colon, _verb = _row.path.partition("}:")
    _parts = tuple(_row.path.strip("/").split("/"))
    if _colon:
        _VERBS[_row.method, _verb] = _row
    elif "*" in _row.path or "{" in _row.path:
        _BY_FIRST.setdefault(_parts[0], []).append((_parts, _row))
    else:
        _STATIC.setdefault("/".join(_parts), []).append(_row)

_LOCAL_STATIC: dict[str, list[LocalPath]] = {}
_LOCAL_PATTERNS: dict[str, list[tuple[tuple[str, ...], LocalPath]]] = {}

for _own in _TABLE.local:
    _parts = tuple(_own.path[1:].split("/"))
    if "*" in _own.path or "{" in _own.path:
        _LOCAL_PATTERNS.setdefault("/".join(_parts[: 2 if len(_parts) > 2 else 1]), []).append((_parts, _own))
    else:
        _LOCAL_STATIC.setdefault(_own.path, []).append(_own)


def segments(path: str) -> list[str]:
    """The path's segments, empty ones (``//``, a trailing ``/``) left out."""
    return [segment for segment in path.split("/") if segment]


def default_version(dialect: str) -> str:
    """The version segment that a dialect's SDK puts in front of a path."""
    return _TABLE.versions[dialect][0]


def is_version(dialect: str, segment: str) -> bool:
    """Whether ``segment`` is one of the dialect's version segments."""
    return segment in _TABLE.versions[dialect]


def match(method: str, path: str, prefer: str) -> Match | None:
    """The operation at ``path``, with or without a version segment; ``None`` when the table has none.

    Where dialects share a path (``/v1/models``) the one of ``prefer`` is taken, else the table's first.
    """
    return (_match_cached if len(path) <= _CACHED_LENGTH else _match)(method, path, prefer)


def _match(method: str, path: str, prefer: str) -> Match | None:
    parts = segments(path)
    version = parts[0] if parts and parts[0] in _ALL_VERSIONS else None
    tail = parts[1:] if version else parts
    if not tail:
        return None
    if ":" in tail[-1] and tail[0] in ("models", "tunedModels") and len(tail) > 1:
        verb = _match_verb(method, version, tail)
        if verb is not None:
            return verb
    joined = "/".join(tail)
    candidates = [row for row in _STATIC.get(joined, ()) if _fits(row, method, version)]
    if not candidates:
        candidates = [
            row
            for pattern, row in _BY_FIRST.get(tail[0], ())
            if _fits(row, method, version) and _matches(pattern, tail, row.method == "GET")
        ]
    if not candidates:
        return None
    found = next((row for row in candidates if row.dialect == prefer), candidates[0])
    model = unquote("/".join(tail[1:])) if found.model == "path" else None
    return Match(found, f"/{version or default_version(found.dialect)}/{joined}", model)


_match_cached = lru_cache(maxsize=1024)(_match)


def json_path(dialect: str, operation: str) -> str | None:
    """The path of an operation whose model stands in its JSON body; ``None`` when the table has none of that name.

    >>> json_path("openai", "embeddings")
    '/v1/embeddings'
    """
    for row in _TABLE.operations:
        if (row.dialect, row.name, row.model) == (dialect, operation, "body") and row.json and row.method == "POST":
            return f"/{default_version(dialect)}{row.path}"
    return None


def match_verb(method: str, path: str) -> Match | None:
    """A gemini operation at the end of a longer path (``/v1/projects/.../models/{model}:generateContent``)."""
    parts = segments(path)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "models" and ":" in parts[-1]:
            found = _match_verb(method, None, parts[index:])
            return Match(found.operation, path, found.model) if found else None
    return None


def resource(path: str) -> str:
    """The name of an operation that has no row: its first segment after the version if well known, else "other"."""
    parts = segments(path)
    if parts and parts[0] == "upload":
        parts = parts[1:]
    if parts and parts[0] in _ALL_VERSIONS:
        parts = parts[1:]
    return parts[0] if parts and parts[0] in _TABLE.resources else "other"


def local(method: str, path: str) -> str | None:
    """The name of what the gateway answers itself at exactly this method and path, or ``None``.

    A slash more at the end makes no other path of it: what was meant for the gateway is not shown to a provider. HEAD
    follows GET, and OPTIONS (a browser asking beforehand) every method.
    """
    return (_local_cached if len(path) <= _CACHED_LENGTH else _local)(method, path)


def _local(method: str, path: str) -> str | None:
    path = path[:1] + path[1:].removesuffix("/")
    rows: list[LocalPath] = list(_LOCAL_STATIC.get(path, ()))
    if not rows and _LOCAL_PATTERNS:
        parts = path[1:].split("/")
        if "" not in parts:
            for head in ("/".join(parts[:2]), parts[0]):
                rows += [row for pattern, row in _LOCAL_PATTERNS.get(head, ()) if _matches(pattern, parts, False)]
    wanted = "GET" if method == "HEAD" else method
    for row in rows:
        if row.method in ("*", wanted) or method == "OPTIONS":
            return row.name
    return None


_local_cached = lru_cache(maxsize=1024)(_local)


def reserved_segments() -> frozenset[str]:
    """First path segments that belong to the gateway: no provider may be named so."""
    first = {row.path.split("/")[1] for row in _TABLE.operations}
    first |= {row.path.split("/")[1] for row in _TABLE.local}
    # POST /oai/v1/log and its like are exact paths beside the provider prefix of the same name.
    first -= {"oai", "openai", "anthropic", "googleapis", "custom"}
    return frozenset(first | _ALL_VERSIONS | {"v2", "upload", "ai", "gateway", "router"})


def _fits(row: Operation, method: str, version: str | None) -> bool:
    return row.method in ("*", method) and (version is None or version in _TABLE.versions[row.dialect])


def _matches(pattern: tuple[str, ...], parts: list[str], long_names: bool) -> bool:
    """``long_names``: a last ``{model}`` takes several segments, as in ``/models/meta-llama/Llama-3``."""
    open_end = pattern[-1] == "**" or (long_names and pattern[-1] == "{model}")
    if len(parts) != len(pattern) and not (open_end and len(parts) > len(pattern)):
        return False
    return all(want == part or want[0] in "{*" for want, part in zip(pattern, parts, strict=False))


def _match_verb(method: str, version: str | None, tail: list[str]) -> Match | None:
    name, _, verb = "/".join(tail[1:]).rpartition(":")
    row = _VERBS.get((method, verb))
    if row is None or not name or not _fits(row, method, version):
        return None
    path = f"/{version or default_version(row.dialect)}/{'/'.join(tail)}"
    return Match(row, path, unquote(name))
