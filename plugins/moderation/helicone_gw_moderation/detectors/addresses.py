"""Addresses: of mail, telephones, accounts, machines and coins."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

from helicone_gw_moderation.detectors.checksums import base58check, bech32, mod97
from helicone_gw_moderation.detectors.secrets import Place
from helicone_gw_moderation.detectors.tables import table

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]{1,64}\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.){1,6}[A-Za-z]{2,24}(?![A-Za-z0-9\-])")
_PHONE = re.compile(r"(?<![\w+.])\+[1-9](?:[ ().\-/]{0,2}\d){6,14}(?!\d)")
_DIGITS = re.compile(r"\d+")
_IBAN = re.compile(r"[A-Z](?<![0-9A-Za-z].)[A-Z]\d{2}(?=[ \-]?[0-9A-Z])")
_BETWEEN = re.compile("[ \\-\u00a0]")
_IPV4 = re.compile(r"\d(?<![\w.\-].)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?![\w\-]|\.\d)")
_IPV6 = re.compile(r"[0-9a-fA-F:](?<![\w:.].)(?:(?<=:)|(?=[0-9a-fA-F]{0,3}:))[0-9a-fA-F:]{3,38}(?![\w:])")
_BITCOIN = re.compile(r"[13](?<![0-9A-Za-z].)[1-9A-HJ-NP-Za-km-z]{25,34}(?![0-9A-Za-z])")
_SEGWIT = re.compile(r"(?<![0-9A-Za-z])(?:bc1|BC1|tb1|ltc1)[0-9A-Za-z]{11,71}(?![0-9A-Za-z])")
_ETHEREUM = re.compile(r"(?<![0-9A-Za-z])0x[0-9a-fA-F]{40}(?![0-9A-Za-z])")
_RESERVED = ("example.com", "example.org", "example.net", ".example", ".invalid", ".test", ".localhost")


def emails(text: str) -> Iterator[Place]:
    """Mail addresses (RFC 5321, without quoted local parts); not those of names that RFC 2606 reserves."""
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(0, at - 64), at)
        domain = _DOMAIN.match(text, at + 1, at + 256)
        if local is not None and domain is not None:
            # What quotes, brackets or a scheme leave in front belongs to no address.
            start = local.start() + len(local[0]) - len(local[0].lstrip("'`{|}=&?*/.!#$%^~-"))
            whole = text[start:at]
            if whole and ".." not in whole and not whole.endswith(".") and not domain[0].lower().endswith(_RESERVED):
                yield start, domain.end(), "email"
        at = text.find("@", at + 1)


def phones(text: str) -> Iterator[Place]:
    """Telephone numbers in international form (E.164): a known calling code with as many digits as its country has."""
    if "+" not in text:
        return
    codes: dict[str, list[int]] = table("countries")["calling"]
    for match in _PHONE.finditer(text):
        # A number may be followed by another one: the longest row of groups that is right for its country.
        ends = [group.end() for group in _DIGITS.finditer(match[0])]
        for end in reversed(ends):
            digits = "".join(filter(str.isdigit, match[0][:end]))
            if _dialled(digits, codes):
                yield match.start(), match.start() + end, "phone"
                break


def _dialled(digits: str, codes: dict[str, list[int]]) -> bool:
    for size in (1, 2, 3):
        limits = codes.get(digits[:size])
        if limits is not None:
            # The "(0)" of some is not dialled from abroad.
            sizes = {len(digits) - size, len(digits) - size - (digits[size : size + 1] == "0")}
            return any(limits[0] <= count <= limits[1] for count in sizes) and len(set(digits)) > 2
    return False


def ibans(text: str) -> Iterator[Place]:
    """IBANs (ISO 13616): the country's length, MOD 97-10, written together or in groups."""
    lengths: dict[str, int] = table("countries")["iban"]
    for match in _IBAN.finditer(text):
        wanted = lengths.get(match[0][:2])
        if wanted is None:
            continue
        whole = _account(wanted).match(text, match.start())
        if whole is not None and mod97(_BETWEEN.sub("", whole[0])):
            yield match.start(), whole.end(), "iban"


@cache
def _account(size: int) -> re.Pattern[str]:
    """So many capitals and digits, with at most one space or dash between two."""
    return re.compile(rf"[A-Z](?:[ \-\u00a0]?[0-9A-Z]){{{size - 1}}}(?![0-9A-Za-z])")


def ip_addresses(text: str) -> Iterator[Place]:
    """Addresses of IPv4 and IPv6 that are routed in public; private and reserved ones are nobody's."""
    patterns = ([_IPV4] if "." in text else []) + ([_IPV6] if ":" in text else [])
    for pattern in patterns:
        for match in pattern.finditer(text):
            if pattern is _IPV6 and match[0].count(":") < 2:
                continue
            try:
                address = ipaddress.ip_address(match[0])
            except ValueError:
                continue
            if address.is_global:
                yield match.start(), match.end(), "ip_address"


def coins(text: str) -> Iterator[Place]:
    """Addresses of Bitcoin (Base58Check, Bech32) and Ethereum."""
    for match in _BITCOIN.finditer(text):
        payload = base58check(match[0])
        if payload is not None and len(payload) == 21 and payload[0] in (0x00, 0x05):
            yield match.start(), match.end(), "bitcoin_address"
    for match in _SEGWIT.finditer(text) if "c1" in text or "C1" in text or "b1" in text else ():
        if bech32(match[0]):
            yield match.start(), match.end(), "bitcoin_address"
    if "0x" in text:
        for match in _ETHEREUM.finditer(text):
            yield match.start(), match.end(), "ethereum_address"


FINDERS: Mapping[str, Callable[[str], Iterator[Place]]] = {
    "email": emails,
    "phone": phones,
    "iban": ibans,
    "ip_address": ip_addresses,
    "crypto_address": coins,
}
"""What a rule's ``finder`` may name, for personal data."""
