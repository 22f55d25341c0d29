"""Entries of ``Helicone-Fallbacks`` in Helicone's own form: a target's address, and the request that goes there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from helicone_gw import FallbackTarget, Headers, ProviderCredential, Request

CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")

# What belongs to the connection, and what back ends that honour it would take for another request (as the core has it).
_DROPPED = frozenset(
    [
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "proxy-authorization",
        "proxy-connection",
        "forwarded",
        "via",
        "x-real-ip",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-rewrite-url",
    ]
)


def request_for(
    entry: FallbackTarget, original: Request, secrets: Sequence[str]
) -> tuple[Request, ProviderCredential | None]:
    """The request that goes to ``entry``, and the credential that goes with it.

    The entry's headers take the place of the client's. Its credential is never one of the gateway's own ``secrets``.
    ``bodyKeyOverride`` is merged into the JSON body as the client wrote it: objects key by key, everything else
    replaced. Where the entry's provider speaks another dialect, the core translates the outcome.
    """
    headers = {name.lower(): value for name, value in entry.headers.items()}
    credential = next((found for name in CREDENTIALS if (found := headers.get(name))), None)
    field = next((name for name in CREDENTIALS if headers.get(name)), "")
    kept = {
        name: value
        for name, value in headers.items()
        if name not in CREDENTIALS and name not in _DROPPED and not name.startswith(("helicone-", "x-forwarded-"))
    }
    if original.body is not None:
        kept.setdefault("content-type", original.headers.get("content-type") or "application/json")
    request = original.replace(
        headers=Headers(_encodable(kept)),
        helicone=original.helicone.replace(target_url=entry.target_url, openai_api_base=None),
    )
    if entry.body_override and original.body:
        request = _overridden(request, entry.body_override)
    if credential is None or any(secret and secret in credential for secret in secrets):
        return request, None
    return request, ProviderCredential(field, credential, "")


def _encodable(headers: Mapping[str, str]) -> dict[str, str]:
    """Those fields that can stand in a message at all (RFC 9110 5.5)."""
    return {
        name: value
        for name, value in headers.items()
        if name.isascii() and name.isprintable() and value.isprintable() and _latin(value)
    }


def _latin(value: str) -> bool:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def _overridden(request: Request, override: Mapping[str, Any]) -> Request:
    try:
        body = json.loads(request.body or b"")
    except (ValueError, RecursionError):
        return request  # not JSON: the provider's to judge
    if not isinstance(body, dict):
        return request
    merged = merge(body, override)
    # Another spelling of it would be read by some back ends, and by nobody who checks what may be used.
    merged = {key: value for key, value in merged.items() if key == "model" or key.casefold() != "model"}
    model, stream = merged.get("model"), merged.get("stream")
    if request.dialect == "gemini":
        # Its addresses name the model, and its bodies know no such member.
        merged.pop("model", None)
    return request.replace(
        body=json.dumps(merged, ensure_ascii=False, separators=(",", ":")).encode(),
        model=model if isinstance(model, str) else request.model,
        stream=stream if isinstance(stream, bool) else request.stream,
    )


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``override`` in it: objects are merged, everything else is replaced.

    >>> merge({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}, "e": 4})
    {'a': 1, 'b': {'c': 2, 'd': 3}, 'e': 4}
    """
    merged = dict(base)
    for key, value in override.items():
        below = merged.get(key)
        if isinstance(value, Mapping):
            merged[key] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[key] = value
    return merged
