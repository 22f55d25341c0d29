"""Held: an event of a stream that is not yet let go, with the texts in it that must be decided first."""

from __future__ import annotations

from typing import Any

from helicone_gw import Chunk, NameOf, TextPiece
from helicone_gw_moderation.odds import drop_odds
from helicone_gw_moderation.window import Window


class HeldText:
    """A piece of an event, and where in its window it begins (raw)."""

    __slots__ = ("piece", "start", "text", "window")

    def __init__(self, window: Window, start: int, piece: TextPiece) -> None:
        self.window = window
        self.start = start
        self.piece = piece
        self.text = piece.text

    @property
    def decided(self) -> bool:
        """Whether all of it may leave."""
        return self.window.decided >= self.start + len(self.text)


class HeldEvent:
    """One event. ``since`` is when it came (monotonic seconds), ``position`` up to where judges are to know of it."""

    __slots__ = ("chunk", "position", "since", "texts", "value")

    def __init__(self, chunk: Chunk, value: Any, since: float) -> None:
        self.chunk = chunk
        self.value = value
        self.since = since
        self.position = 0
        self.texts: list[HeldText] = []

    @property
    def decided(self) -> bool:
        """Whether all of its texts may leave."""
        return all(text.decided for text in self.texts)

    def leave(self) -> Chunk:
        """The event as it leaves: as it came, if nothing in it was replaced."""
        changes = {
            text.piece.path: after
            for text in self.texts
            if (after := text.window.changed(text.start, text.text)) != text.piece.text
        }
        if not changes:
            return self.chunk
        return self.chunk.with_json(drop_odds(with_values(self.value, changes)))

    def alone(self) -> Chunk:
        """The event as it came, without what says again what other events said."""
        left = drop_odds(self.value)
        return self.chunk if left is self.value else self.chunk.with_json(left)

    def split(self) -> Chunk | None:
        """An event with what may leave of its text; the rest stays. ``None`` where it cannot be cut, or need not."""
        if len(self.texts) != 1:
            return None
        (text,) = self.texts
        ready = text.window.decided - text.start
        if ready <= 0 or text.piece.whole or not _is_plain(self.value):
            return None
        first = text.window.changed(text.start, text.text[:ready])
        text.start += ready
        text.text = text.text[ready:]
        # How likely the tokens were leaves with the rest.
        return self.chunk.with_json(drop_odds(with_values(self.value, {text.piece.path: first}))) if first else None


def with_values(value: Any, changes: dict[tuple[str | int, ...], str]) -> Any:
    """``value`` with strings put at these places; what is not on the way there is shared with it."""
    names = {path: text for path, text in changes.items() if isinstance(path[-1], NameOf)}
    for path, text in changes.items():
        if path not in names:
            value = _with_value(value, path, text)
    for path in sorted(names, key=len, reverse=True):
        value = _with_value(value, path, names[path])  # from within, so that the ways there keep their names
    return value


def _with_value(value: Any, path: tuple[str | int, ...], text: str) -> Any:
    if not path:
        return text
    if isinstance(path[0], NameOf):
        return {text if name == str(path[0]) else name: item for name, item in value.items()}
    copy = value.copy()
    copy[path[0]] = _with_value(value[path[0]], path[1:], text)
    return copy


_ONCE = ("usage", "finish_reason", "finishReason", "logprobs", "logprobsResult")


def _is_plain(value: Any) -> bool:
    """Whether an event says nothing beside its one text that must not be said twice."""
    if isinstance(kind := value.get("type"), str):
        return kind.endswith("delta")
    for name, inner in (("choices", "delta"), ("candidates", "content")):
        parts = value.get(name)
        if isinstance(parts, list) and len(parts) == 1 and isinstance(part := parts[0], dict):
            said = part.get(inner, {})
            alone = [each for key, each in said.items() if each and (inner, key) != ("content", "role")]
            listed = isinstance(alone[0], list) and len(alone[0]) > 1 if alone else False
            again = any(each.get(once) for each in (value, part) for once in _ONCE)
            return len(alone) <= 1 and not listed and "tool_calls" not in said and not again
    return False
