"""Secrets that need more than an expression: their checks, and those that are long."""

from __future__ import annotations

import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from helicone_gw_moderation.detectors.base import MAX_FINDING
from helicone_gw_moderation.detectors.checksums import base58check, bech32, crc32_base62, crc32_hex

_LINE_END = r"(?:\\[rn]|\s){0,4}+"
_PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    + _LINE_END
    + r"(?:[A-Za-z\-]{4,20}: [^\n\\]{1,100}"
    + _LINE_END
    + "){0,4}+"
    r"(?=[A-Za-z0-9+/=]{16})"
)
_PEM_BODY = re.compile(
    f"(?:{_LINE_END}[A-Za-z0-9+/=]{{16,}}+)*+(?:{_LINE_END}[A-Za-z0-9+/=]{{1,76}}+)?+"
    f"(?:{_LINE_END}-----END [A-Z0-9 ]{{0,40}}PRIVATE KEY(?: BLOCK)?-----)?"
)
_PEM_GOES_ON = re.compile(_LINE_END + r"(?:\\|-{1,5}[A-Z ]{0,60}-{0,4})?\Z")
"""What may stand at the end of a text in which a key has not ended."""
_JWT = re.compile(r"(?<![A-Za-z0-9_\-.])(eyJ[A-Za-z0-9_\-]{10,400})\.(?=[A-Za-z0-9_\-]{8})")
_JWT_REST = re.compile(r"[A-Za-z0-9_\-]++(?:\.[A-Za-z0-9_\-]++){0,3}+")
_JWE_DOTS = 4
_BITS_WANTED = 3.0

Place = tuple[int, int, str]
"""Start, end, and the label."""


def private_keys(text: str) -> Iterator[Place]:
    """PEM private keys (RFC 7468), with real line ends or written as ``\\n``; as far as they go in ``text``."""
    if "PRIVATE KEY" not in text:
        return
    for begin in _PEM.finditer(text):
        limit = min(len(text), begin.start() + MAX_FINDING)
        rest = _PEM_BODY.match(text, begin.end(), limit)
        end = rest.end() if rest else begin.end()
        if not text.endswith("-----", begin.end(), end) and _PEM_GOES_ON.match(text, end):
            end = limit
        yield begin.start(), end, "private_key"


def json_web_tokens(text: str) -> Iterator[Place]:
    """JWTs (RFC 7519) and other compact JOSE forms: the first part is a JSON object that names an algorithm."""
    if "eyJ" not in text:
        return
    for token in _JWT.finditer(text):
        if not _jose_header(token[1]):
            continue
        rest = _JWT_REST.match(text, token.end(), min(len(text), token.start() + MAX_FINDING))
        end = rest.end() if rest else token.end()
        more = text.endswith(".", end) and end + 1 == len(text) and text.count(".", token.start(), end) < _JWE_DOTS
        yield token.start(), end + more, "jwt"


def _jose_header(part: str) -> bool:
    try:
        header = json.loads(binascii.a2b_base64(part.replace("-", "+").replace("_", "/") + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and isinstance(header.get("alg"), str)


def entropy(text: str) -> float:
    """Shannon's entropy of the characters, in bits for each."""
    size = len(text)
    return -sum(count / size * math.log2(count / size) for count in Counter(text).values())


def _random(text: str) -> bool:
    """Long runs that somebody drew by lot: many different characters, and no placeholder."""
    lowered = text.lower()
    placeholder = any(word in lowered for word in ("example", "xxxx", "your", "changeme", "placeholder", "<", "${"))
    return entropy(text) >= _BITS_WANTED and not placeholder


def _no_placeholder(text: str) -> bool:
    lowered = text.lower()
    return not any(
        word in lowered for word in ("password", "example", "xxx", "your", "changeme", "secret", "pass", "***")
    )


def _mixed(text: str) -> bool:
    """As `_random`, and with both letters and digits."""
    return _random(text) and any(map(str.isdigit, text)) and any(map(str.isalpha, text))


CHECKS: Mapping[str, Callable[[str], bool]] = {
    "crc32_base62": lambda token: crc32_base62(token[-36:-6], token[-6:]),
    "crc32_hex_grafana": lambda token: crc32_hex(token[5:-9], token[-8:]),
    "random": _random,
    "mixed": _mixed,
    "no_placeholder": _no_placeholder,
    "wif": lambda key: (payload := base58check(key)) is not None and payload[:1] in (b"\x80", b"\xef"),
    "bech32": bech32,
}
"""What a rule's ``check`` may name, for secrets."""

FINDERS: Mapping[str, Callable[[str], Iterator[Place]]] = {"private_key": private_keys, "jwt": json_web_tokens}
