"""The message of ``POST /v1/log/request``: what Helicone's own gateways say of an exchange (contract 10.2)."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from helicone_gw import Headers, Usage, parse_helicone_headers
from helicone_gw_logging.ingest.checks import Problem, Refused
from helicone_gw_logging.ingest.helicone_log import Catalogue, provider_name
from helicone_gw_logging.ingest.instants import in_range, instant, number
from helicone_gw_logging.ingest.told import CUSTOM, UNKNOWN_PATH, Told

_FLAGS = {"omitRequestLog": "Helicone-Omit-Request", "omitResponseLog": "Helicone-Omit-Response"}
_TEXTS = {"modelOverride": "Helicone-Model-Override", "promptId": "Helicone-Prompt-Id"}
_MODELS = ("gatewayModel", "providerModelId")
_NO_REFERENCE = "00000000-0000-0000-0000-000000000000"
"""What stands for the request that a cache answered with, where none did."""
_MOST_DOLLARS = 1_000_000


def told_of_message(body: Any, catalogue: Catalogue, now: float) -> Told:
    """The exchange that ``body`` is about. Raises `Refused`; ``now`` is in epoch seconds."""
    meta, request, response = _parts(body)
    started, ended = instant(request.get("requestCreatedAt")), instant(response.get("responseCreatedAt"))
    delay = number(response.get("delayMs"))
    wrong = []
    if started is None:
        wrong.append(Problem("log.request.requestCreatedAt", "It must be a time."))
    elif not in_range(started, started, now):
        wrong.append(Problem("log.request.requestCreatedAt", "It must lie within the last ten years."))
    status = response.get("status")
    if isinstance(status, bool) or not isinstance(status, int) or not -1000 < status < 1000:
        wrong.append(Problem("log.response.status", "It must be a number."))
    if wrong or started is None:
        raise Refused(wrong)
    if delay is not None and delay >= 0:
        ended = started + delay / 1000
    ended = max(started, ended or started)
    if not in_range(started, ended, now):
        raise Refused([Problem("log.response", "It must not have come ahead of now.")])
    first = number(response.get("timeToFirstToken"))
    url = _text(request.get("targetUrl"))
    provider = _text(request.get("provider"))
    notes = dict(_notes(meta, request, response))
    hit = notes.get("cache.status") == "hit"
    model = next((found for name in _MODELS if (found := _text(meta.get(name)))), None)
    return Told(
        source="async",
        provider=CUSTOM if provider is None else provider_name(provider, catalogue),
        dialect=CUSTOM,
        operation="other",
        started_at=started,
        ended_at=ended,
        helicone=parse_helicone_headers(Headers(), dict(_headers(meta, request))),
        path=_text(request.get("path")) or UNKNOWN_PATH,
        url=url if _is_url(url) else None,
        asked_model=model,
        stream=request.get("isStream") is True,
        status=int(status) if isinstance(status, int) else None,
        first_token_at=None if first is None or first < 0 else started + first / 1000,
        # What a cache answered used nothing and costs nothing (contract 4.6).
        usage=Usage(input_tokens=0, output_tokens=0) if hit else None,
        cost=0 if hit else _nano_dollars(response.get("cost")),
        country_code=_text(request.get("countryCode")),
        secrets=tuple(found for found in (_text(body.get("authorization")),) if found),
        notes=notes,
    )


def _notes(meta: dict[str, Any], request: dict[str, Any], response: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the message says of checks, caches and prompts, as the plugins here note it."""
    if isinstance(request.get("threat"), bool):
        yield "threat", request["threat"]
    version = _text(meta.get("promptVersionId"))
    if version is not None:
        yield "prompts.version_id", version
    reference = _text(request.get("cacheReferenceId"))
    if reference is not None and reference != _NO_REFERENCE:
        yield "cache.status", "hit"
        yield "cache.reference_id", reference
        saved = number(response.get("cachedLatency"))
        if saved is not None and saved >= 0:
            yield "cache.saved_ms", round(saved)


def _parts(body: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    log = body.get("log") if isinstance(body, dict) else None
    meta = body.get("heliconeMeta", {}) if isinstance(body, dict) else None
    request = log.get("request") if isinstance(log, dict) else None
    response = log.get("response") if isinstance(log, dict) else None
    for name, part in (("heliconeMeta", meta), ("log.request", request), ("log.response", response)):
        if not isinstance(part, dict):
            raise Refused([Problem(name, "It must be an object.")])
    assert isinstance(meta, dict)
    assert isinstance(request, dict)
    assert isinstance(response, dict)
    return meta, request, response


def _headers(meta: dict[str, Any], request: dict[str, Any]) -> Iterator[tuple[str, object]]:
    yield "Helicone-Request-Id", request.get("id")
    yield "Helicone-User-Id", request.get("userId")
    for name, header in _FLAGS.items():
        if meta.get(name) is True:
            yield header, "true"
    for name, header in _TEXTS.items():
        yield header, meta.get(name, request.get(name))
    if request.get("cacheEnabled") is True:
        yield "Helicone-Cache-Enabled", "true"
    properties = request.get("properties")
    for key, value in properties.items() if isinstance(properties, dict) else ():
        # Some of these gateways keep the prefix of the header.
        yield key if key.lower().startswith("helicone-") else f"Helicone-Property-{key}", value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _is_url(url: str | None) -> bool:
    try:
        return url is not None and urlsplit(url).scheme in ("http", "https")
    except ValueError:
        return False


def _nano_dollars(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST_DOLLARS:
        return None
    return round(Decimal(str(value)) * 1_000_000_000)
