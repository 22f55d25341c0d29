"""What Anthropic's models lack where others host them: files and pages that are fetched, tiers, accounts."""

from __future__ import annotations

from msgspec.structs import replace

from helicone_gw.dialects.translate.conversation import ConversationRequest, Document, Image, Part, ToolResult
from helicone_gw.dialects.translate.loss import Loss


def without_what_is_not_hosted(
    request: ConversationRequest, loss: Loss, *, searches: bool = False
) -> ConversationRequest:
    """``request`` without what Bedrock and Vertex refuse (docs.claude.com, "Features overview"), each a loss.

    That is pictures and documents by address or as an uploaded file, service tiers, the user's id, and unless
    ``searches`` the search of the web.
    """
    changes: dict[str, object] = {}
    for name in ("user", "service_tier"):
        if getattr(request, name) not in (None, "auto"):
            loss.note(name)
        changes[name] = None
    if request.web_search and not searches:
        loss.note("web_search_options")
        changes["web_search"] = False
    messages = [
        replace(message, parts=_kept(message.parts, f"messages.{index}.content", loss))
        for index, message in enumerate(request.messages)
    ]
    return replace(request, messages=messages, **changes)


def _kept(parts: tuple[Part, ...], path: str, loss: Loss) -> tuple[Part, ...]:
    kept: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            inner = _kept(part.parts, path, loss)
            kept.append(replace(part, parts=inner))
        elif _is_fetched(part):
            loss.note(f"{path}.{'image' if isinstance(part, Image) else 'document'}")
        else:
            kept.append(part)
    return tuple(kept)


def _is_fetched(part: Part) -> bool:
    if isinstance(part, Image):
        return part.data is None
    return isinstance(part, Document) and part.data is None and part.text is None
