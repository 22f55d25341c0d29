"""Trouble: what keeps a page from being shown."""

from __future__ import annotations


class Trouble(Exception):
    """What keeps a page from being shown, or a part of it: a ``status`` of HTTP and a sentence for the user."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
