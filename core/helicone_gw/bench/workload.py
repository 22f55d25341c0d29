"""What is asked and what is answered: request bodies, replies and streams as bytes made ahead, and the script in them.

A request's text starts with ``bench:EVENTS,PAUSE,REPLY;``, which tells the mock provider what to answer. It stands in
the message and not in a header, since gateways forward the first unchanged and drop or rename the second.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

import msgspec

MODEL = "gpt-4o-mini"
PATH = "/v1/chat/completions"

REPLY_SIZE = 629
"""Bytes of the usual reply: a short chat completion as OpenAI sends it."""

MARK = re.compile(rb"bench:(\d{1,6}),(\d{1,6}),(\d{1,8});")
TOKEN = re.compile(rb"token-(\d{5})")
DONE = b"data: [DONE]\n\n"

_WORDS = "The quick brown fox jumps over the lazy dog while a gateway relays what it was told. "
_FIELDS = (
    b"date: Thu, 01 Jan 2026 08:00:00 GMT\r\n"
    b"openai-organization: bench\r\n"
    b"openai-processing-ms: 12\r\n"
    b"x-request-id: req_0123456789abcdef0123456789abcdef\r\n"
    b"x-ratelimit-limit-requests: 10000\r\n"
    b"x-ratelimit-remaining-requests: 9999\r\n"
)
_JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + _FIELDS
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    + _FIELDS
    + b"transfer-encoding: chunked\r\n\r\n"
)
_CHUNK = {
    "id": "chatcmpl-Bench0123456789abcdefghijkl",
    "object": "chat.completion.chunk",
    "created": 1767254400,
    "model": "gpt-4o-mini-2024-07-18",
    "service_tier": "default",
    "system_fingerprint": "fp_bench0001",
}
_USAGE = {
    "prompt_tokens": 190,
    "completion_tokens": 98,
    "total_tokens": 288,
    "prompt_tokens_details": {"cached_tokens": 0},
}


class Script(msgspec.Struct, frozen=True):
    """What the mock provider answers: a stream of ``events`` every ``pause`` milliseconds, or one JSON reply.

    ``events`` counts all but ``[DONE]``: the role, the tokens, the reason to stop; 0 asks for a reply. ``reply`` is the
    reply's size in bytes, 0 the usual one (`REPLY_SIZE`).
    """

    events: int = 0
    pause: int = 0
    reply: int = 0

    @property
    def mark(self) -> str:
        """The script as it stands in a request's text."""
        return f"bench:{self.events},{self.pause},{self.reply};"


@lru_cache(maxsize=256)
def script_of(mark: bytes) -> Script:
    """The script of a mark, as `MARK` matched it. Raises `ValueError` for anything else."""
    found = MARK.fullmatch(mark)
    if found is None:
        raise ValueError("not a mark of the benchmark")
    return Script(*(int(number) for number in found.groups()))


def request_body(size: int, script: Script) -> bytes:
    """A chat completion request of exactly ``size`` bytes (or as few as it takes) that asks for ``script``."""
    system = {"role": "system", "content": "You are a helpful assistant."}

    def encoded(text: str) -> bytes:
        body: dict[str, object] = {"model": MODEL, "messages": [system, {"role": "user", "content": text}]}
        if script.events:
            body["stream"] = True
        return json.dumps({**body, "temperature": 0.7, "max_tokens": 256}).encode()

    room = max(0, size - len(encoded(script.mark)))
    return encoded(script.mark + (_WORDS * (room // len(_WORDS) + 1))[:room])


@lru_cache(maxsize=64)
def reply_body(size: int = 0) -> bytes:
    """A chat completion of exactly ``size`` bytes (0: `REPLY_SIZE`), or as few as it takes."""

    def encoded(text: str) -> bytes:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
        return json.dumps(
            {**_CHUNK, "object": "chat.completion", "choices": [choice], "usage": _USAGE}, separators=(",", ":")
        ).encode()

    text = "token-00000 "
    room = max(0, (size or REPLY_SIZE) - len(encoded(text)))
    return encoded(text + (_WORDS * (room // len(_WORDS) + 1))[:room])


@lru_cache(maxsize=64)
def reply(size: int = 0) -> bytes:
    """The whole HTTP/1.1 reply around `reply_body`."""
    body = reply_body(size)
    return b"%bcontent-length: %d\r\n\r\n%b" % (_JSON_HEAD, len(body), body)


@lru_cache(maxsize=64)
def stream_events(events: int, usage: bool = False) -> tuple[bytes, ...]:
    """The server-sent events of a stream, ``[DONE]`` last; with ``usage``, the event that tells it before that."""
    tokens = [_event({"content": f"token-{number:05} "}) for number in range(max(0, events - 2))]
    first = _event({"role": "assistant", "content": "", "refusal": None})
    told = [_encoded({**_CHUNK, "choices": [], "usage": _USAGE})] if usage else []
    return (first, *tokens, _event({}, "stop"), *told, DONE)


@lru_cache(maxsize=64)
def stream_chunks(events: int, usage: bool = False) -> tuple[bytes, ...]:
    """`stream_events`, each in a chunk of HTTP/1.1's chunked coding; the last chunk also ends the body."""
    chunks = [b"%x\r\n%b\r\n" % (len(event), event) for event in stream_events(events, usage)]
    return (*chunks[:-1], chunks[-1] + b"0\r\n\r\n")


def _event(delta: dict[str, object], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return _encoded({**_CHUNK, "choices": [choice]})


def _encoded(value: dict[str, object]) -> bytes:
    return b"data: %b\n\n" % json.dumps(value, separators=(",", ":")).encode()
