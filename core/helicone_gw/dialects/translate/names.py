"""Names and ids that one dialect allows and another forbids: replaced by legal ones, the same every time."""

from __future__ import annotations

import re
from hashlib import sha256

_ID = re.compile(r"[a-zA-Z0-9_-]+\Z")
_ILLEGAL = re.compile(r"[^a-zA-Z0-9_-]")
LONGEST_NAME = 64
"""Characters of a tool's name that every dialect takes (OpenAI and Gemini: 64, Anthropic: 128)."""
LONGEST_ID = 64
LONGEST_USER = 64


def legal_id(id: str, longest: int = LONGEST_ID) -> str:
    """A tool call's ``id`` if every dialect takes it (letters, digits, ``_`` and ``-``), else one derived from it.

    The call and its result are written with the same function, so they still belong together.
    """
    if len(id) <= longest and _ID.match(id):
        return id
    return f"call_{sha256(id.encode('utf-8', 'replace')).hexdigest()[:24]}"


def legal_user(user: str | None, longest: int = LONGEST_USER) -> str | None:
    """A user's name as OpenAI takes it: a longer one (Anthropic's clients send whole objects) as its digest."""
    if user is None or len(user) <= longest:
        return user
    return sha256(user.encode("utf-8", "replace")).hexdigest()


class Renaming:
    """Names of tools within one exchange: `legal` on the way to the provider, `original` on the way back."""

    __slots__ = ("_legal", "_original")

    def __init__(self) -> None:
        self._legal: dict[str, str] = {}
        self._original: dict[str, str] = {}

    def legal(self, name: str, longest: int = LONGEST_NAME) -> str:
        """``name``, or a legal one in its place, that no other name of this exchange has."""
        known = self._legal.get(name)
        if known is not None:
            return known
        found = _ILLEGAL.sub("_", name)[:longest]
        if found[:1].isdecimal() or found.startswith("-"):
            found = f"_{found}"[:longest]  # Gemini's begin with a letter or an underscore
        if found != name or found in self._original or not found:
            digest = sha256(name.encode("utf-8", "replace")).hexdigest()[:8]
            found = f"{found[: longest - 9]}_{digest}"
        self._legal[name] = found
        self._original[found] = name
        return found

    def original(self, name: str) -> str:
        """The name that was written as ``name``; itself when it was not renamed."""
        return self._original.get(name, name)
