"""Mapping: ``Helicone-Gateway-Body-Mapping``, which has bodies of other dialects at the address of chat completions."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from helicone_gw.dialects.splice import remove_members
from helicone_gw.model import Request


def mapped(request: Request, dialect_of: Callable[[Request], str | None]) -> Request:
    """``request`` as if it had been sent to the address that its body is meant for.

    ``RESPONSES``: a call of the Responses API. ``NO_MAPPING``: what the model's own provider takes, so that the answer
    is its provider's, too; ``dialect_of`` says which dialect that is, ``None`` where nobody serves the model. Other
    addresses, and dialects that clients do not speak here, stay as they are, the latter with a warning.
    """
    mapping = request.helicone.gateway_body_mapping
    if mapping in (None, "OPENAI") or request.operation != "chat" or request.provider is not None:
        return request
    if mapping == "RESPONSES":
        return request.replace(operation="responses", path="/v1/responses")
    dialect = dialect_of(request)
    if dialect in (None, "openai"):
        return request
    if dialect == "anthropic":
        return request.replace(dialect="anthropic", operation="messages", path="/v1/messages")
    if dialect == "gemini":
        return _for_gemini(request)
    warning = f"Helicone-Gateway-Body-Mapping: bodies of the {dialect} dialect are not taken, this one is read as chat"
    helicone = request.helicone
    return request.replace(helicone=helicone.replace(warnings=(*helicone.warnings, warning)))


def _for_gemini(request: Request) -> Request:
    # Model and stream are in Gemini's addresses; its bodies must not have them.
    verb = "streamGenerateContent" if request.stream else "generateContent"
    return request.replace(
        dialect="gemini",
        operation="stream_generate_content" if request.stream else "generate_content",
        path=f"/v1beta/models/{quote(request.model or '', safe='/')}:{verb}",
        query="alt=sse" if request.stream else "",
        body=remove_members(request.body or b"{}", {"model", "stream"}),
    )
