"""Affinity: ids that a target made (responses, files, batches, threads) lead back to the target and key that did."""

from __future__ import annotations

import json
import re
import zlib
from typing import TYPE_CHECKING

from helicone_gw import Target

if TYPE_CHECKING:
    from helicone_gw import Exchange, Request, Store

CAPTURED = 4096
"""Bytes of an answer in which its id is looked for."""

MAX_IDS = 4
"""Ids of one request that are looked up."""

_KINDS = "resp|file|batch|msgbatch|thread|conv|vs|vsfb|asst|ftjob|upload|cntr|run|eval|video|skill"
_ID = rf"(?:{_KINDS})[-_][\w-]{{4,120}}"
_IN_PATH = re.compile(rf"/({_ID})(?=/|$)", re.ASCII)
_IN_BODY = re.compile(
    rb'"(?:previous_response_id|conversation|input_file_id|thread_id|assistant_id|file_id|vector_store_id|container)"'
    rb'\s*:\s*(?:\{\s*"id"\s*:\s*)?"(' + _ID.encode() + rb')"'
)
_FILE = re.compile(rb'"file_id"\s*:\s*"(file[-_][\w-]{4,120})"')
_MADE = re.compile(rb'"id"\s*:\s*"(' + _ID.encode() + rb')"')

NOT_SEARCHED = frozenset(
    {"chat", "completions", "embeddings", "messages", "generate_content", "stream_generate_content"}
)
"""Operations of which the provider keeps nothing; all that their requests may refer to is files."""

LARGEST_SEARCHED = 1 << 20
"""Bytes of a request's body that are searched."""


def ids_of(request: Request) -> list[str]:
    """The ids that ``request`` refers to: of its path first, then of its body."""
    body = request.body if request.body and len(request.body) <= LARGEST_SEARCHED else b""
    if request.operation in NOT_SEARCHED:
        if b'"file_id"' not in body:
            return []
        found = [each.decode("ascii") for each in _FILE.findall(body)]
    else:
        found = _IN_PATH.findall(request.path)
        found += [each.decode("ascii") for each in _IN_BODY.findall(body)]
    return list(dict.fromkeys(found))[:MAX_IDS]


def id_made(exchange: Exchange) -> str | None:
    """The id of what this exchange made, if it made something that can be referred to."""
    response, capture, request = exchange.response, exchange.response_capture, exchange.request
    if (
        response is None
        or capture is None
        or request.method != "POST"
        or request.operation in NOT_SEARCHED
        or not 200 <= response.status < 300
    ):
        return None
    data = _plain(capture.data[:CAPTURED], (response.headers.get("content-encoding") or "identity").lower())
    found = _MADE.search(data)
    return None if found is None else found[1].decode("ascii")


def _plain(data: bytes, coding: str) -> bytes:
    if coding not in ("gzip", "deflate"):
        return data
    try:
        return zlib.decompressobj(wbits=47).decompress(data, CAPTURED)
    except zlib.error:
        return b""


class Memory:
    """Which target made which id, in the gateway's store: bounded there, and forgotten after ``ttl`` seconds."""

    def __init__(self, store: Store, name: str, ttl: float) -> None:
        self._store = store
        self._name = name
        self._ttl = ttl

    async def remember(self, owner: str, id: str, target: Target) -> None:
        """``target`` made ``id`` for ``owner``."""
        value = json.dumps([target.provider, target.base_url, target.deployment]).encode()
        await self._store.set(self._key(owner, id), value, self._ttl)

    async def find(self, owner: str, ids: list[str]) -> tuple[str, str | None, str | None] | None:
        """Provider, address and deployment of the target that made the first of ``ids`` that is known."""
        for each in ids:
            value = await self._store.get(self._key(owner, each))
            if value is not None:
                provider, base_url, deployment = json.loads(value)
                return provider, base_url, deployment
        return None

    def _key(self, owner: str, id: str) -> str:
        return f"{self._name}:made:{owner}:{id}"
