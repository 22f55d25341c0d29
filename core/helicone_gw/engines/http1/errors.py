"""What is wrong with a message, on either side."""

from __future__ import annotations


class BadMessage(Exception):
    """A client's message that is refused with ``status``; ``reason`` is a sentence that quotes nothing of it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class BadAnswer(Exception):
    """An application's answer that cannot be sent as it is."""
