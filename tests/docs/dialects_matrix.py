"""Writes docs/dialects.md: every client's dialect translated for every provider's, tried, and its losses listed.

``python -m tests.docs.dialects_matrix > docs/dialects.md``
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from helicone_gw.dialects import wire_format
from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.translation import Made, Translation, translate
from helicone_gw.errors import BadRequest
from helicone_gw.headers import Headers
from helicone_gw.helicone import EMPTY
from helicone_gw.model import Request
from helicone_gw.sse import EventSplitter, encode_event
from helicone_gw.testing.dialects import anthropic, gemini, openai_chat, openai_responses
from tests.core.dialects.translate import test_bedrock_reply, test_cohere_reply, test_ollama_reply, test_replicate
from tests.docs.dialects_samples import CHAT, COMPLETIONS, GEMINI, MESSAGES, RESPONSES
from tests.docs.operations_table import OPERATIONS, how, operations_table

TEXT = "Hello there"
MADE = Made("id", 1700000000)


class Client(NamedTuple):
    title: str
    dialect: str
    operation: str
    body: dict[str, Any]


class Provider(NamedTuple):
    """A provider's dialect: what it answers, whole and streamed, and a model of it."""

    title: str
    dialect: str
    name: str
    model: str
    whole: Callable[[], bytes]
    stream: Callable[[], Sequence[bytes]]


def _kit(module: Any) -> tuple[Callable[[], bytes], Callable[[], Sequence[bytes]]]:
    return lambda: module.reply(TEXT).body, lambda: EventSplitter(1 << 20).feed(module.stream(TEXT).body)


_BEDROCK = [("text", ["Hello", " there"])]
_COHERE = [("text", ["Hello", " there"], [])]
_OLLAMA = {**test_ollama_reply.HEAD, "message": {"role": "assistant", "content": TEXT}, **test_ollama_reply.DONE}
_FINISHED = test_replicate.prediction(output=["Hello", " there"])


def _replicate() -> list[bytes]:
    pieces = [encode_event(piece, "output") for piece in (b"Hello", b" there")]
    return [*pieces, encode_event(_FINISHED, "prediction"), encode_event(b"{}", "done")]


def _ollama() -> list[bytes]:
    done = test_ollama_reply.DONE
    return [test_ollama_reply.line(content="Hello"), test_ollama_reply.line(content=" there", done=done)]


PROVIDERS = (
    Provider("OpenAI chat", "openai", "openai", "gpt-4o", *_kit(openai_chat)),
    Provider("OpenAI responses", "openai", "openai", "gpt-5-codex", *_kit(openai_responses)),
    Provider("OpenAI-compatible", "openai", "mistral", "mistral-large", *_kit(openai_chat)),
    Provider("Azure OpenAI", "azure", "azure", "gpt-4o", *_kit(openai_chat)),
    Provider("Anthropic", "anthropic", "anthropic", "claude-sonnet-4-5", *_kit(anthropic)),
    Provider("Gemini", "gemini", "gemini", "gemini-2.5-flash", *_kit(gemini)),
    Provider("Vertex: Gemini", "vertex", "vertex", "gemini-2.5-flash", *_kit(gemini)),
    Provider("Vertex: Claude", "vertex", "vertex", "claude-sonnet-4-5", *_kit(anthropic)),
    Provider("Vertex: others", "vertex", "vertex", "meta/llama-4", *_kit(openai_chat)),
    Provider("Bedrock: Claude", "bedrock", "bedrock", "anthropic.claude-sonnet-4-5-v1:0", *_kit(anthropic)),
    Provider(
        "Bedrock: others",
        "bedrock",
        "bedrock",
        "amazon.nova-pro-v1:0",
        lambda: test_bedrock_reply.whole(_BEDROCK),
        lambda: test_bedrock_reply.streamed(_BEDROCK),
    ),
    Provider(
        "Cohere v2",
        "cohere",
        "cohere",
        "command-a",
        lambda: test_cohere_reply.whole([], _COHERE, []),
        lambda: test_cohere_reply.streamed([], _COHERE, []),
    ),
    Provider("Ollama", "ollama", "ollama", "qwen3", lambda: json.dumps(_OLLAMA).encode(), _ollama),
    Provider("Replicate", "replicate", "replicate", "meta/llama-4", lambda: _FINISHED, _replicate),
)

CLIENTS = (
    Client("chat completions", "openai", "chat", CHAT),
    Client("responses", "openai", "responses", RESPONSES),
    Client("completions", "openai", "completions", COMPLETIONS),
    Client("messages", "anthropic", "messages", MESSAGES),
    Client("generateContent", "gemini", "generate_content", GEMINI),
)
VECTORS = (
    Client("embeddings", "openai", "embeddings", {"input": ["a", "b"], "dimensions": 8, "user": "u"}),
    Client("embedContent", "gemini", "embed_content", {"content": {"parts": [{"text": "a"}]}, "title": "t"}),
    Client("rerank", "openai", "rerank", {"query": "q", "documents": ["a", "b"], "top_n": 1}),
    Client("count_tokens", "anthropic", "count_tokens", {"messages": [{"role": "user", "content": "Hi"}]}),
    Client("countTokens", "gemini", "count_tokens", {"contents": [{"parts": [{"text": "Hi"}]}]}),
)

_CLAUDE = "anthropic.claude-sonnet-4-5-v1:0"
_EMBED, _TITAN, _RERANK = "cohere.embed-english-v3", "amazon.titan-embed-text-v2:0", "cohere.rerank-v3-5:0"
EMBEDDERS = (
    ("OpenAI", "openai", ("text-embedding-3-small",) * 3 + ("gpt-4o",) * 2),
    ("Azure OpenAI", "azure", ("text-embedding-3-small",) * 3 + ("gpt-4o",) * 2),
    ("Anthropic", "anthropic", ("claude-sonnet-4-5",) * 5),
    ("Gemini", "gemini", ("gemini-embedding-001",) * 3 + ("gemini-2.5-flash",) * 2),
    ("Vertex", "vertex", ("text-embedding-005",) * 3 + ("claude-sonnet-4-5", "gemini-2.5-flash")),
    ("Bedrock: Cohere, Titan, Claude", "bedrock", (_EMBED, _TITAN, _RERANK, _CLAUDE, _CLAUDE)),
    ("Cohere v2", "cohere", ("embed-v4.0", "embed-v4.0", "rerank-v3.5", "command-a", "command-a")),
    ("Ollama", "ollama", ("nomic-embed-text",) * 5),
    ("Replicate", "replicate", ("meta/llama-4",) * 5),
)
"""Title, dialect, and a model for each of `VECTORS`."""


def asked(client: Client, provider: Provider, *, stream: bool = False) -> Translation:
    """The translation of what ``client`` asks, for ``provider``."""
    operation = client.operation
    query = ""
    if stream and operation == "generate_content":
        operation, query = "stream_generate_content", "alt=sse"
    data = msgspec.json.encode({**client.body, **({"stream": True} if stream else {})})
    model = provider.model
    request = Request("POST", "/", query, Headers(), data, client.dialect, operation, EMPTY, model=model, stream=stream)
    return translate(request, provider.dialect, Destination(provider.name, model))


def whole(client: Client, provider: Provider) -> str:
    """The text of a translated answer."""
    wire = wire_format(client.dialect, client.operation)
    assert wire is not None
    return "".join(wire.reply_text(asked(client, provider).reply(provider.whole(), MADE)))


def streamed(client: Client, provider: Provider) -> str:
    """The text of a translated stream, which has to be complete."""
    operation = "stream_generate_content" if client.dialect == "gemini" else client.operation
    translator = asked(client, provider, stream=True).stream(MADE)
    wire = wire_format(client.dialect, operation)
    assert wire is not None
    events = provider.stream()
    data = b"".join(events)
    if translator is not None:
        data = b"".join(translator.feed(event) for event in events) + translator.finish()
    reader = wire.stream_reader()
    content = b""
    for event in EventSplitter(1 << 20).feed(data):
        facts = reader.feed(event)
        assert facts.error is None
        content += event if facts.content else b""
    assert reader.complete
    return "Hello there" if b"Hello" in content and b" there" in content else ""


def cell(client: Client, provider: Provider) -> str:
    """What the matrix says."""
    translation = asked(client, provider)
    assert TEXT in whole(client, provider), (client.title, provider.title)
    assert streamed(client, provider) == TEXT, (client.title, provider.title)
    return "as it is" if translation.stream(MADE) is None else "whole, streamed"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _own(client: Client, provider: Provider) -> bool:
    return how(provider.name, client.dialect, client.operation, provider.model) == "native"


def _offered(client: Client, dialect: str, model: str) -> str:
    found = how(dialect, client.dialect, client.operation, model)
    if found is None:
        return "400"
    if found == "native":
        return "its own bytes"
    spoken = "openai" if dialect == "azure" else dialect
    try:
        asked(client, PROVIDERS[0]._replace(dialect=spoken, name=dialect, model=model))
    except BadRequest as refused:
        return "400" if refused.code == "operation_not_offered" else "refused"
    return "yes"


def page() -> str:
    """The whole page."""
    matrix = []
    for provider in PROVIDERS:
        same = [_own(client, provider) for client in CLIENTS]
        cells = [
            "its own bytes" if known else cell(client, provider) for client, known in zip(CLIENTS, same, strict=True)
        ]
        matrix.append([f"**{provider.title}**", *cells])
    vectors = [
        [f"**{title}**", *(_offered(client, dialect, model) for client, model in zip(VECTORS, models, strict=True))]
        for title, dialect, models in EMBEDDERS
    ]
    losses = []
    for client in CLIENTS:
        losses.append(f"### {client.title}\n")
        rows = []
        for provider in PROVIDERS:
            if _own(client, provider):
                continue
            lost = asked(client, provider).loss
            paths = ", ".join(f"`{path}`" for path in lost.paths) or "nothing"
            rows.append([f"**{provider.title}**", paths])
        losses.append(table(["to", "lost"], rows) + "\n")
    return PAGE.format(
        matrix=table(["provider", *(client.title for client in CLIENTS)], matrix),
        vectors=table(["provider", *(client.title for client in VECTORS)], vectors),
        losses="\n".join(losses),
        listed=table(["provider", *(title for title, _, _ in OPERATIONS)], operations_table()),
    )


PAGE = """\
# Dialects

Any client can be served by any provider. Where both speak the same dialect, bytes pass as they are; elsewhere requests
and answers are translated, whole or streamed event by event. Usage, cost and the log are read from the provider's own
bytes. This page is made by a test, which tries every cell (`python -m tests.docs.dialects_matrix > docs/dialects.md`).

What a provider's dialect has no word for is dropped or changed, and listed in the response header
`Helicone-Translation-Loss` and in the log (`translation.loss`). `translation: {{strict: true}}` in the configuration,
or `Helicone-Translation-Strict: true` with a request, refuses such a request with 400 (`translation_loss`) before any
call; `Helicone-Translation-Strict: false` allows it for one request.

## Conversations

Columns are what the client speaks. "its own bytes": the same dialect, nothing is touched. "as it is": a cloud that
hosts the model takes the client's body nearly unchanged and answers in the client's dialect.

{matrix}

A provider of OpenAI's dialect that has no responses (or no legacy completions) gets them as chat completions. OpenAI's
own models are asked through responses where chat completions do not know them, where the web is to be searched, and
where thoughts are to be shown or given back. `previous_response_id`, `conversation` and stored prompts lie at OpenAI:
elsewhere they are refused with 400.

## Embeddings, reranking, counting tokens

"400": the provider has no such operation, and the request is refused (`operation_not_offered`) before any call.

{vectors}

## Operations of every provider

What the catalogue knows. "own": the provider's own API, bytes pass as they are. "translated": asked for in its own
dialect. "400": it has no such operation, and the request is refused (`operation_not_offered`) before any call, with the
names of those that have it. "passed on": nothing certain is known, and the provider itself answers. Files, batches and
models are listed as well; every other path under `/v1` is passed on.

{listed}

A provider of the configuration's own is passed whatever is asked for in its dialect, unless it lists `operations`: then
they are all that it offers. For a built-in one they add to what is known of it. `models.<name>.operations` says it of
one model.

An address that names its provider (`/anthropic/v1/...`) is held to the same, but that it also reaches APIs of other
dialects which the provider has there (Anthropic's chat completions).

## Rules

- **Sampling.** A temperature above the provider's range is lowered to its end. Anthropic's models from 4.7 on take no
  sampling parameters, those from 4.1 on either `temperature` or `top_p`; with thinking by budget neither. OpenAI's
  reasoning models take none.
- **Longest answer.** Anthropic wants `max_tokens`: the request's, else the model's own, else 4,096. What is asked for
  beyond a well-known model's longest answer is lowered to it.
- **Reasoning.** Effort and budget stand for one another: minimal and low 1,024 tokens, medium 8,192, high 24,576, xhigh
  32,768, max 65,536; a budget up to 2,048 is low, up to 16,384 medium, above it high. Claude from 4.6 on and Gemini
  from 3 on are told an effort, older ones a budget; a model that is not known to reason is told neither.
- **Thoughts.** Chat completions show them as `reasoning_content`, and signed ones also as `thinking_blocks`; what
  `reasoning_details` hold is read too. A signature or an encrypted thought of another maker's travels marked
  (`openai:...`), and goes back to that maker alone; other providers are not shown it.
- **Tools.** Names and ids that a provider forbids are replaced, and given back as they were. Custom tools, which take
  free text, are functions of that text elsewhere, and calls of them are custom calls again in the answer.
- **System prompts** in the middle of a conversation are moved to its beginning where a provider has one place for them.
- **Structured output** that a model has no mode for is asked for in the system prompt, which counts as a loss.
- **Errors** keep the provider's status and words, in the shape of the client's dialect.
- **Arrays.** A Gemini client that streams without `alt=sse` gets its JSON array, element by element; every provider,
  Gemini too, is asked for events, so that such a stream can fall back, be read and be guarded like any other.

## What is lost

Of a request that uses nearly everything its dialect has, including what only its own provider can do:

{losses}"""

if __name__ == "__main__":
    print(page(), end="")
