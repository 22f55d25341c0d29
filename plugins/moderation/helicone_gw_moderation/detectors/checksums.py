"""Checksums: whether a string of digits or letters is one that somebody issued, or just looks like it."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_SUMS = (1, 0x2BC830A3)  # bech32 (BIP 173), bech32m (BIP 350)
_BECH32_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)

_DIHEDRAL = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED = (
    "0123456789", "1576283094", "5803796142", "8916043527", "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def verhoeff(digits: str) -> bool:
    """Verhoeff's checksum over the dihedral group of order 10."""
    state = 0
    for place, digit in enumerate(reversed(digits)):
        state = int(_DIHEDRAL[state][int(_PERMUTED[place % 8][int(digit)])])
    return state == 0


def mod97(text: str) -> bool:
    """ISO 7064 MOD 97-10 as IBANs have it (ISO 13616): capital letters and digits, the country and sum in front."""
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def mod11_10(digits: str) -> bool:
    """ISO 7064 MOD 11,10."""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def weighted(digits: str, weights: Iterable[int | str]) -> int:
    """The sum of the digits, each times its weight."""
    return sum(int(digit) * int(weight) for digit, weight in zip(digits, weights, strict=False))


def crc32_base62(body: str, sum_: str) -> bool:
    """Whether ``sum_`` is the CRC-32 of ``body`` in base 62: how tokens of GitHub and npm end."""
    rest, written = zlib.crc32(body.encode()), ""
    while rest:
        rest, digit = divmod(rest, 62)
        written = _BASE62[digit] + written
    return written.rjust(len(sum_), "0") == sum_


def crc32_hex(body: str, sum_: str) -> bool:
    """Whether ``sum_`` is the CRC-32 of ``body`` in eight hexadecimal digits."""
    return f"{zlib.crc32(body.encode()):08x}" == sum_.lower()


def base58check(text: str) -> bytes | None:
    """The payload of a Base58Check string (with its version byte), ``None`` when the sum is wrong."""
    number = 0
    for char in text:
        if (digit := _BASE58.find(char)) < 0:
            return None
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")
    payload, given = data[:-4], data[-4:]
    return payload if hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4] == given else None


def bech32(text: str) -> bool:
    """Whether the sum of a Bech32 or Bech32m string is right; one case only, as BIP 173 has it."""
    if text.lower() != text and text.upper() != text:
        return False
    prefix, _, data = text.lower().rpartition("1")
    if not prefix or len(data) < 6 or set(data) - set(_BECH32):
        return False
    values = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    state = 1
    for value in values + [_BECH32.index(char) for char in data]:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_BECH32_GENERATOR):
            state ^= generator if top >> bit & 1 else 0
    return state in _BECH32_SUMS
