"""OpenAI's embeddings (https://platform.openai.com/docs/api-reference/embeddings)."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Sequence
from typing import Any

from helicone_gw.model import Usage
from helicone_gw.testing.dialects.content import known
from helicone_gw.testing.dialects.openai_chat import HEADERS, error
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import ScriptedResponse, of_json

__all__ = ["answer", "error", "reply", "vector"]

MODEL = "text-embedding-3-small"
DIMENSIONS = 8
USAGE = Usage(input_tokens=5)


def vector(index: int, dimensions: int = DIMENSIONS) -> list[float]:
    """A vector that depends on ``index`` only, exact in 32 bits."""
    return [((index * 31 + place * 7) % 16 - 8) / 16 for place in range(dimensions)]


def reply(
    vectors: Sequence[Sequence[float]] = (),
    *,
    model: str = MODEL,
    usage: Usage | None = USAGE,
    as_base64: bool = False,
) -> ScriptedResponse:
    """Embeddings, one `vector` if none is given; ``as_base64`` as little-endian 32-bit floats."""
    body: dict[str, Any] = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _packed(values) if as_base64 else list(values)}
            for index, values in enumerate(vectors or [vector(0)])
        ],
        "model": model,
    }
    if usage is not None:
        body["usage"] = known(prompt_tokens=usage.input_tokens, total_tokens=usage.input_tokens)
    return of_json(body, headers=HEADERS, indent=2)


def answer(**options: Any) -> Callable[..., ScriptedResponse]:
    """One vector per input, encoded as the request asks. ``options`` are those of `reply`."""

    def answered(request: RecordedRequest) -> ScriptedResponse:
        body = request.json()
        given = body["input"]
        # Text and one list of token ids are one input; a list of texts or of such lists is several.
        count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
        vectors = [vector(index, body.get("dimensions") or DIMENSIONS) for index in range(count)]
        return reply(vectors, as_base64=body.get("encoding_format") == "base64", **options)

    return answered


def _packed(values: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
