"""Estimate: what a request is going to use, before anybody knows: tokens of its input and of its longest answer, and
their price."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from math import ceil, isfinite
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from helicone_gw import GatewayError, StashKey
from helicone_gw_ratelimit.tokens import Counter

if TYPE_CHECKING:
    from helicone_gw import Exchange, Gateway, Request
    from helicone_gw_ratelimit.config import RatelimitConfig

MAX_DECODED: Final = 2 * 1024 * 1024
"""Largest body that is decoded, in bytes; of a larger one so much is looked at, and all but base64 counts as text."""

EDGE: Final = 64 * 1024
"""Bytes at either end of such a body in which the longest answer is looked for."""

MAX_NODES: Final = 20_000
"""Values of a body that are looked at; where there are more, its bytes are what is counted."""

MEDIA_TOKENS: Final = 1000
"""What a picture, a sound or a file counts."""

PER_MESSAGE: Final = 4
"""Tokens around every message or part of a conversation."""

BYTES_PER_TOKEN: Final = 4
MAX_ANSWERS: Final = 1024
"""Most answers to one request that any provider gives."""

COUNTING: Final = "count_tokens"
"""The operation that says how many tokens a request would have: it uses none, and costs nothing."""

SILENT: Final = frozenset(
    {"embeddings", COUNTING, "moderations", "rerank", "models", "files", "embed_content", "batch_embed_contents"}
)
"""Operations whose answers have no tokens of output."""

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=_-]{256,}")


class Fields(Struct, frozen=True, forbid_unknown_fields=True):
    """Names of fields, of every dialect: a body's ``prompt``, what within it is not text and what is media, where the
    ``longest`` answer is set (in the body, or in its ``settings``), and how many ``answers``."""

    prompt: tuple[str, ...]
    not_text: frozenset[str]
    media: frozenset[str]
    longest: tuple[str, ...]
    settings: tuple[str, ...]
    answers: tuple[str, ...]


FIELDS: Final = msgspec.json.decode((resources.files(__package__) / "fields.json").read_bytes(), type=Fields)


_LONGEST: Final = re.compile(rb'(?<!\\)"(?:%b)"\s*:\s*"?([0-9]{1,12})' % "|".join(FIELDS.longest).encode())
"""Where JSON sets the longest answer; in a string it would have a backslash before the quote."""


class Expected(Struct, frozen=True):
    """Tokens that a request is expected to use. ``asked``: whether it set the longest answer itself."""

    input_tokens: int
    output_tokens: int
    asked: bool


EXPECTED: StashKey[tuple[Request, Expected]] = StashKey("ratelimit.expected")


class Estimator:
    """Estimates requests, each at most once, and only when a rule asks."""

    def __init__(self, config: RatelimitConfig, gateway: Gateway) -> None:
        self._counter = Counter(gateway.background, tokenizer=config.tokenizer == "auto")
        self._output_tokens = config.output_tokens
        self._prices = gateway.prices

    def expected(self, exchange: Exchange) -> Expected:
        """The tokens of ``exchange``'s request as it is here."""
        found = exchange.stash.get(EXPECTED)
        if found is None or found[0] is not exchange.request:
            found = exchange.stash[EXPECTED] = exchange.request, self._expected(exchange.request)
        return found[1]

    def tokens(self, exchange: Exchange) -> int:
        """Tokens of the input and of the longest answer."""
        expected = self.expected(exchange)
        return expected.input_tokens + expected.output_tokens

    def nano_usd(self, exchange: Exchange) -> int | None:
        """What that costs at the dearest target, in nano-dollars; ``None`` when no price is known."""
        request = exchange.request
        if request.model is None:
            return None
        expected = self.expected(exchange)
        try:
            cost = self._prices.estimate(request.model, request.provider, expected.input_tokens, expected.output_tokens)
        except GatewayError:
            return None  # the model leads nowhere: whoever routes it will say so
        return None if cost is None else cost.nano_usd

    def _expected(self, request: Request) -> Expected:
        body, usual = request.body, 0 if request.operation in SILENT or request.model is None else self._output_tokens
        if not body or request.operation == COUNTING:
            return Expected(0, usual, False)
        if len(body) > MAX_DECODED:
            said = longest_said(body)
            return Expected(by_size(body), usual if said is None else said, said is not None)
        try:
            decoded = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            decoded = None
        if not isinstance(decoded, dict):
            return Expected(by_size(body), usual, False)
        most = longest_answer(decoded)
        tokens = self._input(decoded, request.model or "", body)
        return Expected(tokens, usual * answers(decoded) if most is None else most, most is not None)

    def _input(self, decoded: dict[str, Any], model: str, body: bytes) -> int:
        found = _Prompt()
        for name in FIELDS.prompt:
            if name in decoded:
                found.add(decoded[name])
        tokens = self._counter.count("\n".join(found.texts), model) + found.tokens
        return tokens if found.whole else max(tokens, by_size(body))


def longest_said(body: bytes) -> int | None:
    """The longest answer that the ends of ``body`` ask for, where settings stand beside a long conversation."""
    found = _LONGEST.findall(body[:EDGE] + b" " + body[-EDGE:])
    return max(map(int, found), default=0) or None


def by_size(body: bytes) -> int:
    """Tokens of ``body`` by its bytes, without those that look like base64: as its beginning, so the rest."""
    head = body[:MAX_DECODED]
    text = len(head) - sum(len(found) for found in _BASE64.findall(head))
    return text * len(body) // len(head) // BYTES_PER_TOKEN


class _Prompt:
    """The text of a prompt, and the tokens of what is no text."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.tokens = 0
        self._left = MAX_NODES

    @property
    def whole(self) -> bool:
        """Whether all of it was looked at."""
        return self._left >= 0

    def add(self, value: Any) -> None:
        """Look at ``value`` and all within it, without recursion: a body may be nested deeply."""
        waiting: list[Iterator[Any]] = [iter((value,))]
        while waiting:
            for each in waiting[-1]:
                self._left -= 1
                if self._left < 0:
                    return
                if isinstance(each, str):
                    if not each.startswith("data:"):
                        self.texts.append(each)
                elif isinstance(each, dict):
                    self.tokens += PER_MESSAGE if "role" in each else 0
                    self.tokens += MEDIA_TOKENS if not FIELDS.media.isdisjoint(each) else 0
                    waiting.append(iter([inner for name, inner in each.items() if name not in FIELDS.not_text]))
                    break
                elif isinstance(each, list):
                    if each and isinstance(each[0], int):
                        self.tokens += len(each)  # tokens themselves, as embeddings take them
                    else:
                        waiting.append(iter(each))
                        break
            else:
                waiting.pop()


def longest_answer(body: dict[str, Any]) -> int | None:
    """The most output tokens that a request's decoded body allows, all of its answers together; ``None``: it sets no
    maximum."""
    most = [whole for each in _settings(body) for name in FIELDS.longest if (whole := _whole(each.get(name))) > 0]
    return max(most) * answers(body) if most else None


def answers(body: dict[str, Any]) -> int:
    """How many answers a request's decoded body asks for: so many to each of its prompts, of which there is mostly one.

    Those of which only the best is given (``best_of``) are billed as well.
    """
    counts = [_whole(each.get(name)) for each in _settings(body) for name in FIELDS.answers]
    prompts = body.get("prompt")
    each = max([1, *(count for count in counts if count <= MAX_ANSWERS)])
    return (
        each * len(prompts) if isinstance(prompts, list) and prompts and isinstance(prompts[0], (str, list)) else each
    )


def _settings(body: dict[str, Any]) -> list[dict[str, Any]]:
    nested = [body.get(name) for name in FIELDS.settings]
    return [body, *(each for each in nested if isinstance(each, dict))]


def _whole(value: Any) -> int:
    """A number as lenient providers read it, who take ``100.0`` and ``"100"`` for 100; 0: it is none."""
    if type(value) is int:
        return value
    if isinstance(value, float) and isfinite(value):
        return ceil(value)
    return int(value) if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.isdecimal() else 0
