"""Request targets (RFC 9112 section 3.2): which path a request is for, in which form it may say so."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from helicone_gw.engines.http1.errors import BadMessage

_ABSOLUTE = re.compile(rb"https?://(?P<authority>[^/?#@]+)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


class Target(NamedTuple):
    """A request target, taken apart."""

    path: str
    """Percent-decoded; bytes that are no UTF-8 become U+FFFD."""
    raw_path: bytes
    query: bytes
    host: bytes | None
    """The authority of an absolute target, which goes before the field Host."""


def parse_target(target: bytes, method: str) -> Target:
    """Take ``target`` apart. Raises `BadMessage` for a form that an origin server does not serve."""
    host: bytes | None = None
    if not target.startswith(b"/"):
        if target == b"*":
            if method != "OPTIONS":
                raise BadMessage(400, "The target * is for OPTIONS alone.")
            return Target("*", b"*", b"", None)
        absolute = _ABSOLUTE.fullmatch(target)
        if absolute is None or not valid_host(absolute["authority"]):
            raise BadMessage(400, "The request target is neither a path nor an http address.")
        host, target = absolute["authority"], absolute["rest"]
        if not target and method == "OPTIONS":
            return Target("*", b"*", b"", host)
        if not target.startswith(b"/"):
            target = b"/" + target
    if b"#" in target:
        raise BadMessage(400, "A request target has no fragment.")
    raw_path, _, query = target.partition(b"?")
    path = raw_path.decode("ascii")
    return Target(unquote(path) if "%" in path else path, raw_path, query, host)


def valid_host(host: bytes) -> bool:
    """Whether ``host`` may be the value of a Host field (RFC 9110 section 7.2): a host, perhaps with a port."""
    return _HOST.fullmatch(host) is not None
