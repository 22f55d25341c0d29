"""Texts: what columns hold of names, identifiers and messages. What is longer is cut."""

from __future__ import annotations

from functools import lru_cache

NAME_BYTES = 1024
"""Longest identifier or name, in bytes of UTF-8; the rest is cut."""
TEXT_BYTES = 65_536
"""Longest message, path or property value."""
KEY_BYTES = 256
"""Longest property key."""
VALUE_START_BYTES = 512
"""How much of a property's value its index holds."""


def text(value: object, limit: int = NAME_BYTES) -> str | None:
    """``value`` as text that any database takes: no NUL, no lone surrogate, at most ``limit`` bytes of UTF-8."""
    if value is None:
        return None
    string = value if isinstance(value, str) else str(value)
    if len(string) <= limit and string.isascii() and "\0" not in string:
        return string
    data = string.replace("\0", "\ufffd").encode("utf-8", "replace")
    return data[:limit].decode("utf-8", "ignore")


@lru_cache(maxsize=512)
def label(value: str | None, limit: int = NAME_BYTES) -> str | None:
    """`text` of what comes again and again: models, organizations, types, price lists."""
    return text(value, limit)
