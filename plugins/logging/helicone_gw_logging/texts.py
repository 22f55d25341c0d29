"""Texts: what columns hold of names, identifiers and messages. What is longer is cut."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from helicone_gw_logging.measures import is_known

NAME_BYTES = 1024
"""Longest identifier or name, in bytes of UTF-8; the rest is cut."""
TEXT_BYTES = 65_536
"""Longest message, path or property value."""
KEY_BYTES = 256
"""Longest property key."""
VALUE_START_BYTES = 512
"""How much of a property's value its index holds."""

_LONG = frozenset({"path", "error_message"})


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


def texts(values: dict[str, Any]) -> dict[str, Any]:
    """``values``, each made a `text`. Usually nothing is to be done, which is told of all of them together."""
    try:
        together = "".join(filter(is_known, values.values()))
    except TypeError:
        pass
    else:
        if len(together) <= NAME_BYTES and together.isascii() and "\0" not in together:
            return values
    return {name: text(value, TEXT_BYTES if name in _LONG else NAME_BYTES) for name, value in values.items()}
