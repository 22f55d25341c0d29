"""Operations: what a provider offers, as it comes or by translation, and who offers what it does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from helicone_gw.dialects.translate.translation import carries, translatable
from helicone_gw.errors import BadRequest
from helicone_gw.ingress.offered import CONVERSATIONS, offered_name

if TYPE_CHECKING:
    from helicone_gw.model import Request
    from helicone_gw.upstream.provider import Provider

Way = Literal["native", "translated"]
"""How a request reaches a provider: as it came, or in the provider's own dialect."""

VECTORS = ("embeddings", "embed_content")

MAX_NAMED = 6
"""Providers that a refusal names."""

_Kind = tuple[str, ...]
_KINDS: dict[str, _Kind] = {**dict.fromkeys(CONVERSATIONS, CONVERSATIONS), **dict.fromkeys(VECTORS, VECTORS)}
_ASKED: dict[str, dict[_Kind, _Kind]] = {
    "openai": {CONVERSATIONS: ("chat", "responses"), VECTORS: ("embeddings",)},
    "azure": {CONVERSATIONS: ("chat", "responses"), VECTORS: ("embeddings",)},
    "anthropic": {CONVERSATIONS: ("messages",)},
    "gemini": {CONVERSATIONS: ("generate_content",), VECTORS: ("embed_content",)},
}
"""What a provider of a dialect is asked for instead; where nothing is said, any operation of that kind."""


def way(provider: Provider, request: Request, model: str | None = None) -> Way | None:
    """How ``provider`` is asked for ``request``; ``None`` where it does not offer the operation.

    An operation of which nothing is known is passed on. An address that names the provider may be one of its further
    APIs (`Provider.addressed`). ``model`` is the one that is asked for there: clouds serve several makers' dialects.
    """
    name = offered_name(request.operation, request.path)
    native = request.dialect in provider.dialects
    if not native and request.provider == provider.name:
        native = name in provider.addressed or not translatable(request.dialect, request.operation)
    if native and name not in provider.lacks:
        return "native"
    if _is_asked(provider, name) and carries(
        request.dialect, request.operation, provider.dialect, provider.name, model or request.model or ""
    ):
        return "translated"
    return None


def _is_asked(provider: Provider, name: str) -> bool:
    """Whether the provider has what a request of this operation would be translated to."""
    kind = _KINDS.get(name)
    asked = (name,) if kind is None else _ASKED.get(provider.dialect, {}).get(kind, kind)
    if name == "count_tokens" and provider.dialect in ("openai", "azure"):
        return True  # by a part of responses, which has no name of its own
    return not provider.lacks.issuperset(asked)


def same_kind(request: Request, names: Iterable[str]) -> bool:
    """Whether the request's operation is one of ``names`` (of `ingress.offered`), or is translated to one of them."""
    name = offered_name(request.operation, request.path)
    kind = (*CONVERSATIONS, "count_tokens") if name == "count_tokens" else _KINDS.get(name, (name,))
    return any(each in kind for each in names)


def refusal(provider: Provider, request: Request, others: Iterable[Provider]) -> BadRequest:
    """The refusal of an operation that ``provider`` does not offer. It names those of ``others`` that do.

    Configured ones are named alone, if there are any.
    """
    name = offered_name(request.operation, request.path)
    plain = request.replace(provider=None)
    offering = [each for each in others if each.name != provider.name and _is_known_to_offer(each, plain, name)]
    here = [each for each in offering if each.configured]
    named = [each.name for each in here or offering][:MAX_NAMED]
    said = f"Provider {provider.name!r} does not offer {name!r} ({request.method} {request.path[:80]})."
    if named:
        said += f" {'Here' if here else 'Elsewhere'} it is offered by {', '.join(named)}."
    return BadRequest(said, code="operation_not_offered")


def _is_known_to_offer(provider: Provider, request: Request, name: str) -> bool:
    found = way(provider, request)
    return found == "translated" or (found == "native" and name in provider.operations)
