"""What a provider answers when a test does not care: a short text, in the dialect that it was asked in."""

from __future__ import annotations

import re

import msgspec

from helicone_gw.testing.dialects import (
    anthropic,
    embeddings,
    gemini,
    openai_chat,
    openai_completions,
    openai_responses,
)
from helicone_gw.testing.record import RecordedRequest
from helicone_gw.testing.script import ScriptedResponse

_BY_PATH = (
    (re.compile(r"/chat/completions$"), openai_chat.answer()),
    (re.compile(r"/responses$"), openai_responses.answer()),
    (re.compile(r"/completions$"), openai_completions.answer()),
    (re.compile(r"/embeddings$"), embeddings.answer()),
    (re.compile(r"/messages$"), anthropic.answer()),
    (re.compile(r":(?:stream)?[gG]enerateContent$"), gemini.answer()),
)


def usual_answer(request: RecordedRequest) -> ScriptedResponse:
    """The default of a provider without a script: streamed or not as asked.

    400 for a body that strict JSON parsers refuse, a lone surrogate included; 404 for an operation it does not know.
    """
    for path, answer in _BY_PATH:
        if path.search(request.path):
            try:
                return answer(request)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return openai_chat.error(400, "We could not parse the JSON body of your request.")
    return openai_chat.error(404, f"Invalid URL ({request.method} {request.path})")
