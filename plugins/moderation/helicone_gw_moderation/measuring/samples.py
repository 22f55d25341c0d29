"""Made-up secrets and personal data, drawn by lot: with valid checksums, and near misses of the same form."""

from __future__ import annotations

import base64
import hashlib
import json
import string
import zlib
from collections.abc import Callable, Mapping
from random import Random

from helicone_gw_moderation.detectors.detector import CHECKS
from helicone_gw_moderation.detectors.tables import table

_ALNUM = string.digits + string.ascii_uppercase + string.ascii_lowercase
_URL = _ALNUM + "-_"
_HEX = "0123456789abcdef"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

Make = Callable[[Random], str]


def _some(random: Random, alphabet: str, size: int) -> str:
    """Letters and digits of ``alphabet``, at least one of each where it has both."""
    while True:
        text = "".join(random.choices(alphabet, k=size))
        if len(set(text)) > min(size, 12) // 2 and any(map(str.isdigit, text)) and any(map(str.isalpha, text)):
            return text


def _crc(prefix: str) -> Make:
    def make(random: Random) -> str:
        body = _some(random, _ALNUM, 30)
        rest, sum_ = zlib.crc32(body.encode()), ""
        while rest:
            rest, digit = divmod(rest, 62)
            sum_ = _ALNUM[digit] + sum_
        return prefix + body + sum_.rjust(6, "0")

    return make


def _plain(*parts: str | tuple[str, int]) -> Make:
    return lambda random: "".join(part if isinstance(part, str) else _some(random, *part) for part in parts)


def _grafana(random: Random) -> str:
    body = _some(random, _ALNUM, 32)
    return f"glsa_{body}_{zlib.crc32(body.encode()):08x}"


def _jwt(random: Random) -> str:
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": _some(random, _HEX, 12), "iat": random.randrange(10**9)}]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*texts, _some(random, _URL, 43)])


def _private_key(random: Random) -> str:
    body = base64.b64encode(random.randbytes(1190)).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    mark = "RSA PRIVATE KEY"
    return "\n".join([f"-----BEGIN {mark}-----", *lines, f"-----END {mark}-----"])


def _base58(payload: bytes) -> str:
    data = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def _iban(random: Random) -> str:
    country = random.choice(sorted(table("countries")["iban"]))
    body = "".join(random.choices(string.digits, k=table("countries")["iban"][country] - 4))
    number = int("".join(str(int(char, 36)) for char in body + country + "00"))
    text = f"{country}{98 - number % 97:02d}{body}"
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4)) if random.random() < 0.5 else text


def shaped(form: str, check: str) -> Make:
    """Something of the form (``9`` a digit, ``A`` a capital) that passes the check of this name, found by trying."""

    def make(random: Random) -> str:
        while True:
            text = "".join(
                random.choice(string.digits if char == "9" else string.ascii_uppercase) if char in "9A" else char
                for char in form
            )
            if CHECKS[check](text):
                return text

    return make


def _card(random: Random) -> str:
    while True:
        digits = random.choice("45") + str(random.randrange(1, 6)) + "".join(random.choices(string.digits, k=14))
        if CHECKS["card"](digits):
            return " ".join(digits[at : at + 4] for at in range(0, 16, 4)) if random.random() < 0.5 else digits


def _pesel(random: Random) -> str:
    return _until(lambda: f"{random.randrange(100):02d}{random.randrange(1, 13):02d}{random.randrange(1, 29):02d}"
                  f"{random.randrange(10**5):05d}", "pl_pesel")  # fmt: skip


def _dated(form: Callable[[Random], str], check: str) -> Make:
    return lambda random: _until(lambda: form(random), check)


def _until(draw: Callable[[], str], check: str) -> str:
    while not CHECKS[check](text := draw()):
        pass
    return text


def _date(random: Random) -> str:
    return f"{random.randrange(1, 13):02d}{random.randrange(1, 29):02d}"


def _digits(random: Random, size: int) -> str:
    return f"{random.randrange(10**size):0{size}d}"


def _fr_nir(random: Random) -> str:
    body = f"{random.choice('12')}{_digits(random, 2)}{random.randrange(1, 13):02d}{_digits(random, 8)}"
    return f"{body}{97 - int(body) % 97:02d}"


def _steuer_id(random: Random) -> str:
    def draw() -> str:
        kept = random.sample("0123456789", 9)
        kept.insert(random.randrange(10), random.choice(kept))
        return "".join(kept) + random.choice(string.digits)

    return _until(draw, "de_steuer_id")


def _codice(random: Random) -> str:
    def draw() -> str:
        letters = "".join(random.choices(string.ascii_uppercase, k=6))
        day = random.randrange(1, 29) + random.choice((0, 40))
        place = random.choice("ABCDEFGHIL") + _digits(random, 3)
        year, month, check = _digits(random, 2), random.choice("ABCDEHLMPRST"), random.choice(string.ascii_uppercase)
        return f"{letters}{year}{month}{day:02d}{place}{check}"

    return _until(draw, "it_codice_fiscale")


SECRETS: Mapping[str, Make] = {
    "github_token": _crc("ghp_"),
    "npm_token": _crc("npm_"),
    "github_fine_grained_token": _plain("github_pat_", (_ALNUM, 22), "_", (_ALNUM, 59)),
    "gitlab_token": _plain("glpat-", (_ALNUM, 20)),
    "aws_access_key": _plain("AKIA", (string.ascii_uppercase + "234567", 16)),
    "aws_secret_key": _plain("aws_secret_access_key=", (_ALNUM + "+/", 40)),
    "stripe_key": _plain("sk_live_", (_ALNUM, 24)),
    "slack_token": _plain("xoxb-123456789012-987654321098-", (_ALNUM, 24)),
    "slack_webhook": _plain(
        "https://hooks.slack.com/services/T0",
        (string.ascii_uppercase + "0123456789", 8),
        "/B0",
        (string.ascii_uppercase + "0123456789", 8),
        "/",
        (_ALNUM, 24),
    ),
    "openai_key": _plain("sk-proj-", (_ALNUM, 74), "T3BlbkFJ", (_ALNUM, 74)),
    "anthropic_key": _plain("sk-ant-api03-", (_URL, 93), "AA"),
    "openrouter_key": _plain("sk-or-v1-", (_HEX, 64)),
    "google_api_key": _plain("AIza", (_ALNUM, 35)),
    "groq_key": _plain("gsk_", (_ALNUM, 52)),
    "huggingface_token": _plain("hf_", (_ALNUM, 34)),
    "sendgrid_key": _plain("SG.", (_ALNUM, 22), ".", (_ALNUM, 43)),
    "digitalocean_token": _plain("dop_v1_", (_HEX, 64)),
    "shopify_token": _plain("shpat_", (_HEX, 32)),
    "databricks_token": _plain("dapi", (_HEX, 32)),
    "grafana_token": _grafana,
    "bitcoin_private_key": lambda random: _base58(b"\x80" + random.randbytes(32) + b"\x01"),
    "connection_string": _plain("postgres://app:", (_ALNUM, 16), "@db.internal/main"),
    "jwt": _jwt,
    "private_key": _private_key,
}
"""By label: how to draw one."""

PERSONAL: Mapping[str, tuple[str, Make]] = {
    "email": ("mail", _plain((string.ascii_lowercase + "0123456789", 8), "@mail.helvetia-post.ch")),
    "phone": ("phone", lambda random: f"+49 151 {random.randrange(10**7, 10**8)}"),
    "iban": ("account", _iban),
    "credit_card": ("card", _card),
    "us_ssn": ("SSN", shaped("999-99-9999", "us_ssn")),
    "uk_nino": ("insurance number", shaped("AA999999A", "uk_nino")),
    "uk_nhs": ("NHS number", shaped("999 999 9999", "uk_nhs")),
    "de_steuer_id": ("Steuer-ID", _steuer_id),
    "fr_nir": ("numéro", _fr_nir),
    "es_dni": ("DNI", shaped("99999999A", "es_dni")),
    "it_codice_fiscale": ("codice fiscale", _codice),
    "pl_pesel": ("PESEL", _pesel),
    "br_cpf": ("cadastro", shaped("999.999.999-99", "br_cpf")),
    "nl_bsn": ("BSN", shaped("999999999", "nl_bsn")),
    "in_aadhaar": ("Aadhaar", shaped("9999 9999 9999", "in_aadhaar")),
    "se_personnummer": (
        "nummer",
        _dated(lambda random: f"{_digits(random, 2)}{_date(random)}-{_digits(random, 4)}", "se_personnummer"),
    ),
    "be_national": (
        "nummer",
        _dated(
            lambda random: (
                f"{_digits(random, 2)}.{random.randrange(1, 13):02d}.{random.randrange(1, 29):02d}"
                f"-{_digits(random, 3)}.{_digits(random, 2)}"
            ),
            "be_national",
        ),
    ),
    "ch_ahv": (
        "AHV",
        _dated(lambda random: f"756.{_digits(random, 4)}.{_digits(random, 4)}.{_digits(random, 2)}", "ch_ahv"),
    ),
    "tr_kimlik": ("kimlik", _dated(lambda random: f"{random.randrange(1, 10)}{_digits(random, 10)}", "tr_kimlik")),
    "cn_resident_id": (
        "号码",
        _dated(
            lambda random: (
                f"110105{random.randrange(1950, 2010)}{_date(random)}{_digits(random, 3)}{random.choice('0123456789X')}"
            ),
            "cn_resident",
        ),
    ),
    "ca_sin": ("SIN", shaped("999 999 999", "ca_sin")),
    "bitcoin_address": ("wallet", lambda random: _base58(b"\x00" + random.randbytes(20))),
}
"""By label: a word that tells what it is, and how to draw one."""

_SUMMED_SECRETS = ("github_token", "npm_token", "grafana_token", "bitcoin_private_key")


def secret_of(label: str, value: str) -> str:
    """What of ``value`` is the secret itself: the rest only says what it is, or where."""
    if label == "aws_secret_key":
        return value.partition("=")[2]
    if label == "connection_string":
        return value.rpartition(":")[2].partition("@")[0]
    return value.removeprefix("https://")


def near_miss(label: str, value: str, random: Random) -> str:
    """``value`` with one character changed so that its sum is wrong, or cut short where it has none."""
    if label == "private_key":
        return value.replace("RSA PRIVATE KEY", "CERTIFICATE")
    if label == "connection_string":
        return "postgres://app@db.internal/main"
    if label == "jwt":
        return value.partition(".")[0]
    if label in SECRETS and label not in _SUMMED_SECRETS:
        return value[: len(value) // 2]
    if label == "email":
        return value.replace("@mail.helvetia-post.ch", "@mail")
    if label == "phone":
        return value[:9]
    if label == "us_ssn":
        return f"000{value[3:]}"
    places = [index for index, char in enumerate(value) if char.isdigit() or (label in _SUMMED_SECRETS and index > 6)]
    place = places[-2] if value[-1].isalpha() and label not in _SUMMED_SECRETS else places[-1]
    if label == "uk_nino":
        return f"Q{value[1:]}"
    old = value[place]
    alphabet = string.digits if old.isdigit() else string.ascii_lowercase if old.islower() else string.ascii_uppercase
    return value[:place] + random.choice(sorted(set(alphabet) - {old})) + value[place + 1 :]
