"""OpenAI chat completions, streams written (platform.openai.com, "The chat completion chunk object")."""

from __future__ import annotations

from typing import Any

from helicone_gw.dialects.translate.conversation import ConversationRequest, ToolCall
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.dialects.translate.names import legal_id
from helicone_gw.dialects.translate.openai_chat_reply import (
    write_annotations,
    write_finish,
    write_tokens,
)
from helicone_gw.dialects.translate.openai_chat_turns import write_tool_call
from helicone_gw.dialects.translate.reply import (
    CitationDelta,
    LogprobsDelta,
    PartStarted,
    RefusalDelta,
    SignatureDelta,
    Stopped,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
)
from helicone_gw.dialects.translate.signatures import Signature, seal
from helicone_gw.dialects.translate.writers import ChunkWriter


class ChatStreamWriter(ChunkWriter):
    """Writes chunks of a chat completion."""

    object_name = "chat.completion.chunk"
    tells_tier = True

    def __init__(self, asked: ConversationRequest, loss: Loss) -> None:
        super().__init__(asked, loss)
        self._choices: dict[int, _Choice] = {}

    def _part(self, event: StreamEvent) -> bytes:
        match event:
            case TextDelta():
                choice = self._choice(event.choice)
                choice.length += len(event.text)
                return self._chunk(event.choice, {"content": event.text}, logprobs=choice.logprobs_of("content"))
            case ThinkingDelta():
                block = self._block(event, {"type": "thinking", "thinking": event.text})
                return self._chunk(event.choice, {"reasoning_content": event.text, "thinking_blocks": [block]})
            case SignatureDelta():
                return self._sign(event)
            case ToolArgumentsDelta():
                call = self._choice(event.choice).calls.get(event.index)
                if call is None:
                    return b""
                number, custom = call
                inner = {"custom": {"input": event.text}} if custom else {"function": {"arguments": event.text}}
                return self._chunk(event.choice, {"tool_calls": [{"index": number, **inner}]})
            case PartStarted(kind="tool_call"):
                return self._start_call(event)
            case RefusalDelta():
                choice = self._choice(event.choice)
                choice.refused = True
                return self._chunk(event.choice, {"refusal": event.text}, logprobs=choice.logprobs_of("refusal"))
            case CitationDelta():
                choice = self._choice(event.choice)
                choice.annotations += write_annotations((event.citation,), 0, self._loss, length=choice.length)
            case LogprobsDelta():
                self._choice(event.choice).logprobs = write_tokens(event.logprobs)
            case PartStarted(kind="thinking"):
                self._choice(event.choice).thoughts[event.index] = event.id
            case Stopped():
                return self._stop(event)
            case _:
                pass
        return b""

    def _stop(self, event: Stopped) -> bytes:
        choice = self._choice(event.choice)
        out = self._chunk(event.choice, {"annotations": choice.annotations}) if choice.annotations else b""
        return out + self._chunk(event.choice, {}, finish=write_finish(event.reason, refused=choice.refused))

    def _sign(self, event: SignatureDelta) -> bytes:
        thoughts = self._choice(event.choice).thoughts
        if event.index not in thoughts:
            self._loss.note("content.signature")
            return b""
        sealed = seal(Signature(event.vendor or "other", event.signature, thoughts[event.index]), "anthropic")
        block = (
            {"type": "redacted_thinking", "data": sealed}
            if event.redacted
            else {"type": "thinking", "thinking": "", "signature": sealed}
        )
        return self._chunk(event.choice, {"thinking_blocks": [self._block(event, block)]})

    def _block(self, event: ThinkingDelta | SignatureDelta, block: dict[str, str]) -> dict[str, Any]:
        """A piece of a thought as LiteLLM streams it; numbered, so that SDKs add up the pieces of one block."""
        thoughts = self._choice(event.choice).thoughts
        number = list(thoughts).index(event.index) if event.index in thoughts else 0
        return {"index": number, **block}

    def _start_call(self, event: PartStarted) -> bytes:
        choice = self._choice(event.choice)
        number = len(choice.calls)
        choice.calls[event.index] = (number, event.custom)
        call = ToolCall(event.id or "", event.name or "", "", event.signature, event.custom)
        written = write_tool_call(call, legal_id(call.id), call.name)
        return self._chunk(event.choice, {"tool_calls": [{"index": number, **written}]})

    def _choice(self, number: int) -> _Choice:
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice()
        return choice

    def _chunk(self, number: int, delta: dict[str, Any], *, finish: str | None = None, logprobs: Any = None) -> bytes:
        choice = self._choice(number)
        if not choice.introduced:
            choice.introduced = True
            delta = {"role": "assistant", **delta}
        written = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return self._encoded(choices=[written])


class _Choice:
    """What is remembered of one choice."""

    def __init__(self) -> None:
        self.introduced = False
        self.refused = False
        self.length = 0
        self.calls: dict[int, tuple[int, bool]] = {}
        """A tool call's number among the calls, and whether it is a custom tool's, by the index of its part."""
        self.thoughts: dict[int, str | None] = {}
        """The ids of the thoughts, by the index of their part."""
        self.annotations: list[dict[str, Any]] = []
        self.logprobs: list[dict[str, Any]] | None = None

    def logprobs_of(self, kind: str) -> dict[str, Any] | None:
        """The log probabilities of the delta that is being written."""
        if self.logprobs is None:
            return None
        tokens, self.logprobs = self.logprobs, None
        return {"content": None, "refusal": None, kind: tokens}
