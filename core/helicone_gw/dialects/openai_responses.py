"""OpenAI responses (platform.openai.com, "Responses" and "Streaming events")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from helicone_gw.dialects._envelope import largest, read_fields
from helicone_gw.dialects._format import JsonFormat
from helicone_gw.dialects._json import count, decode_exactly, mapping, read_body, text
from helicone_gw.dialects._rewriting import changed, places
from helicone_gw.dialects._words import stop_reason
from helicone_gw.dialects.base import Envelope, EventFacts, NeverRepeating, Reply
from helicone_gw.dialects.errors import encode, failure, read_error, unreadable, with_error
from helicone_gw.dialects.usage import openai_usage
from helicone_gw.model import Usage
from helicone_gw.sse import encode_event, event_data, event_name

_ABSENT = (b"", b"null")
_EMPTY = (*_ABSENT, b"[]")
_TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
_PROGRESS = (".created", ".in_progress", ".queued", ".added", ".searching", ".generating", ".interpreting")
MOST_KEPT = 1 << 20
"""Bytes of finished output items kept for `ResponsesReader.closing_events`; past it they are left out there."""


class _Body(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    user: str | None = None
    metadata: Mapping[str, Any] | None = None
    max_output_tokens: Any = None


class _Item(msgspec.Struct):
    type: Any = None


class _Response(msgspec.Struct):
    model: Any = None
    status: Any = None
    error: Any = None
    incomplete_details: Any = None
    service_tier: Any = None
    usage: msgspec.Raw = msgspec.Raw()
    output: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct):
    type: Any = None
    sequence_number: Any = None
    delta: Any = None
    message: Any = None
    code: Any = None
    error: Any = None
    response: msgspec.Raw = msgspec.Raw()
    item: msgspec.Raw = msgspec.Raw()


_BODY = msgspec.json.Decoder(_Body)
_RESPONSE = msgspec.json.Decoder(_Response)
_EVENT = msgspec.json.Decoder(_Event)
_ITEMS = msgspec.json.Decoder(list[_Item])


class ResponsesFormat(JsonFormat):
    """``POST /v1/responses`` and what lies below it.

    ``reports_usage`` is false for operations that show a response made before (retrieve, cancel, resume): its usage,
    and its failure, were those of the request that made it.
    """

    dialect = "openai"
    prompt_top: ClassVar[frozenset[str]] = frozenset({"instructions", "input", "prompt"})
    reply_top: ClassVar[frozenset[str]] = frozenset({"output"})
    text_keys: ClassVar[frozenset[str]] = frozenset(
        {
            "content",
            "text",
            "refusal",
            "summary",
            "arguments",
            "input",
            "output",
            "outputs",
            "results",
            "code",
            "logs",
            "action",
            "operation",
            "command",
            "commands",
            "query",
            "queries",
            "diff",
            "stdout",
            "stderr",
            "reason",
        }
    )

    def __init__(self, operation: str, *, reports_usage: bool = True) -> None:
        super().__init__(operation)
        self._reports_usage = reports_usage

    def envelope(self, body: bytes) -> Envelope:
        """See `WireFormat.envelope`."""
        fields = read_fields(_BODY, body)
        return Envelope(
            model=fields.model,
            stream=fields.stream or False,
            user=fields.user,
            metadata=fields.metadata,
            max_tokens=largest(fields.max_output_tokens),
        )

    def prompt_text(self, body: bytes) -> list[str]:
        """See `WireFormat.prompt_text`; of a stored prompt, the values of its variables."""
        value = read_body(body)
        if "prompt" in value:
            value["prompt"] = list(mapping(mapping(value["prompt"]).get("variables")).values())
        return self._texts(value, self.prompt_top)

    def with_prompt_text(self, body: bytes, change: Callable[[str], str]) -> bytes:
        """See `WireFormat.with_prompt_text`."""
        value = read_body(body)
        variables = mapping(mapping(value.pop("prompt", None)).get("variables"))
        found = list(self._places(value, self.prompt_top))
        for name, item in variables.items():
            found += places(item, self.text_keys, self.whole_keys, ("prompt", "variables", name))
        return changed(body, iter(found), change)

    def reply(self, body: bytes) -> Reply:
        """See `WireFormat.reply`."""
        try:
            response = _RESPONSE.decode(body)
        except (ValueError, RecursionError):
            return Reply()
        # Of a response that failed on its way, and of one that is only shown, the output is an answer.
        is_answer = bytes(response.output) not in _EMPTY or not (self._reports_usage or response.status is None)
        reply = Reply(
            model=text(response.model),
            usage=_usage(response) if self._reports_usage else None,
            stop_reason=_stop_reason(response),
        )
        return reply if is_answer else with_error(reply, response.error)

    def stream_reader(self) -> ResponsesReader:
        """See `WireFormat.stream_reader`."""
        return ResponsesReader(reports_usage=self._reports_usage)


class ResponsesReader(NeverRepeating):
    """Reads the events of a streamed response."""

    ends_with = (b"[DONE]", *map(str.encode, sorted(_TERMINAL)))

    def __init__(self, *, reports_usage: bool = True) -> None:
        self.model: str | None = None
        self.stop_reason: str | None = None
        self.complete = False
        self._reports_usage = reports_usage
        self._sequence = 0
        self._usage: Usage | None = None
        self._response: bytes = b""
        self._items: list[bytes] = []
        self._kept = 0

    @property
    def usage(self) -> Usage | None:
        """The usage of the response's last state that had one."""
        return self._usage

    @property
    def sequence(self) -> int:
        """One past the last ``sequence_number``."""
        return self._sequence

    def feed(self, event: bytes) -> EventFacts:
        """See `StreamReader.feed`."""
        data = event_data(event)
        if not data:
            return EventFacts(preamble=True)
        if data.startswith(b"[DONE]"):
            # Not OpenAI's own, but some who speak its dialect end every stream so.
            self.complete = True
            return EventFacts(terminal=True)
        try:
            fields = _EVENT.decode(data)
        except (ValueError, RecursionError):
            return unreadable(event, data)
        number = count(fields.sequence_number)
        if number is not None:
            self._sequence = number + 1
        kind = text(fields.type) or event_name(event) or ""
        if kind == "error" or fields.error:
            return failure(fields.error or {"message": fields.message, "code": fields.code})
        if (raw := bytes(fields.response)) not in _ABSENT:
            return self._of_response(kind, raw)
        if kind == "response.output_item.done":
            self._keep(bytes(fields.item))
        content = kind.endswith((".done", ".partial_image")) or (kind.endswith(".delta") and bool(fields.delta))
        return EventFacts(content=content, preamble=not content and kind.endswith((*_PROGRESS, ".delta")))

    def closing_events(self, reason: str) -> bytes:
        """The last event of a response, with the items that were finished by now."""
        if self.complete:
            return b""
        word = stop_reason(reason, "responses")
        response = dict(mapping(decode_exactly(self._response)) or {"id": "", "object": "response", "created_at": 0})
        response["status"] = "completed" if word == "completed" else "incomplete"
        response["incomplete_details"] = None if word == "completed" else {"reason": word}
        response["output"] = [msgspec.Raw(item) for item in self._items]
        response.setdefault("model", self.model or "")
        kind = f"response.{response['status']}"
        value = {"type": kind, "sequence_number": self._sequence, "response": response}
        return encode_event(encode(value), kind)

    def _of_response(self, kind: str, raw: bytes) -> EventFacts:
        """The facts of an event that carries the response's state."""
        try:
            response = _RESPONSE.decode(raw)
        except (ValueError, RecursionError):
            return EventFacts(terminal=kind in _TERMINAL)
        self.model = text(response.model) or self.model
        if self._reports_usage:
            self._usage = _usage(response) or self._usage
        if kind not in _TERMINAL:
            self._response = raw if len(raw) <= MOST_KEPT else b""
            return EventFacts(preamble=kind.endswith(_PROGRESS))
        self.complete = True
        self.stop_reason = _stop_reason(response) or kind.removeprefix("response.")
        if kind == "response.failed":
            wire = read_error(response.error or "The provider says that the response failed.")
            return EventFacts(terminal=True, error=wire.message, error_status=wire.status)
        return EventFacts(terminal=True)

    def _keep(self, item: bytes) -> None:
        self._kept += len(item)
        if self._kept <= MOST_KEPT and item.startswith(b"{"):
            self._items.append(item)


def _usage(response: _Response) -> Usage | None:
    raw = bytes(response.usage)
    if raw in _ABSENT:
        return None
    return openai_usage(
        decode_exactly(raw), service_tier=response.service_tier, web_searches=_web_searches(bytes(response.output))
    )


def _web_searches(output: bytes) -> int | None:
    """How often the web was searched; ``None`` where the output does not say."""
    try:
        return [item.type for item in _ITEMS.decode(output)].count("web_search_call")
    except ValueError:
        return None


def _stop_reason(response: _Response) -> str | None:
    """Why the response ended: the reason of an incomplete one, else its status once it has ended."""
    reason = text(mapping(response.incomplete_details).get("reason"))
    status = text(response.status)
    return reason or (None if status in ("in_progress", "queued") else status)
