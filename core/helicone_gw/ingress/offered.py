"""Offered operations: the names under which the catalogue says what a provider offers.

They are the operations of ``operations.json``, but that images and audio are told apart by what is done with them, and
that what only differs in how it is asked (streamed, in batches, stored before) is one.
"""

from __future__ import annotations

from collections.abc import Iterable

CONVERSATIONS = ("chat", "responses", "completions", "messages", "generate_content")
"""Those that are translated into each other."""

GROUPS = {
    "images": frozenset({"images/generations", "images/edits", "images/variations"}),
    "audio": frozenset({"audio/speech", "audio/transcriptions", "audio/translations"}),
}
"""Names that stand for several."""

OPERATIONS = frozenset(
    {
        "chat",
        "responses",
        "completions",
        "embeddings",
        "moderations",
        "rerank",
        "realtime",
        "files",
        "batches",
        "models",
        "messages",
        "count_tokens",
        "message_batches",
        "generate_content",
        "embed_content",
    }
).union(*GROUPS.values())
"""Every name; an operation without one is never refused, because nothing is known of who offers it."""

_SAME = {"stream_generate_content": "generate_content", "batch_embed_contents": "embed_content"}


def expanded(names: Iterable[str]) -> frozenset[str]:
    """``names``, those of `GROUPS` taken apart.

    >>> sorted(expanded(["chat", "images"]))
    ['chat', 'images/edits', 'images/generations', 'images/variations']
    """
    return frozenset(each for name in names for each in GROUPS.get(name, (name,)))


def offered_name(operation: str, path: str) -> str:
    """The name of a request's operation; ``path`` tells what is done with images and audio.

    >>> offered_name("audio", "/v1/audio/speech"), offered_name("stream_generate_content", "/v1beta/models/m:...")
    ('audio/speech', 'generate_content')
    """
    if operation in GROUPS:
        return f"{operation}/{path.rpartition(f'/{operation}/')[2].partition('/')[0]}"
    return _SAME.get(operation) or operation.removesuffix(".other")
