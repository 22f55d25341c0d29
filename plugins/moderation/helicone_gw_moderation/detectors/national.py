"""National identity numbers, cards and telephone numbers: what each country's issuer says of its own."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from functools import cache

from helicone_gw_moderation.detectors.checksums import luhn, mod11_10, verhoeff, weighted
from helicone_gw_moderation.detectors.tables import table

_NOT_ALNUM = re.compile(r"[^0-9A-Za-z]")
_NINO_PREFIXES = {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"}
_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_CF_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_CF_MONTHS = "ABCDEHLMPRST"


def compact(text: str) -> str:
    """``text`` without its separators."""
    return _NOT_ALNUM.sub("", text)


def card(text: str) -> bool:
    """A payment card: an issuer's range with that issuer's length, and Luhn's sum."""
    digits = compact(text)
    return len(digits) in _issuers().get(digits[:4], ()) and luhn(digits) and len(set(digits)) > 1


@cache
def _issuers() -> dict[str, frozenset[int]]:
    """The lengths of cards by their first four digits."""
    lengths: dict[str, frozenset[int]] = {}
    for low, high, of_issuer in table("cards")["ranges"]:
        for prefix in range(int(low.ljust(4, "0")), int(high.ljust(4, "9")) + 1):
            lengths[f"{prefix:04d}"] = lengths.get(f"{prefix:04d}", frozenset()) | frozenset(of_issuer)
    return lengths


def us_ssn(text: str) -> bool:
    """No area 000, 666 or 9xx, no group 00, no serial 0000; nor the numbers of well-known advertisements (SSA)."""
    digits = compact(text)
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    issued = area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"
    return issued and digits not in ("078051120", "219099999", "123456789")


def us_itin(text: str) -> bool:
    """Begins with 9, and a group in the ranges that the IRS gives out."""
    digits = compact(text)
    group = int(digits[3:5])
    return digits[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


def uk_nino(text: str) -> bool:
    """HMRC's rules for the prefix, and a suffix from A to D."""
    number = compact(text)
    prefix = number[:2]
    letters = prefix.isupper() and prefix[0] not in "DFIQUV" and prefix[1] not in "DFIOQUV"
    return letters and prefix not in _NINO_PREFIXES and number[-1] in "ABCD"


def uk_nhs(text: str) -> bool:
    """Ten digits, modulus 11."""
    digits = compact(text)
    check = 11 - weighted(digits, range_down(10, 9)) % 11
    return check != 10 and check % 11 == int(digits[9]) and len(set(digits)) > 1


def de_steuer_id(text: str) -> bool:
    """Eleven digits: of the first ten one digit comes twice or thrice; ISO 7064 MOD 11,10."""
    digits = compact(text)
    if digits[0] == "0":
        return False
    counts = sorted(Counter(digits[:10]).values(), reverse=True)
    return counts[0] in (2, 3) and counts[1] == 1 and mod11_10(digits)


def fr_nir(text: str) -> bool:
    """Fifteen characters: sex, year, month, department (2A and 2B in Corsica), and 97 minus the rest by 97."""
    number = compact(text).upper()
    body, key = number[:13].replace("2A", "19", 1).replace("2B", "18", 1), number[13:]
    if number[5:7] not in ("2A", "2B"):
        body = number[:13]
    if not (body.isdigit() and key.isdigit()):
        return False
    month = int(body[3:5])
    return body[0] in "12" and (1 <= month <= 12 or month in (20, 30, 31, 42)) and 97 - int(body) % 97 == int(key)


def es_dni(text: str) -> bool:
    """DNI and NIE: the letter is the number modulo 23; X, Y, Z stand for 0, 1, 2."""
    number = compact(text)
    first = {"X": "0", "Y": "1", "Z": "2"}.get(number[0], number[0])
    digits = first + number[1:-1]
    return digits.isdigit() and _DNI[int(digits) % 23] == number[-1]


def it_codice_fiscale(text: str) -> bool:
    """Sixteen characters: consonants, year, month letter, day (plus 40 for women), place, and a check letter."""
    code = compact(text)
    if code != code.upper() or code[8] not in _CF_MONTHS or not 1 <= int(code[9:11]) % 40 <= 31:
        return False
    total = 0
    for place, char in enumerate(code[:15]):
        value = int(char) if char.isdigit() else ord(char) - ord("A")
        total += value if place % 2 else _CF_ODD[value]
    return chr(ord("A") + total % 26) == code[15]


def pl_pesel(text: str) -> bool:
    """A date of birth (the century in the month), a serial, and weights 1, 3, 7, 9."""
    digits = compact(text)
    year, month, day = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}.get(month // 20)
    if century is None or not _is_date(century + year, month % 20, day):
        return False
    return (10 - weighted(digits, "1379137913") % 10) % 10 == int(digits[10])


def br_cpf(text: str) -> bool:
    """Eleven digits, the last two by modulus 11; not all the same."""
    digits = compact(text)
    if len(set(digits)) == 1:
        return False
    return all(weighted(digits, range_down(size + 1, size)) * 10 % 11 % 10 == int(digits[size]) for size in (9, 10))


def nl_bsn(text: str) -> bool:
    """Nine digits, the "eleven test" whose last weight is -1."""
    digits = compact(text)
    return len(set(digits)) > 1 and weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def in_aadhaar(text: str) -> bool:
    """Twelve digits, the first not 0 or 1, Verhoeff's sum."""
    digits = compact(text)
    return digits[0] not in "01" and len(set(digits)) > 1 and verhoeff(digits)


def in_pan(text: str) -> bool:
    """Five letters (the fourth says what kind of person), four digits, a letter."""
    return text == text.upper() and text[3] in "PCHFATBLJGK"


def se_personnummer(text: str) -> bool:
    """A date of birth and Luhn's sum over ten digits."""
    digits = compact(text)[-10:]
    return _is_date(2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:6])) and luhn(digits)


def be_national(text: str) -> bool:
    """Eleven digits; 97 minus the first nine by 97, with a 2 before them for who was born since 2000."""
    digits = compact(text)
    if not (1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) <= 31):
        return False
    return int(digits[9:]) in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def ch_ahv(text: str) -> bool:
    """Thirteen digits from 756 on, with the check digit of EAN-13."""
    digits = compact(text)
    return digits.startswith("756") and weighted(digits, "1313131313131") % 10 == 0


def tr_kimlik(text: str) -> bool:
    """Eleven digits: the tenth by the odd and even places, the last by the sum of all."""
    digits = [int(digit) for digit in compact(text)]
    tenth = (sum(digits[0:9:2]) * 7 - sum(digits[1:8:2])) % 10
    return digits[0] != 0 and digits[9] == tenth and sum(digits[:10]) % 10 == digits[10]


def cn_resident(text: str) -> bool:
    """Eighteen characters: a region, a date of birth, and ISO 7064 MOD 11-2."""
    number = text.upper()
    if not number[:17].isdigit() or not _is_date(int(number[6:10]), int(number[10:12]), int(number[12:14])):
        return False
    return "10X98765432"[weighted(number[:17], [2**place % 11 for place in range(17, 0, -1)]) % 11] == number[17]


def kr_rrn(text: str) -> bool:
    """A date of birth, a digit for sex and century, and modulus 11 (numbers given out before October 2020)."""
    digits = compact(text)
    if not (1 <= int(digits[2:4]) <= 12 and 1 <= int(digits[4:6]) <= 31 and digits[6] in "12345678"):
        return False
    return (11 - weighted(digits, "234567892345") % 11) % 10 == int(digits[12])


def ca_sin(text: str) -> bool:
    """Nine digits, not from 0 or 8, Luhn's sum."""
    digits = compact(text)
    return digits[0] not in "08" and len(set(digits)) > 1 and luhn(digits)


def au_tfn(text: str) -> bool:
    """Nine digits, weighted, modulus 11."""
    digits = compact(text)
    return len(set(digits)) > 1 and weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def nanp_phone(text: str) -> bool:
    """A number of the North American plan: neither area nor exchange begins with 0 or 1, and neither is N11."""
    digits = compact(text)[-10:]
    area, exchange = digits[:3], digits[3:6]
    return all(part[0] not in "01" and part[1:] != "11" for part in (area, exchange))


def national_phone(text: str) -> bool:
    """As it is dialled within a country, often with the trunk's 0 in front; not one digit over and over."""
    digits = compact(text)
    return len(set(digits)) > 2 and (digits[0] == "0" or digits[0] in "15679")


def range_down(first: int, count: int) -> list[int]:
    """``count`` weights from ``first`` downwards."""
    return list(range(first, first - count, -1))


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
