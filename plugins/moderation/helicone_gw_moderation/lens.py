"""Lens: a text piece by piece, as it was written and, where it is JSON, as what its escapes stand for.

Arguments of tools and structured answers come as JSON text, in which an address may be ``alice\\u0040example.com``.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right

_ESCAPE = re.compile(r'\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|["\\/bfnrt])')
_TORN = re.compile(r"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?))?\Z")
_BEGUN = re.compile(r"\s*[{\[]\s*(\S)")
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Lens:
    """Takes a text in and shows what it says: ``view``, the part from ``base`` on that is not yet forgotten.

    Offsets are in characters: those of the view count from the beginning of what the text says, raw ones from the
    beginning of the text as it was written. Of plain text the two are the same.
    """

    __slots__ = ("_ends", "_raw", "_rest", "base", "is_json", "view")

    def __init__(self) -> None:
        self.base = 0
        self.view = ""
        self.is_json: bool | None = None
        """``None`` as long as that cannot be told."""
        self._rest = ""
        """An escape that is not complete."""
        self._raw = 0
        """Raw length of what is in the view."""
        self._ends: list[int] = []
        """Of JSON: where each character of the view ends, raw."""

    @property
    def end(self) -> int:
        """Offset of the end of the view."""
        return self.base + len(self.view)

    def feed(self, text: str) -> None:
        """Take in what follows."""
        if self.is_json is None:
            self.is_json = _is_json(self.view + text)
            if self.is_json:
                self._ends = list(range(self.base + 1, self.end + 1))
        if not self.is_json:
            self.view += text
            self._raw += len(text)
        else:
            self._unescape(self._rest + text, final=False)

    def finish(self) -> None:
        """Nothing follows: an incomplete escape is shown as it stands."""
        if self._rest:
            self._unescape(self._rest, final=True)

    def raw(self, offset: int) -> int:
        """Where, raw, the character of the view ends that stands before ``offset``."""
        if not self.is_json or offset == 0:
            return offset
        return self._ends[offset - self.base - 1] if offset > self.base else self._ends[0]

    def shown(self, raw: int) -> int:
        """How much of the view stands in the first ``raw`` characters."""
        return self.base + bisect_right(self._ends, raw) if self.is_json else raw

    def forget(self, offset: int) -> None:
        """Drop the view before ``offset``, but for one character: where it ends is where the next begins."""
        cut = offset - 1 - self.base
        if cut > 0:
            self.view = self.view[cut:]
            self.base += cut
            if self.is_json:
                del self._ends[:cut]

    def _unescape(self, text: str, *, final: bool) -> None:
        torn = None if final else _TORN.search(text)
        keep = len(text) if torn is None else self._torn_at(text, torn.start())
        self._rest, text = text[keep:], text[:keep]
        if "\\" not in text:
            self._plain(text)
            return
        at = 0
        for match in _ESCAPE.finditer(text):
            self._plain(text[at : match.start()])
            self.view += _unescaped(match.group())
            self._raw += match.end() - match.start()
            self._ends.append(self._raw)
            at = match.end()
        self._plain(text[at:])

    @staticmethod
    def _torn_at(text: str, start: int) -> int:
        # A backslash that an odd number of others stands before is the second half of an escape.
        before = len(text[:start]) - len(text[:start].rstrip("\\"))
        return start if before % 2 == 0 else len(text)

    def _plain(self, text: str) -> None:
        self.view += text
        self._ends.extend(range(self._raw + 1, self._raw + len(text) + 1))
        self._raw += len(text)


def _is_json(beginning: str) -> bool | None:
    """Whether a text that begins so is JSON, and no prose that begins with a bracket; ``None`` for too little of it."""
    begun = _BEGUN.match(beginning)
    if begun is None:
        return None if beginning.strip() in ("", "{", "[") else False
    return begun[1] in '"{}[]'


def escaped(text: str) -> str:
    """``text`` as it is written inside a string of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _unescaped(escape: str) -> str:
    short = _SHORT.get(escape[1])
    if short is not None:
        return short
    if len(escape) == 12:
        high, low = int(escape[2:6], 16), int(escape[8:], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    code = int(escape[2:], 16)
    return "�" if 0xD800 <= code <= 0xDFFF else chr(code)
