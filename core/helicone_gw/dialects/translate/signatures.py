"""Signatures of thoughts on their way through a dialect that is not their maker's.

Only its maker can verify a signature or decrypt a thought. A client gets it back unchanged in its next request, marked
with the maker's name, so that it reaches that maker and no other.
"""

from __future__ import annotations

import re
from typing import NamedTuple, cast

from helicone_gw.dialects.translate.conversation import Vendor

_SEALED = re.compile(r"(anthropic|openai|google|openrouter|other):([a-zA-Z0-9_.-]*):(.+)\Z", re.DOTALL)


class Signature(NamedTuple):
    """A signature, whose it is, and the id of the thought or of the tool call that it belongs to."""

    vendor: Vendor
    value: str
    id: str | None = None


def seal(signature: Signature, home: Vendor) -> str:
    """The text by which a dialect of ``home`` carries ``signature``: marked, unless it is its own."""
    if signature.vendor == home:
        return signature.value
    return f"{signature.vendor}:{signature.id or ''}:{signature.value}"


def unseal(text: str, home: Vendor) -> Signature:
    """What `seal` was given. Text that is not marked is ``home``'s own."""
    found = _SEALED.match(text)
    if found is None:
        return Signature(home, text)
    return Signature(cast(Vendor, found[1]), found[3], found[2] or None)
