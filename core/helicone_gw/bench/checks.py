"""Is an answer the right one: status, bytes, and for a stream every event, intact and in order, up to ``[DONE]``."""

from __future__ import annotations

import msgspec

from helicone_gw.bench.workload import DONE, TOKEN, Script, reply_body, stream_events

OK = 200


class Check:
    """Checks the answers to one script.

    ``exact`` asks for the provider's very bytes, as from a gateway that passes them through. Otherwise an answer may be
    encoded anew, as several peers do, but must have every token, each event must be JSON, and nothing may be missing.
    """

    def __init__(self, script: Script, *, exact: bool) -> None:
        self._exact = exact
        self._streams = bool(script.events)
        events = stream_events(script.events)
        self._bytes = b"".join(events) if self._streams else reply_body(script.reply)
        self._tokens = TOKEN.findall(self._bytes)
        self._events = len(events) if self._streams else 0

    def fault(self, status: int, body: bytes) -> str | None:
        """What is wrong with an answer, in two or three words; ``None`` when nothing is."""
        if status != OK:
            return f"status {status}"
        if body == self._bytes:
            return None
        return self._stream_fault(body) if self._streams else self._reply_fault(body)

    def events(self, body: bytes) -> int:
        """How many events a stream's body has, ``[DONE]`` among them; 0 for a reply."""
        if not self._streams:
            return 0
        return self._events if body == self._bytes else body.count(b"\ndata:") + body.startswith(b"data:")

    def _reply_fault(self, body: bytes) -> str | None:
        if self._exact:
            return "wrong length" if len(body) != len(self._bytes) else "bytes differ"
        if not _is_json(body):
            return "not JSON"
        return None if TOKEN.findall(body) == self._tokens else "text differs"

    def _stream_fault(self, body: bytes) -> str | None:
        if not body.rstrip().endswith(DONE.rstrip()):
            return "no [DONE]"
        tokens = TOKEN.findall(body)
        if tokens != self._tokens:
            if len(set(tokens)) < len(tokens):
                return "event repeated"
            if sorted(tokens) == self._tokens:
                return "events out of order"
            return "event missing"
        if self._exact:
            return "bytes differ"
        events = body.replace(b"\r\n", b"\n").rstrip().split(b"\n\n")
        data = [event.removeprefix(b"data:").strip() for event in events if event.startswith(b"data:")]
        return None if all(_is_json(event) for event in data[:-1]) else "event corrupted"


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
