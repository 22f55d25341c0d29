"""Helicone's log calls: the body of ``/{provider}/v1/log`` and of ``/v1/trace/custom/...``, made a `Told`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from helicone_gw import Headers, parse_helicone_headers
from helicone_gw_logging.ingest.checks import Problem, Refused, problems, times
from helicone_gw_logging.ingest.chunks import as_json
from helicone_gw_logging.ingest.reading import PLAIN, read
from helicone_gw_logging.ingest.told import CUSTOM, UNKNOWN_PATH, Told

_MODEL_IN_PATH = re.compile(r"/(?:engines|models)/([^:/?]+)")
_SECRET_NAME = re.compile(r"(?:^|[-_])(?:auth|authorization|api[-_]?key|token|secret|password|cookie)$", re.IGNORECASE)

_OWN_IDS = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id", "x-goog-request-id")
"""Header fields in which providers give their answers an id, as the core reads them from those that pass through."""


class Provider(Protocol):
    """What is asked of a provider of the gateway's catalogue."""

    @property
    def name(self) -> str:
        """Its name."""


class Catalogue(Protocol):
    """What is asked of the gateway's catalogue."""

    def get(self, name: str) -> Provider | None:
        """The provider of this name or alias."""

    def provider_for_url(self, url: str) -> Provider | None:
        """Whose URL this is."""


def told_of(
    body: Any,
    headers: Headers,
    catalogue: Catalogue,
    now: float,
    *,
    route: str | None = None,
    head: bytes = b"",
) -> Told:
    """What a log call tells. Raises `Refused`, naming every field that is wrong.

    Args:
        body: the call's JSON.
        headers: the call's own; they win over ``providerRequest.meta``, whose values count as headers.
        catalogue: the gateway's providers.
        now: epoch seconds.
        route: the provider that the address names ("openai", "anthropic", "gemini", "custom"); without one the body may
            say ``provider`` (default: openai), and ``timing`` may be missing.
        head: the call's head as it came, for the spelling of properties.
    """
    if not isinstance(body, dict):
        raise Refused([Problem("", "The body must be a JSON object.")])
    wrong = problems(body, now, timing_optional=route is None)
    if wrong:
        raise Refused(wrong)
    asked, answered = body["providerRequest"], body["providerResponse"]
    request, meta = asked["json"], asked.get("meta") or {}
    provider = _provider(body.get("provider"), asked["url"], route, catalogue)
    url, path = _address(asked["url"])
    answer = answered.get("json")
    if isinstance(answer, str):
        decoded = as_json(answer)
        answer, text = (decoded, None) if isinstance(decoded, dict) else (None, answer)
        text = answered.get("textBody") if answered.get("textBody") is not None else text
    else:
        text = answered.get("textBody")
    found = read(provider, request, answer, text)
    started, ended, first = times(body.get("timing"), now)
    status = int(answered["status"])
    error = found.error
    if error is None and status >= 400 and found.content_type == PLAIN:
        error = text  # what a program caught, as Helicone's helpers send it
    return Told(
        source="async",
        provider=provider,
        dialect=found.dialect,
        operation=found.operation,
        started_at=started,
        ended_at=ended,
        helicone=parse_helicone_headers(headers, meta, head),
        request=msgspec.json.encode(request),
        response=found.body,
        response_type=found.content_type,
        path=path if route is not None else UNKNOWN_PATH,
        url=url,
        asked_model=_model(request, asked["url"]),
        model=found.model,
        stream=request.get("stream") is True or found.streamed or ":streamGenerateContent" in asked["url"],
        user=request["user"] if isinstance(request.get("user"), str) else None,
        status=status,
        error=error,
        first_token_at=first,
        usage=found.usage,
        stop_reason=found.stop_reason,
        provider_request_id=_own_id(answered.get("headers") or {}),
        secrets=tuple(_secrets(meta, answered.get("headers") or {}, request, headers)),
    )


def provider_name(given: str, catalogue: Catalogue) -> str:
    """The catalogue's name of a provider in Helicone's spelling (``OPENAI``) or any other; else it, in lower case."""
    lower = given.strip().lower()
    known = catalogue.get(lower) or catalogue.get(lower.replace("_", "-"))
    return lower if known is None else known.name


def _provider(given: Any, url: str, route: str | None, catalogue: Catalogue) -> str:
    if route is not None and route != CUSTOM:
        return route
    if isinstance(given, str) and given.strip():
        return provider_name(given, catalogue)
    known = catalogue.provider_for_url(url) if "://" in url else None
    if known is not None:
        return known.name
    return route or "openai"


def _address(url: str) -> tuple[str | None, str]:
    """The URL, if it is one, and the path to record."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None, UNKNOWN_PATH
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return None, UNKNOWN_PATH
    return url, parts.path or "/"


def _model(request: Mapping[str, Any], url: str) -> str | None:
    model = request.get("model")
    if isinstance(model, str) and model:
        return model
    found = _MODEL_IN_PATH.search(url)
    return unquote(found[1]) if found is not None else None


def _own_id(headers: Mapping[str, Any]) -> str | None:
    given = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    return next((given[name] for name in _OWN_IDS if given.get(name)), None)


def _secrets(*places: Mapping[str, Any] | Headers) -> Iterator[str]:
    """Values of what is named like a credential; of ``Bearer <key>`` the key."""
    for place in places:
        for name, value in place if isinstance(place, Headers) else place.items():
            if isinstance(value, str) and isinstance(name, str) and _SECRET_NAME.search(name):
                yield value.rsplit(" ", 1)[-1]
