"""Partials: messages of other prompts, put into a prompt's messages before its variables are filled in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from helicone_gw import BadRequest
from helicone_gw_prompts.errors import NoSuch
from helicone_gw_prompts.reading import Version
from helicone_gw_prompts.template import Partial, put_in, tags

Find = Callable[[Partial], Awaitable[Version]]
"""The version that a partial means. Raises `NoSuch`."""

MOST = 1_000
"""Partials that may be put into one prompt, those in partials included."""


class Partials:
    """Puts partials into one prompt. ``max_nesting`` is how deep they may be in one another, ``max_size`` (characters)
    what one text may become; both, and a prompt that comes to hold itself, are refused with `BadRequest`.
    """

    def __init__(self, find: Find, max_nesting: int, max_size: int) -> None:
        self._find = find
        self._max_nesting = max_nesting
        self._max_size = max_size
        self._left = MOST
        self._size = 0

    async def put_into(self, messages: list[dict[str, Any]], version: Version) -> list[dict[str, Any]]:
        """``messages`` of ``version`` with the contents of all partials in their texts."""
        chain = (version.prompt_id,)
        return [await self._message(message, chain) for message in messages]

    async def _message(self, message: dict[str, Any], chain: tuple[str, ...]) -> dict[str, Any]:
        content = message.get("content")
        if isinstance(content, str):
            return {**message, "content": await self._text(content, chain)}
        if isinstance(content, list):
            parts = [
                {**part, "text": await self._text(part["text"], chain)} if isinstance(part.get("text"), str) else part
                for part in content
            ]
            return {**message, "content": parts}
        return message

    async def _text(self, text: str, chain: tuple[str, ...]) -> str:
        contents: dict[str, str] = {}
        for tag in tags(text):
            if isinstance(tag, Partial) and tag.raw not in contents:
                contents[tag.raw] = await self._content(tag, chain)
        if not contents:
            return text
        size = len(text) + sum(len(contents[tag.raw]) for tag in tags(text) if isinstance(tag, Partial))
        self._size += size
        if self._size > self._max_size:
            raise BadRequest("The prompt's partials make it too large.", code="prompt_too_large")
        return put_in(text, contents)

    async def _content(self, tag: Partial, chain: tuple[str, ...]) -> str:
        """What stands in the place of ``tag``, partials in it included."""
        if tag.prompt in chain:
            raise BadRequest(
                f"The prompt holds itself: {' > '.join((*chain, tag.prompt))}.", code="prompt_partial_cycle"
            )
        if len(chain) > self._max_nesting:
            raise BadRequest(
                f"Partials are more than {self._max_nesting} deep in one another: {' > '.join((*chain, tag.prompt))}.",
                code="prompt_partial_nesting",
            )
        self._left -= 1
        if self._left < 0:
            raise BadRequest(f"The prompt has more than {MOST:,} partials.", code="prompt_too_large")
        try:
            version = await self._find(tag)
        except NoSuch as problem:
            raise BadRequest(f"The partial {tag.raw}: {problem}", code="prompt_partial_not_found") from None
        messages = version.decoded().get("messages") or []
        if tag.index >= len(messages):
            raise BadRequest(
                f"The partial {tag.raw}: that prompt has {len(messages)} messages.", code="prompt_partial_not_found"
            )
        return await self._text(_text_of(messages[tag.index].get("content")), (*chain, tag.prompt))


def _text_of(content: Any) -> str:
    """A message's text; of parts, that of each with a blank between, as Helicone's clients join them."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(part["text"] for part in content if isinstance(part.get("text"), str) and part["text"])
    return ""
