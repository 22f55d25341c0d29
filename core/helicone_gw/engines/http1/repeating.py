"""Heads that a client sends again: the same bytes but for the length, read once and known by comparing them.

A client with a connection of its own asks for the same address with the same fields again and again. What a head says
was found out when it came first; the same bytes say the same again, so that neither llhttp nor the checks need see
them. Only the last head of each connection is kept: with it goes what the client sent, its credentials among it.
"""

from __future__ import annotations

import re

from helicone_gw.engines.http1.head import Request

MAX_DIGITS = 15
"""Digits of a length that is compared; a longer one is read as if it came first."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,%d})\r\n" % MAX_DIGITS, re.IGNORECASE)


_UNUSUAL = frozenset({b"transfer-encoding", b"upgrade", b"expect"})


class RepeatedHead:
    """A head with a Content-Length. Its requests share one ``memory`` for what the application makes of such heads.

    The memory lives as long as the client repeats itself; nothing in it may depend on a request's length or body.
    """

    __slots__ = ("_after", "_before", "_place", "_request", "head")

    def __init__(self, head: bytes, before: bytes, after: bytes, request: Request, place: int) -> None:
        self.head = head
        self._before = before
        self._after = after
        self._request = request
        self._place = place

    @classmethod
    def of(cls, head: bytes, request: Request) -> RepeatedHead | None:
        """What is kept of a head that was read and checked; ``None`` where anything about it is unusual."""
        found = _LENGTH.search(head)
        names = [name for name, _ in request.fields]
        if found is None or request.version != "1.1" or not request.keep_alive or not _UNUSUAL.isdisjoint(names):
            return None
        request.memory = {}
        return cls(head, head[: found.start(1)], head[found.end(1) :], request, names.index(b"content-length"))

    def repeated(self, data: bytes) -> tuple[Request, int] | None:
        """The request that ``data`` begins with if its head is this one again, and the bytes of its head.

        ``None`` for any other, and for one that has not come whole.
        """
        before = self._before
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + MAX_DIGITS + 1)
        digits = data[start:end]
        # Nothing but digits may differ: a blank or a sign would be for llhttp to judge.
        if end < 0 or not digits.isdigit() or not data.startswith(self._after, end):
            return None
        request = self._request
        if request.fields[self._place][1] != digits:
            request = self._with_length(digits)
        return request, end + len(self._after)

    def _with_length(self, digits: bytes) -> Request:
        known = self._request
        fields = known.fields.copy()
        fields[self._place] = (b"content-length", digits)
        request = Request(known.method, known.target, known.version, fields, keep_alive=True)
        request.length, request.memory = int(digits), known.memory
        return request
