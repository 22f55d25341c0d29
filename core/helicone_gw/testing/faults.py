"""Answers that no provider should give and that some give all the same, whatever the dialect."""

from __future__ import annotations

from helicone_gw.testing.script import ScriptedResponse, event, of_bytes, of_events

_GATEWAY_PAGE = b"""<html>\r
<head><title>502 Bad Gateway</title></head>\r
<body>\r
<center><h1>502 Bad Gateway</h1></center>\r
<hr><center>cloudflare</center>\r
</body>\r
</html>\r
"""


def malformed_json(status: int = 200) -> ScriptedResponse:
    """A JSON answer that stops in the middle of a string, with the framing intact."""
    return of_bytes(b'{"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"mess', "application/json", status)


def wrong_json(status: int = 200) -> ScriptedResponse:
    """Valid JSON of a shape that no dialect has: an array."""
    return of_bytes(b'[1, "two", null]', "application/json", status)


def html(status: int = 502) -> ScriptedResponse:
    """The page of a proxy in front of the provider."""
    return of_bytes(_GATEWAY_PAGE, "text/html; charset=UTF-8", status)


def empty(status: int = 200) -> ScriptedResponse:
    """No body and no content type."""
    return ScriptedResponse(status=status)


def junk() -> ScriptedResponse:
    """Bytes that are not HTTP."""
    return ScriptedResponse(raw=b"\x16\x03\x01 this is not the protocol you are looking for\r\n\r\n")


def malformed_events(*around: bytes) -> ScriptedResponse:
    """A stream of what is not an event of any dialect, between the first of ``around`` and the others.

    JSON that is cut short, JSON that is no object, bytes that are not UTF-8, a field without a name, an event without
    data, a comment, and at the very end an event without its blank line.
    """
    return of_events(
        *around[:1],
        event(b'{"id": "chatcmpl-1", "choi'),
        event(b'"a string"'),
        event(b"\xff\xfe\xfd"),
        b": a comment\n\n",
        b"event: nothing\n\n",
        b"no colon in this line\n\n",
        *around[1:],
        b'data: {"unfinished": true}\n',
    )


def other_line_ends(stream: ScriptedResponse, newline: bytes = b"\r\n") -> ScriptedResponse:
    """``stream`` with its line feeds as ``newline``: the standard also allows CR LF and CR alone."""
    return of_events(*(part.replace(b"\n", newline) for part in stream.parts)).with_headers(dict(stream.headers))
