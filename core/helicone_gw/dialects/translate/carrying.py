"""Carrying: a chat completion's body in the form that another operation's clients write, without anybody asking yet."""

from __future__ import annotations

from helicone_gw.dialects.translate.base import Destination
from helicone_gw.dialects.translate.translation import translate
from helicone_gw.errors import BadRequest
from helicone_gw.headers import Headers
from helicone_gw.helicone import EMPTY
from helicone_gw.model import Request

_FORMS: dict[tuple[str, str], tuple[str, bool]] = {
    ("openai", "responses"): ("openai", False),
    ("anthropic", "messages"): ("anthropic", True),
    ("gemini", "generate_content"): ("gemini", True),
    ("gemini", "stream_generate_content"): ("gemini", True),
}
"""Dialect and operation -> the dialect to write, and whether it is one that has chat completions."""


def carry_chat(body: bytes, dialect: str, operation: str, model: str) -> tuple[bytes, tuple[str, ...]]:
    """The JSON ``body`` of a chat completion as clients of ``dialect`` write it for ``operation``.

    For what is kept in one form and used in all (stored prompts). Chat completions stay as they are. Where a dialect
    demands something that the body lacks, such as a first message, it is given what a translated request is given.

    Returns:
        The JSON body, and the dotted paths of what it lost on the way.

    Raises:
        BadRequest: "operation_not_offered", for an operation that is no conversation.
        MalformedBody: ``body`` is no chat completion's.
    """
    if (dialect, operation) == ("openai", "chat"):
        return body, ()
    form = _FORMS.get((dialect, operation))
    if form is None:
        raise BadRequest(f"A chat cannot be carried to {operation!r}.", code="operation_not_offered")
    written, has_chat = form
    asked = Request(
        method="POST",
        path="/v1/chat/completions",
        query="",
        headers=Headers(),
        body=body,
        dialect="openai",
        operation="chat",
        helicone=EMPTY,
        model=model,
    )
    translation = translate(asked, written, Destination("", model, has_chat=has_chat))
    return translation.outgoing.body, translation.loss.paths
