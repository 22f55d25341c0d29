"""The demo provider: answers in the process for models named ``demo*``, so that a first request needs no account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from helicone_gw.headers import Headers
from helicone_gw.model import UpstreamRequest, UpstreamResponse
from helicone_gw.sse import encode_event
from helicone_gw.upstream import demo_anthropic, demo_openai
from helicone_gw.upstream.demo_text import Talk, conversation, talk, texts_of

MODELS = ["demo", "demo-embedding"]
"""What ``GET /v1/models`` lists; every other name that begins with ``demo`` is answered as well."""

MAX_BODY = 4 * 2**20
"""Largest request that is read, in bytes; a larger one is answered with 413."""

MAX_DIMENSIONS = 4096
MAX_INPUTS = 2048
PAUSE = 0.001
"""Seconds between two events of a stream: at most 20 milliseconds in all."""

Sleep = Callable[[float], Awaitable[None]]
Event = tuple[str | None, Any]


class Refusal(Exception):
    """An error answer; ``type`` and ``code`` are OpenAI's words for it."""

    def __init__(self, status: int, message: str, type: str = "invalid_request_error", code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code


class DemoUpstream:
    """A `helicone_gw.model.Upstream` that answers by itself; equal requests get equal bytes.

    OpenAI: chat completions, completions, responses, embeddings, models. Anthropic: messages, token counts, models.
    Unary and streamed, always with usage: one token for every four characters of a text, rounded up. ``sleep`` paces
    streams.
    """

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep

    async def __call__(self, call: UpstreamRequest) -> UpstreamResponse:
        """Answer ``call``; what it cannot answer gets an error in the shape of the path's dialect."""
        path = urlsplit(call.url).path
        path = path[path.find("/v1/") + 3 :] if "/v1/" in path else path
        anthropic = path.startswith("/messages") or "anthropic-version" in call.headers
        try:
            answer = self._answer(call.method, path, anthropic, await _read(call.body))
        except Refusal as refusal:
            return _json(refusal.status, _error(refusal, anthropic))
        return _json(200, answer) if isinstance(answer, dict) else self._stream(answer)

    def _answer(self, method: str, path: str, anthropic: bool, body: bytes) -> dict[str, Any] | list[Event]:
        if path == "/models" or path.startswith("/models/"):
            _expect(method, "GET")
            return _models(unquote(path[len("/models/") :]), anthropic)
        answer = _OPERATIONS.get(path)
        if answer is None:
            raise Refusal(404, f"The demo provider has no {path}.", code="not_found")
        _expect(method, "POST")
        asked = _decode(body)
        name = asked.get("model")
        if not isinstance(name, str) or not name.startswith("demo"):
            raise Refusal(
                404,
                f"The demo provider only answers models whose names begin with 'demo', not {name!r}.",
                code="model_not_found",
            )
        return answer(asked, name, body)

    def _stream(self, events: list[Event]) -> UpstreamResponse:
        async def body() -> AsyncGenerator[bytes, None]:
            for at, (name, data) in enumerate(events):
                if at:
                    await self._sleep(PAUSE)
                yield encode_event(b"[DONE]" if data is None else msgspec.json.encode(data), name)

        stream = body()
        headers = Headers({"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"})
        return UpstreamResponse(200, headers, stream, stream.aclose)


async def _read(body: bytes | AsyncIterator[bytes] | None) -> bytes:
    if body is None or isinstance(body, bytes):
        data = body or b""
    else:
        data = b""
        async for piece in body:
            data += piece
            if len(data) > MAX_BODY:
                break
    if len(data) > MAX_BODY:
        raise Refusal(413, f"The demo provider reads at most {MAX_BODY} bytes.", code="request_too_large")
    return data


def _expect(method: str, wanted: str) -> None:
    if method != wanted:
        raise Refusal(405, f"This path takes {wanted}, not {method}.", code="method_not_allowed")


def _decode(body: bytes) -> dict[str, Any]:
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "The request body is not valid JSON.") from None
    if not isinstance(asked, dict):
        raise Refusal(400, "The request body is not a JSON object.")
    return asked


def _limit(asked: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = asked.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise Refusal(400, f"{name} must be a positive integer.")
        return value
    return None


def _required(asked: dict[str, Any], name: str) -> Any:
    if not asked.get(name):
        raise Refusal(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter")
    return asked[name]


def _include_usage(asked: dict[str, Any]) -> bool:
    options = asked.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def _chat(asked: dict[str, Any], name: str, body: bytes) -> dict[str, Any] | list[Event]:
    prompt, last = conversation(_required(asked, "messages"))
    said = talk(name, prompt, last, _limit(asked, "max_completion_tokens", "max_tokens"), body)
    return (
        demo_openai.chat_chunks(said, _include_usage(asked))
        if asked.get("stream")
        else demo_openai.chat_completion(said)
    )


def _completions(asked: dict[str, Any], name: str, body: bytes) -> dict[str, Any] | list[Event]:
    prompt, last = conversation(_required(asked, "prompt"))
    said = talk(name, prompt, last, _limit(asked, "max_tokens"), body)
    return (
        demo_openai.completion_chunks(said, _include_usage(asked))
        if asked.get("stream")
        else demo_openai.completion(said)
    )


def _responses(asked: dict[str, Any], name: str, body: bytes) -> dict[str, Any] | list[Event]:
    prompt, last = conversation(_required(asked, "input"))
    prompt = [*texts_of(asked.get("instructions")), *prompt]
    said = talk(name, prompt, last, _limit(asked, "max_output_tokens"), body)
    return demo_openai.response_events(said, asked) if asked.get("stream") else demo_openai.response(said, asked)


def _embeddings(asked: dict[str, Any], name: str, body: bytes) -> dict[str, Any]:
    given = _required(asked, "input")
    # A list of integers is one text in tokens; a list of lists is several.
    several = given if isinstance(given, list) and not all(isinstance(each, int) for each in given) else [given]
    texts = [
        each if isinstance(each, str) else " ".join(map(str, each)) for each in several if isinstance(each, str | list)
    ]
    dimensions = _limit(asked, "dimensions") or 64
    if dimensions > MAX_DIMENSIONS or not texts or len(texts) > MAX_INPUTS:
        raise Refusal(400, f"At most {MAX_INPUTS} inputs and {MAX_DIMENSIONS} dimensions, and at least one of each.")
    return demo_openai.embeddings(name, texts, dimensions, asked.get("encoding_format") == "base64")


def _message_talk(asked: dict[str, Any], name: str, body: bytes, max_tokens: int | None) -> Talk:
    prompt, last = conversation(_required(asked, "messages"))
    return talk(name, [*texts_of(asked.get("system")), *prompt], last, max_tokens, body)


def _messages(asked: dict[str, Any], name: str, body: bytes) -> dict[str, Any] | list[Event]:
    _required(asked, "max_tokens")
    said = _message_talk(asked, name, body, _limit(asked, "max_tokens"))
    return demo_anthropic.message_events(said) if asked.get("stream") else demo_anthropic.message(said)


def _count(asked: dict[str, Any], name: str, body: bytes) -> dict[str, Any]:
    return {"input_tokens": _message_talk(asked, name, body, None).input_tokens}


_OPERATIONS: dict[str, Callable[[dict[str, Any], str, bytes], dict[str, Any] | list[Event]]] = {
    "/chat/completions": _chat,
    "/completions": _completions,
    "/responses": _responses,
    "/embeddings": _embeddings,
    "/messages": _messages,
    "/messages/count_tokens": _count,
}


def _models(wanted: str, anthropic: bool) -> dict[str, Any]:
    if not wanted:
        if anthropic:
            return demo_anthropic.models(MODELS)
        return {"object": "list", "data": [demo_openai.model(name) for name in MODELS]}
    if not wanted.startswith("demo"):
        raise Refusal(404, f"The demo provider has no model {wanted!r}.", code="model_not_found")
    return demo_anthropic.model(wanted) if anthropic else demo_openai.model(wanted)


_ANTHROPIC_TYPES = {404: "not_found_error", 413: "request_too_large"}


def _error(refusal: Refusal, anthropic: bool) -> dict[str, Any]:
    if anthropic:
        kind = _ANTHROPIC_TYPES.get(refusal.status, "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": None}
    return {"error": {"message": refusal.message, "type": refusal.type, "param": None, "code": refusal.code}}


def _json(status: int, value: Any) -> UpstreamResponse:
    body = msgspec.json.encode(value)

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield body

    stream = pieces()
    return UpstreamResponse(status, Headers({"content-type": "application/json"}), stream, stream.aclose)
