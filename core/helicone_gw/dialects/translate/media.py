"""Media: data URLs, media types, and the lifetime of prompt-cache markers, as dialects write them."""

from __future__ import annotations

import re
from typing import Any

_DATA_URL = re.compile(r"data:(?P<type>[^;,]*)(?:;[^;,]+)*?;base64,(?P<data>.*)\Z", re.DOTALL)
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg", "flac": "audio/flac", "opus": "audio/ogg", "aac": "audio/aac"}
_AUDIO_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "opus",
    "audio/aac": "aac",
}
_EXTENSIONS = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
}


def split_data_url(url: str) -> tuple[str, str] | None:
    """The media type and the base64 data of a ``data:`` URL (RFC 2397), ``None`` for any other."""
    found = _DATA_URL.match(url)
    return (found["type"] or "application/octet-stream", found["data"]) if found else None


def data_url(media_type: str | None, data: str) -> str:
    """A ``data:`` URL of base64 ``data``."""
    return f"data:{media_type or 'application/octet-stream'};base64,{data}"


def audio_type(format: str) -> str:
    """The media type of OpenAI's ``input_audio.format``."""
    return _AUDIO.get(format, f"audio/{format}")


def audio_format(media_type: str) -> str | None:
    """OpenAI's name for a media type, ``None`` for one that it has none for."""
    return _AUDIO_FORMATS.get(media_type.partition(";")[0].strip().lower())


def guess_type(name: str | None) -> str | None:
    """The media type that the ending of a URL or file name stands for."""
    if not name:
        return None
    path = name.partition("?")[0].partition("#")[0]
    return _EXTENSIONS.get(path.rpartition(".")[2].lower())


def read_cache(value: Any) -> str | None:
    """The lifetime that Anthropic's ``cache_control`` asks for: "5m" unless it says another."""
    if not isinstance(value, dict) or value.get("type") != "ephemeral":
        return None
    ttl = value.get("ttl")
    return ttl if isinstance(ttl, str) else "5m"


def write_cache(cache: str | None) -> dict[str, str] | None:
    """Anthropic's ``cache_control`` of this lifetime."""
    if cache is None:
        return None
    return {"type": "ephemeral"} if cache == "5m" else {"type": "ephemeral", "ttl": cache}
