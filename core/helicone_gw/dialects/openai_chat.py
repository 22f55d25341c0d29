"""OpenAI chat completions, the dialect of most providers (platform.openai.com, "Chat")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from helicone_gw.dialects._choices import Choice, ChoicesReader, read_choices
from helicone_gw.dialects._envelope import largest, read_fields
from helicone_gw.dialects._format import JsonFormat
from helicone_gw.dialects._json import text
from helicone_gw.dialects.base import Envelope, Reply
from helicone_gw.dialects.splice import last, members, remove_members, set_member


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Body(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    user: str | None = None
    metadata: Mapping[str, Any] | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Any = None
    max_completion_tokens: Any = None


class _ChatBody(_Body):
    prompt: Any = None


class _StreamMembers(msgspec.Struct):
    stream: msgspec.Raw = msgspec.Raw()
    stream_options: msgspec.Raw = msgspec.Raw()


_BODY: msgspec.json.Decoder[_Body] = msgspec.json.Decoder(_Body)
_CHAT_BODY: msgspec.json.Decoder[_ChatBody] = msgspec.json.Decoder(_ChatBody)
_STREAM_MEMBERS = msgspec.json.Decoder(_StreamMembers)


class ChoicesFormat(JsonFormat):
    """What chat and legacy completions share: envelope, usage on request, replies with choices."""

    dialect = "openai"
    reply_top = frozenset({"choices"})

    def envelope(self, body: bytes) -> Envelope:
        """See `WireFormat.envelope`."""
        return self._envelope(read_fields(_BODY, body))

    def _envelope(self, fields: _Body, prompt: str | None = None) -> Envelope:
        return Envelope(
            model=fields.model,
            stream=fields.stream or False,
            user=fields.user,
            metadata=fields.metadata,
            include_usage=None if fields.stream_options is None else fields.stream_options.include_usage,
            max_tokens=largest(fields.max_tokens, fields.max_completion_tokens),
            prompt=prompt,
        )

    def asking_for_usage(self, body: bytes) -> bytes | None:
        """See `WireFormat.asking_for_usage`: ``stream_options.include_usage``, its other members kept."""
        stream, options = _stream_members(body)
        if stream != b"true":
            return None
        if not options.startswith(b"{"):
            return set_member(body, "stream_options", b'{"include_usage":true}', options or None)
        asked = last(members(options), "include_usage")
        current = None if asked is None else options[asked.value : asked.end]
        if current == b"true":
            return None
        return set_member(body, "stream_options", set_member(options, "include_usage", b"true", current), options)

    def reply(self, body: bytes) -> Reply:
        """See `WireFormat.reply`."""
        return read_choices(body)


def _stream_members(body: bytes) -> tuple[bytes, bytes]:
    """The text of ``stream`` and of ``stream_options``, each empty when absent."""
    try:
        fields = _STREAM_MEMBERS.decode(body)
        return bytes(fields.stream), bytes(fields.stream_options)
    except (ValueError, RecursionError):
        found = members(body)
        named = (last(found, name) for name in ("stream", "stream_options"))
        stream, options = (b"" if member is None else body[member.value : member.end] for member in named)
        return stream, options


class ChatFormat(ChoicesFormat):
    """``POST /v1/chat/completions``."""

    prompt_top: ClassVar[frozenset[str]] = frozenset({"messages", "prompt", "prediction"})
    text_keys: ClassVar[frozenset[str]] = frozenset(
        {
            "message",
            "content",
            "text",
            "refusal",
            "reasoning",
            "reasoning_content",
            "reasoning_details",
            "thinking",
            "summary",
            "audio",
            "transcript",
            "tool_calls",
            "function_call",
            "function",
            "custom",
            "arguments",
            "input",
        }
    )

    def __init__(self) -> None:
        super().__init__("chat")

    def envelope(self, body: bytes) -> Envelope:
        """See `WireFormat.envelope`."""
        fields = read_fields(_CHAT_BODY, body)
        prompt = text(fields.prompt)
        if prompt is not None:
            found = last(members(body), "messages")
            if found is not None and body[found.value : found.end].strip(b"[] \t\r\n"):
                prompt = None
        return self._envelope(fields, prompt)

    def with_prompt_as_message(self, body: bytes, prompt: str) -> bytes:
        """The body with ``prompt`` as its one message, of the user.

        litellm's ``completion(prompt=...)`` sends an empty list of messages and the prompt beside it.
        """
        messages = msgspec.json.encode([{"role": "user", "content": prompt}])
        return set_member(remove_members(body, {"prompt"}), "messages", messages, b"")

    def stream_reader(self) -> ChoicesReader:
        """See `WireFormat.stream_reader`."""
        return ChoicesReader("chat.completion.chunk", _has_content, {"delta": {}})


def _has_content(choice: Choice) -> bool:
    # Providers add members of their own for reasoning, audio and images: anything said beside the role is content.
    delta = choice.delta
    return isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role")
