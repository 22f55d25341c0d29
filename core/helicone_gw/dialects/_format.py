"""What the wire formats share: edits of the body, and text found by the names of the members that hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from helicone_gw.dialects import _envelope
from helicone_gw.dialects._json import Unreadable, decode, read_body, texts
from helicone_gw.dialects._rewriting import Path, changed, places

NOTHING: frozenset[str] = frozenset()


class JsonFormat:
    """Base of the wire formats: JSON bodies with ``model`` and ``metadata`` at the top level.

    Subclasses name the members that hold text: ``prompt_top`` and ``reply_top`` at the top level, ``text_keys`` below,
    ``whole_keys`` those below which every string is text (tool arguments).
    """

    dialect: str
    operation: str
    prompt_top: ClassVar[frozenset[str]] = NOTHING
    reply_top: ClassVar[frozenset[str]] = NOTHING
    text_keys: ClassVar[frozenset[str]] = NOTHING
    whole_keys: ClassVar[frozenset[str]] = NOTHING

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def with_model(self, body: bytes, model: str) -> bytes:
        """See `WireFormat.with_model`."""
        return _envelope.with_model(body, model)

    def without_metadata(self, body: bytes, names: frozenset[str]) -> bytes:
        """See `WireFormat.without_metadata`."""
        return _envelope.without_metadata(body, names)

    def asking_for_usage(self, body: bytes) -> bytes | None:
        """See `WireFormat.asking_for_usage`; most dialects report it anyway."""
        return None

    def prompt_text(self, body: bytes) -> list[str]:
        """See `WireFormat.prompt_text`."""
        return self._texts(read_body(body), self.prompt_top)

    def with_prompt_text(self, body: bytes, change: Callable[[str], str]) -> bytes:
        """See `WireFormat.with_prompt_text`."""
        return changed(body, self._places(read_body(body), self.prompt_top), change)

    def reply_text(self, body: bytes) -> list[str]:
        """See `WireFormat.reply_text`."""
        try:
            value = decode(body)
        except Unreadable:
            return _plain_text(body)
        replies = value if isinstance(value, list) else [value]
        return [piece for reply in replies if isinstance(reply, dict) for piece in self._texts(reply, self.reply_top)]

    def with_reply_text(self, body: bytes, change: Callable[[str], str]) -> bytes:
        """See `WireFormat.with_reply_text`."""
        try:
            value = decode(body)
        except Unreadable:
            return change(body.decode()).encode() if _plain_text(body) else body
        if isinstance(value, list):
            replies = ((number, reply) for number, reply in enumerate(value) if isinstance(reply, dict))
            found = (each for number, reply in replies for each in self._places(reply, self.reply_top, (number,)))
            return changed(body, found, change)
        return changed(body, self._places(value, self.reply_top), change) if isinstance(value, dict) else body

    def _texts(self, value: dict[str, Any], top: frozenset[str]) -> list[str]:
        chosen = [item for name, item in value.items() if name in top]
        return texts(chosen, self.text_keys, self.whole_keys)

    def _places(self, value: dict[str, Any], top: frozenset[str], at: Path = ()) -> Iterator[tuple[Path, str]]:
        for name, item in value.items():
            if name in top:
                yield from places(item, self.text_keys, self.whole_keys, (*at, name))


def _plain_text(body: bytes) -> list[str]:
    try:
        found = body.decode()
    except UnicodeDecodeError:
        return []
    return [found] if found.strip() else []
