"""An embedding without a model: hashed character n-grams, the same on every machine. It sees letters and no meaning."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from helicone_gw import Usage
from helicone_gw.testing import RecordedRequest, ScriptedResponse, usual_answer
from helicone_gw.testing.dialects import anthropic, embeddings, gemini, openai_chat, openai_responses

DIMENSIONS = 512
USAGE = Usage(input_tokens=1000, output_tokens=500)


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """Counts of the hashed 1- to 5-grams of ``text``, rare lengths weighing more, as a vector of length 1."""
    padded = f" {text.casefold()} "
    vector = [0.0] * dimensions
    for length in range(1, 6):
        for start in range(len(padded) - length + 1):
            hashed = zlib.crc32(padded[start : start + length].encode("utf-8", "surrogatepass"))
            vector[hashed % dimensions] += length if hashed & 1 << 31 else -length
    norm = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / norm for value in vector]


def cosine(one: str, other: str) -> float:
    """The cosine of two texts' vectors."""
    return sum(mine * theirs for mine, theirs in zip(embed(one), embed(other), strict=True))


def asked(body: Any) -> str:
    """The last text of the user in a request's body, of any dialect."""
    if "contents" in body:
        return str(body["contents"][-1]["parts"][-1]["text"])
    given = body.get("messages", body.get("input"))
    content = given if isinstance(given, str) else given[-1]["content"]
    return str(content if isinstance(content, str) else content[-1]["text"])


def answering(
    answers: Mapping[str, str] | Callable[[str], str] | ScriptedResponse = lambda question: (
        f"The answer to {question!r}."
    ),
    embedder: Callable[[RecordedRequest], ScriptedResponse] | None = None,
) -> Callable[[RecordedRequest], ScriptedResponse]:
    """A provider of every dialect: vectors of `embed` (or ``embedder``'s answer), and ``answers`` to questions."""

    def answer(request: RecordedRequest) -> ScriptedResponse:
        body = request.json()
        if request.path.endswith("/embeddings"):
            return vectors(request) if embedder is None else embedder(request)
        if isinstance(answers, ScriptedResponse):
            return answers
        question = asked(body)
        text = answers(question) if callable(answers) else answers[question]
        if request.path.endswith("/messages"):
            return anthropic.answer(text, usage=USAGE)(request)
        if "enerateContent" in request.path:
            return gemini.answer(text, usage=USAGE)(request)
        if request.path.endswith("/responses"):
            return openai_responses.answer(text, usage=USAGE)(request)
        if request.path.endswith("/chat/completions"):
            return openai_chat.answer(text, usage=USAGE)(request)
        return usual_answer(request)

    return answer


def vectors(request: RecordedRequest) -> ScriptedResponse:
    """The vectors that an embeddings request asks for."""
    given = request.json()["input"]
    texts = [given] if isinstance(given, str) else given
    return embeddings.reply([embed(text) for text in texts], usage=Usage(input_tokens=10))
