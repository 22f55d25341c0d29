"""Secrets and personal data: what is found, where, and what only looks like it."""

from __future__ import annotations

from random import Random

import pytest

from helicone_gw_moderation.detectors import checksums as sums
from helicone_gw_moderation.detectors.detector import CHECKS, build_detectors
from helicone_gw_moderation.measuring.samples import PERSONAL, SECRETS, near_miss, secret_of

SECRET, PII = build_detectors(("secrets", "pii"))


@pytest.mark.parametrize("label", SECRETS)
def test_a_secret_is_found_where_it_stands_and_its_near_miss_is_not(label: str) -> None:
    random = Random(label)
    for around in ("{}", "Use {} now.", '{{"key": "{}"}}', "密钥是{}。"):
        value = SECRETS[label](random)
        text = around.format(value)
        (finding,) = SECRET.find(text)
        assert (finding.label, text[finding.start : finding.end]) == (label, secret_of(label, value))
        assert SECRET.find(around.format(near_miss(label, value, random))) == []


@pytest.mark.parametrize("label", PERSONAL)
def test_personal_data_is_found_where_it_stands_and_its_near_miss_is_not(label: str) -> None:
    random = Random(label)
    context, make = PERSONAL[label]
    for around in ("{} {}", "My {} is {}.", "{}: ({})"):
        value = make(random)
        text = around.format(context, value)
        found = [text[finding.start : finding.end] for finding in PII.find(text) if finding.label == label]
        assert found == [value]
        missed = around.format(context, near_miss(label, value, random))
        assert label not in [finding.label for finding in PII.find(missed)]


@pytest.mark.parametrize(
    ("check", "valid"),
    [
        ("card", "4111 1111 1111 1111"),  # the networks' own test numbers
        ("card", "378282246310005"),
        ("card", "6011111111111117"),
        ("us_ssn", "219-09-9998"),
        ("uk_nino", "AB123456C"),
        ("uk_nhs", "943 476 5919"),  # the NHS data dictionary's example
        ("de_steuer_id", "86095742719"),  # the tax office's example
        ("fr_nir", "255081416802538"),
        ("es_dni", "12345678Z"),
        ("es_dni", "X1234567L"),
        ("it_codice_fiscale", "RSSMRA85T10A562S"),
        ("pl_pesel", "44051401359"),
        ("br_cpf", "111.444.777-35"),
        ("nl_bsn", "111222333"),
        ("in_aadhaar", "2341 2341 2346"),
        ("se_personnummer", "811218-9876"),
        ("be_national", "85.07.30-033.28"),
        ("ch_ahv", "756.9217.0769.85"),
        ("tr_kimlik", "10000000146"),
        ("cn_resident", "11010519491231002X"),
        ("ca_sin", "130 692 544"),
        ("au_tfn", "123 456 782"),
        ("nanp_phone", "(415) 555-2671"),
    ],
)
def test_published_examples_are_valid_and_any_other_last_character_is_not(check: str, valid: str) -> None:
    assert CHECKS[check](valid)
    if check in ("us_ssn", "nanp_phone", "uk_nino"):
        return
    last = valid[-1]
    alphabet = "0123456789" if last.isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    others = [valid[:-1] + char for char in alphabet if char != last]
    assert not any(CHECKS[check](other) for other in others)


def test_checksums_of_published_examples() -> None:
    token = "zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq17"  # GitHub's own, of the announcement of the format
    assert sums.crc32_base62(token[:30], token[30:])
    assert not sums.crc32_base62(token[:30], token[30:-1] + "8")
    assert sums.mod97("GB82WEST12345698765432")
    assert not sums.mod97("GB83WEST12345698765432")
    assert sums.base58check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa") is not None
    assert sums.base58check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb") is None
    assert sums.bech32("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4")  # BIP 173
    assert sums.bech32("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0")  # BIP 350
    assert not sums.bech32("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Write to jane.doe+news@mail.helvetia-post.ch.", ["email"]),
        ("Write to jane@example.com, or to a@b, or @jane.", []),
        ("Call +1 415 555 2671 or +44 (0)20 7946 0958.", ["phone", "phone"]),
        ("Call (415) 555-2671.", ["phone"]),
        ("Sum: +123456789012345, or +1 2.", []),
        ("Tel. 0151 23456789", ["phone"]),
        ("Serial 0151 23456789", []),
        ("From 93.184.216.34 to 2606:2800:220:1:248:1893:25c8:1946", ["ip_address", "ip_address"]),
        ("From 127.0.0.1 or 10.1.2.3 by ::1, version 1.2.3.4.5, at 12:30:45", []),
        ("Konto DE89 3704 0044 0532 0130 00.", ["iban"]),
        ("Konto DE88 3704 0044 0532 0130 00.", []),
        ("The number 4111111111111111", ["credit_card"]),
        ("0.4111111111111111 or 4111111111111111.5 or id-4111111111111111 or 94111111111111111", []),
        ("0x52908400098527886E0F7030069857D2E4169EE7", ["ethereum_address"]),
        ("PESEL: 44051401359", ["pl_pesel"]),
        ("The invoice 44051401359", []),
    ],
)
def test_what_is_personal_data_and_what_is_not(text: str, labels: list[str]) -> None:
    assert [finding.label for finding in PII.find(text)] == labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("AKIAIOSFODNN7EXAMPLE", []),
        ("xAKIA" + "2E0A8F3B244C9986", []),
        ("postgres://user:password@localhost/db", []),
        ("postgres://app:Kw93nfLq@db.internal/x", ["connection_string"]),
        ("-----BEGIN PRIVATE KEY----- is how such files begin, and then come letters", []),
        ("eyJub25lIjoxfQ.eyJub25lIjoxfQ.c2lnbmF0dXJl", []),  # no "alg"
        ("password = 'q9Xk2LmP7vRt4wZs'", []),
    ],
)
def test_what_is_a_secret_and_what_is_not(text: str, labels: list[str]) -> None:
    assert [finding.label for finding in SECRET.find(text)] == labels


def test_generic_secrets_are_found_when_asked_for() -> None:
    (asked,) = build_detectors(("secrets",), on=("generic_secret",))
    (finding,) = asked.find("password = 'q9Xk2LmP7vRt4wZs'")
    assert (finding.label, finding.start, finding.end) == ("generic_secret", 12, 28)
    assert asked.find("password = 'your-password-here'") == []


def test_what_is_switched_off_is_not_found() -> None:
    (detector,) = build_detectors(("pii",), off=("phone", "us_*"))
    assert {"phone", "us_ssn"}.isdisjoint(detector.finds)  # type: ignore[attr-defined]
    assert detector.find("SSN 219-09-9998, call +1 415 555 2671") == []


def test_a_private_key_is_found_with_escaped_line_ends_and_with_headers() -> None:
    key, body = "PRIVATE KEY", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
    for text in (
        f'"-----BEGIN {key}-----\\n{body}\\n{body}\\n-----END {key}-----\\n"',
        f"-----BEGIN RSA {key}-----\nDEK-Info: AES-128-CBC,00\n\n{body}\n-----END RSA {key}-----",
    ):
        (finding,) = SECRET.find(text)
        assert text[finding.start : finding.end].startswith("-----BEGIN")
        assert text[finding.start : finding.end].endswith("KEY-----")


def test_a_half_of_a_character_hides_nothing() -> None:
    text = "\ud83d " + SECRETS["github_token"](Random(1)) + " \udc00"
    (finding,) = SECRET.find(text)
    assert (finding.start, finding.end) == (2, len(text) - 2)
    assert [detector.find("\ud83d") for detector in (SECRET, PII)] == [[], []]
