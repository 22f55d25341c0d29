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

_TWICE = str.maketrans("0123456789", "0246813579")
"""Twice a digit, and the digits of that summed up."""
_AS_NUMBERS = {ord(char): str(int(char, 36)) for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}

_DIHEDRAL = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
]
_PERMUTED = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
]


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = digits[-2::-2].translate(_TWICE)
    return (sum(map(int, digits[::-2])) + sum(map(int, doubled))) % 10 == 0


def verhoeff(digits: str) -> bool:
    """Verhoeff's checksum over the dihedral group of order 10."""
    state = 0
    for place, digit in enumerate(reversed(digits)):
        state = _DIHEDRAL[state][_PERMUTED[place % 8][int(digit)]]
    return state == 0


def mod97(text: str) -> bool:
    """ISO 7064 MOD 97-10 as IBANs have it (ISO 13616): capital letters and digits, the country and sum in front."""
    return int((text[4:] + text[:4]).translate(_AS_NUMBERS)) % 97 == 1


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
