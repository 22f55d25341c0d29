"""What docs/dialects.md says of every built-in provider: read off the catalogue, operation by operation."""

from __future__ import annotations

from collections.abc import Sequence

from helicone_gw.headers import Headers
from helicone_gw.helicone import EMPTY
from helicone_gw.model import Request
from helicone_gw.upstream.operations import Way, way
from helicone_gw.upstream.providers import Catalogue

CATALOGUE = Catalogue.build({})

OPERATIONS = (
    ("chat", "openai", ("chat",)),
    ("responses", "openai", ("responses",)),
    ("completions", "openai", ("completions",)),
    ("messages", "anthropic", ("messages",)),
    ("generateContent", "gemini", ("generate_content",)),
    ("embeddings", "openai", ("embeddings",)),
    ("rerank", "openai", ("rerank",)),
    ("moderations", "openai", ("moderations",)),
    ("images", "openai", ("images/generations", "images/edits", "images/variations")),
    ("audio", "openai", ("audio/speech", "audio/transcriptions", "audio/translations")),
    ("realtime", "openai", ("realtime",)),
    ("count_tokens", "anthropic", ("count_tokens",)),
    ("message batches", "anthropic", ("message_batches",)),
)
"""A column's title, the client's dialect and the operations in it."""


def request(dialect: str, operation: str, model: str = "m") -> Request:
    """A request as it is asked for by model, for one of the names of the catalogue."""
    name = operation.partition("/")[0]
    return Request("POST", f"/v1/{operation}", "", Headers(), b"{}", dialect, name, EMPTY, model=model)


def how(provider: str, dialect: str, operation: str, model: str = "m") -> Way | None:
    """How the catalogue says that a provider is asked."""
    known = CATALOGUE.get(provider)
    assert known is not None
    return way(known, request(dialect, operation, model))


def _cell(provider: str, dialect: str, operations: Sequence[str]) -> str:
    """What the table of the catalogue says of one column."""
    known = CATALOGUE.get(provider)
    assert known is not None
    cells: dict[str, list[str]] = {}
    for operation in operations:
        found = how(provider, dialect, operation)
        if found is None:
            said = "400"
        elif found == "translated":
            said = "translated"
        else:
            said = "own" if operation in known.operations else "passed on"
        cells.setdefault(said, []).append(operation.rpartition("/")[2])
    if len(cells) == 1:
        return next(iter(cells))
    return "; ".join(f"{', '.join(names)}: {said}" for said, names in cells.items())


def operations_table() -> list[list[str]]:
    """The rows: a provider's name, then a cell for each of `OPERATIONS`."""
    return [
        [f"**{name}**", *(_cell(name, dialect, names) for _, dialect, names in OPERATIONS)]
        for name in sorted(CATALOGUE.names())
    ]
