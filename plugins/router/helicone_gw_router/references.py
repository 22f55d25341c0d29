"""References: ids of what targets keep (responses, files, batches, containers, caches), in requests and in answers."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from helicone_gw import Exchange, Request

CAPTURED = 4096
"""Bytes of an answer in which its id is looked for."""

LARGEST_SEARCHED = 1 << 20
"""Bytes of a request's body that are searched, and of an answer that may name a container."""

MAX_IDS = 4
"""Ids of one request that are looked up."""

KEEPS_NOTHING = frozenset(
    {
        "chat",
        "completions",
        "embeddings",
        "messages",
        "count_tokens",
        "generate_content",
        "stream_generate_content",
        "embed_content",
        "batch_embed_contents",
    }
)
"""Operations of which the provider keeps nothing but a container; their requests refer to files, containers, caches."""

_KINDS = "resp|file|batch|msgbatch|thread|conv|vs|vsfb|asst|ftjob|upload|cntr|container|run|eval|video|skill"
_ID = rf"(?:{_KINDS})[-_][\w-]{{4,120}}"
_IN_PATH = re.compile(rf"/({_ID})(?=/|$)", re.ASCII)
_IN_BODY = re.compile(
    rb'"(?:previous_response_id|conversation|input_file_id|thread_id|assistant_id|file_id|vector_store_id|container)"'
    rb'\s*:\s*(?:\{\s*"id"\s*:\s*)?"(' + _ID.encode() + rb')"'
)
_FILE = re.compile(rb'"file_id"\s*:\s*"(file[-_][\w-]{4,120})"')
_CONTAINER = re.compile(rb'"(container_[\w-]{4,120})"')
_HINT = re.compile(rb'"(?:file_id|container)')
_LEADS_TO_CONTAINER = re.compile(rb'"(?:code_execution|container")')
_MADE = re.compile(rb'"id"\s*:\s*"(' + _ID.encode() + rb')"')

GOOGLES = frozenset({"gemini", "vertex"})
"""Dialects whose resources have names of their own."""

# Gemini's API names resources by collection and id; Vertex AI's puts the project before them.
_NAMED = r"(?:files|cachedContents|batches|tunedModels|fileSearchStores)/[\w-]{1,120}"
_NAME_IN_PATH = re.compile(rf"/({_NAMED})(?=[/:]|$)", re.ASCII)
_NAME_IN_BODY = re.compile(
    rb'"(?:file_?[uU]ri|cached_?[cC]ontent|file_?[nN]ame)"\s*:\s*"(?:[^"\\]{0,256}/)?(' + _NAMED.encode() + rb')"'
)
_NAME_MADE = re.compile(rb'"name"\s*:\s*"(?:[^"\\]{0,256}/)?(' + _NAMED.encode() + rb')"')


def ids_of(request: Request) -> list[str]:
    """The ids that ``request`` refers to: of its path first, then of its body; each once, at most `MAX_IDS`."""
    body, operation = request.body or b"", request.operation
    if len(body) > LARGEST_SEARCHED:
        body = b""
    found: list[str] = []
    if request.dialect in GOOGLES:
        if operation not in KEEPS_NOTHING:
            found += _NAME_IN_PATH.findall(request.path)
        if b'"file' in body or b'"cached' in body:
            found += _found(_NAME_IN_BODY, body)
    elif operation not in KEEPS_NOTHING:
        found += _IN_PATH.findall(request.path)
        found += _found(_IN_BODY, body)
    elif operation == "messages":
        # One look at a body of any size is enough for most of them.
        if _HINT.search(body) is not None:
            found += _found(_CONTAINER, body) if b'"container' in body else ()
            found += _found(_FILE, body)
    elif b'"file_id"' in body:
        found += _found(_FILE, body)
    return list(dict.fromkeys(found))[:MAX_IDS] if found else found


def _found(pattern: re.Pattern[bytes], body: bytes) -> Iterator[str]:
    return (each.decode("ascii") for each in pattern.findall(body))


def may_leave_container(request: Request) -> bool:
    """Whether the answer may name a container of Anthropic's, in which code runs and files stay."""
    return request.operation == "messages" and _LEADS_TO_CONTAINER.search(request.body or b"") is not None


def id_made(exchange: Exchange) -> str | None:
    """The id of what this exchange made, if it made something that can be referred to."""
    response, capture, request = exchange.response, exchange.response_capture, exchange.request
    if (
        response is None
        or capture is None
        or request.method != "POST"
        or request.operation in KEEPS_NOTHING
        or not 200 <= response.status < 300
    ):
        return None
    data = _plain(capture.data[:CAPTURED], response.headers.get("content-encoding"), CAPTURED)
    found = (_NAME_MADE if request.dialect in GOOGLES else _MADE).search(data)
    return None if found is None else found[1].decode("ascii")


def container_in(data: bytes, coding: str | None = None) -> str | None:
    """The container that an answer, or an event of one, names."""
    plain = _plain(data, coding, LARGEST_SEARCHED)
    place = plain.rfind(b'"container"')
    found = None if place < 0 else _CONTAINER.search(plain, place)
    return None if found is None else found[1].decode("ascii")


def _plain(data: bytes, coding: str | None, limit: int) -> bytes:
    if (coding or "identity").lower() not in ("gzip", "deflate"):
        return data
    try:
        return zlib.decompressobj(wbits=47).decompress(data, limit)
    except zlib.error:
        return b""
