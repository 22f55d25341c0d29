"""Ready: what every hit on an entry says again, made once for each entry that stays in memory."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from helicone_gw import Headers, Response
from helicone_gw_cache import names

if TYPE_CHECKING:
    from helicone_gw_cache.entry import Entry

TOKENS: Final = {
    "prompt_tokens": "input_tokens",
    "completion_tokens": "output_tokens",
    "reasoning_tokens": "reasoning_tokens",
    "prompt_cache_read_tokens": "cache_read_tokens",
    "prompt_cache_write_tokens": "cache_write_tokens",
    "prompt_audio_tokens": "input_audio_tokens",
    "completion_audio_tokens": "output_audio_tokens",
    "prompt_image_tokens": "input_image_tokens",
    "completion_image_tokens": "output_image_tokens",
}
"""The log's name of a class of tokens, and `Usage`'s. The first two are totals that contain the others."""

_counts = attrgetter(*TOKENS.values())


class Ready(Struct, frozen=True):
    """What hits on one entry have in common. Whoever is given any of it must not change it.

    ``notes`` are an ordinary hit's annotations, but for the time that it saved. ``said`` are the headers that a hit on
    the only bucket of its question has. ``tokens`` are those that were saved, by the names of `TOKENS`, without what
    was reported as none; ``knows_tokens``: their total was reported. ``response`` is the answer, ``None`` for a stream,
    and ``fields`` its headers.
    """

    notes: dict[str, object]
    said: dict[str, str]
    tokens: tuple[tuple[str, int], ...]
    knows_tokens: bool
    fields: Headers
    response: Response | None


def ready(entry: Entry) -> Ready:
    """What hits on ``entry`` have in common."""
    notes: dict[str, object] = {
        "cache.status": "hit",
        "cache.key": entry.key,
        "cache.reference_id": entry.request_id,
        "cache.latency_ms": entry.latency_ms,
        "cache.saved_nano_usd": entry.cost_nano_usd,
    }
    usage = entry.usage
    knows = usage is not None and usage.total_tokens is not None
    counts = dict(zip(TOKENS, _counts(usage), strict=True)) if knows else {}
    known = {name: count for name, count in counts.items() if count is not None}
    notes.update({f"cache.saved_{name}": count for name, count in known.items()})
    fields = Headers.of_lower_case(entry.headers)
    return Ready(
        notes,
        {names.CACHE: "HIT", names.BUCKET: "0", names.LATENCY: str(entry.latency_ms)},
        tuple((name, count) for name, count in known.items() if count),
        knows,
        fields,
        None if entry.streamed else Response(entry.status, fields, b"".join(entry.frames)),
    )
