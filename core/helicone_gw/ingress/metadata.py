"""Metadata: ``Helicone-*`` keys that a client put into the JSON body's ``metadata`` instead of the headers.

LiteLLM's documents show them there, and its users' requests carry them so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

PREFIX = "helicone-"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def lift_metadata(metadata: Mapping[str, object] | None) -> tuple[dict[str, str], frozenset[str]]:
    """The ``Helicone-*`` keys of a body's ``metadata``, as if they were headers, and their names to strip.

    Args:
        metadata: the body's ``metadata`` object, other keys included; ``None`` when there is none.

    Returns:
        Header-like values by name as sent (the first of two spellings wins), which may contain ``Helicone-Auth``; and
        every key, as spelled in the body, that must not reach a provider. Booleans become "true" and "false", numbers
        their JSON text, arrays and objects JSON; ``null`` counts as not sent.
    """
    if not metadata:
        return {}, frozenset()
    lifted: dict[str, str] = {}
    seen: set[str] = set()
    names: set[str] = set()
    for name, value in metadata.items():
        lower = name.lower()
        if not lower.startswith(PREFIX):
            continue
        names.add(name)
        if value is not None and lower not in seen:
            seen.add(lower)
            lifted[name] = _as_field(value)
    return lifted, frozenset(names)


def metadata_auth(lifted: Mapping[str, str]) -> str | None:
    """``Helicone-Auth`` among what `lift_metadata` returned, in any spelling."""
    return next((value for name, value in lifted.items() if name.lower() == "helicone-auth"), None)


def _as_field(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    # A field's value has no control characters (RFC 9110 5.5), and what follows counts on that.
    return _CONTROL.sub(" ", text).strip()
