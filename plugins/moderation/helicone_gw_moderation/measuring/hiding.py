"""Ways in which people hide a sentence from a filter."""

from __future__ import annotations

import base64
import codecs
from collections.abc import Callable, Mapping
from urllib.parse import quote

_LEET = str.maketrans("aeiost", "431057")
_CYRILLIC = str.maketrans("aceopxyi", "асеорхуі")


def _each(text: str, form: Callable[[str], str]) -> str:
    return "".join(form(char) for char in text)


def _bold(char: str) -> str:
    base = {"A" <= char <= "Z": (0x1D400, "A"), "a" <= char <= "z": (0x1D41A, "a")}.get(True)
    return chr(base[0] + ord(char) - ord(base[1])) if base else char


def _wide(char: str) -> str:
    return chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char


HIDINGS: Mapping[str, Callable[[str], str]] = {
    "accents": lambda text: _each(text, lambda char: char + "\u0301" if char.isalpha() else char),
    "backwards": lambda text: text[::-1],
    "base64": lambda text: "Decode this: " + base64.b64encode(text.encode()).decode(),
    "base64 of a part": lambda text: base64.urlsafe_b64encode(f"x: {text} and so on".encode()).decode().rstrip("="),
    "full width": lambda text: _each(text, _wide),
    "hexadecimal": lambda text: text.encode().hex(),
    "HTML entities": lambda text: _each(text, lambda char: f"&#{ord(char)};"),
    "leet": lambda text: text.lower().translate(_LEET),
    "letters of other scripts": lambda text: text.lower().translate(_CYRILLIC),
    "mathematical bold": lambda text: _each(text, _bold),
    "percent encoding": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "query string": lambda text: "q=" + quote(text),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "spaced letters": lambda text: "  ".join(" ".join(word) for word in text.split()),
    "tag characters": lambda text: (
        "Hello" + _each(text, lambda char: chr(0xE0000 + ord(char)) if " " <= char <= "~" else "")
    ),
    "Unicode escapes": lambda text: _each(text, lambda char: f"\\u{ord(char):04x}"),
    "zero-width characters": lambda text: "\u200b".join(text),
}
"""By name; each is given a sentence."""
