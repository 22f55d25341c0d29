"""Needs: what a request wants a model to be able to do, found in its bytes without decoding them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from helicone_gw import Request

Need = Literal["tools", "structured_output", "images", "audio", "video", "documents"]

NEEDS: frozenset[Need] = frozenset(get_args(Need))

LARGEST = 8 << 20
"""Bytes of a body that are searched; of what lies behind them nothing is known."""

# A quotation mark inside a text is escaped, so that what people write about JSON is not taken for it. First the words
# of OpenAI's and Anthropic's dialects for a part's type, then Gemini's types of media.
_TYPES: tuple[tuple[Need, str], ...] = (
    ("images", r"image_url|input_image|image"),
    ("audio", r"input_audio"),
    ("video", r"video_url|input_video|video"),
    ("documents", r"file|input_file|document"),
    ("structured_output", r"json_schema"),
)
_MEDIA: tuple[tuple[Need, str], ...] = (
    ("images", r"image/"),
    ("audio", r"audio/"),
    ("video", r"video/"),
    ("documents", r"application/pdf"),
)
_TOOLS = re.compile(rb'"(?:tools|functions)"\s*:\s*\[\s*\{')
_SCHEMA = re.compile(rb'"response_?(?:S|JsonS|json_s|s)chema"\s*:\s*\{')


@lru_cache(maxsize=len(NEEDS))
def _pattern(need: Need) -> re.Pattern[bytes]:
    words = "|".join(text for each, text in _TYPES if each == need)
    media = "|".join(text for each, text in _MEDIA if each == need)
    parts = [rf'"type"\s*:\s*"(?:{words})"'] if words else []
    parts += [rf'"mime_?[tT]ype"\s*:\s*"(?:{media})'] if media else []
    return re.compile("|".join(parts).encode())


def needed(request: Request, asked: frozenset[Need]) -> frozenset[Need]:
    """Those of ``asked`` that ``request`` needs. A request whose body streams through, or is no JSON, needs nothing."""
    body = request.body
    if not body or not asked:
        return frozenset()
    body = body if len(body) <= LARGEST else body[:LARGEST]
    return frozenset(need for need in asked if _needs(body, need))


def _needs(body: bytes, need: Need) -> bool:
    if need == "tools":
        return _TOOLS.search(body) is not None
    if need == "structured_output" and _SCHEMA.search(body) is not None:
        return True
    return _pattern(need).search(body) is not None
