"""AWS Signature Version 4 (docs.aws.amazon.com, "Create a signed AWS API request"), a pure function."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from hmac import digest
from urllib.parse import SplitResult, quote, urlsplit

from helicone_gw.headers import Headers

ALGORITHM = "AWS4-HMAC-SHA256"

MAX_KEYS = 64
"""Signing keys that are remembered, one per credential, day, region and service; past that the oldest is made anew."""

_OURS = ("authorization", "x-amz-date", "x-amz-security-token")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """An access key with its secret; ``session_token`` belongs to temporary ones. None of it shows."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def signed(
    method: str,
    url: str,
    headers: Headers,
    body: bytes,
    credentials: AwsCredentials,
    *,
    region: str,
    service: str,
    at: float,
) -> Headers:
    """``headers`` with the fields that sign the request: ``X-Amz-Date``, ``Authorization``, and the session's token.

    ``url`` is absolute and spelled as it goes on the wire, percent-encoding included: its path is encoded once more
    for the signature, as every service but S3 wants it. Signed are the fields that have to be, ``Host`` (the URL's,
    unless it is given), ``Content-Type`` and ``X-Amz-*``: whatever else a proxy adds or changes breaks nothing. ``at``
    is the moment of signing in epoch seconds, which AWS compares with its own clock (five minutes either way). What an
    earlier signature left is replaced.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    parts = urlsplit(url)
    headers = headers.without(*_OURS).set("x-amz-date", stamp)
    if credentials.session_token:
        headers = headers.set("x-amz-security-token", credentials.session_token)
    fields = _canonical_fields(headers, parts)
    names = ";".join(name for name, _ in fields)
    canonical = "\n".join(
        (
            method.upper(),
            _canonical_path(parts.path),
            _canonical_query(parts.query),
            *(f"{name}:{value}" for name, value in fields),
            "",
            names,
            headers.get("x-amz-content-sha256") or sha256(body).hexdigest(),
        )
    )
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join((ALGORITHM, stamp, scope, sha256(canonical.encode()).hexdigest()))
    key = _signing_key(credentials.secret_access_key, stamp[:8], region, service)
    signature = digest(key, to_sign.encode(), "sha256").hex()
    return headers.set(
        "authorization",
        f"{ALGORITHM} Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}",
    )


def _canonical_fields(headers: Headers, url: SplitResult) -> Sequence[tuple[str, str]]:
    """Name and value of every field to be signed, by name; fields of one name in one, blanks in values as one."""
    values: dict[str, list[str]] = {}
    for name, value in headers.raw:
        if name in (b"host", b"content-type") or name.startswith(b"x-amz-"):
            values.setdefault(name.decode("latin-1"), []).append(" ".join(value.decode("latin-1").split()))
    values.setdefault("host", [_host(url)])
    return [(name, ",".join(values[name])) for name in sorted(values)]


def _host(url: SplitResult) -> str:
    """What the ``Host`` field says of this URL: no user, and no port that is the scheme's own."""
    name = url.netloc.rpartition("@")[2].lower()
    default = _DEFAULT_PORTS.get(url.scheme)
    return name if url.port is None or url.port != default else name.removesuffix(f":{default}")


@lru_cache(maxsize=256)
def _canonical_path(path: str) -> str:
    # RFC 3986 section 5.2.4, and consecutive slashes are one. The result is encoded again, percent signs and all.
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    ending = "/" if path.endswith("/") and kept else ""
    return quote(f"/{'/'.join(kept)}{ending}", safe="/~")


def _canonical_query(query: str) -> str:
    pairs = sorted(part.partition("=")[::2] for part in query.split("&")) if query else []
    return "&".join(f"{name}={value}" for name, value in pairs)


@lru_cache(maxsize=MAX_KEYS)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for word in (day, region, service, "aws4_request"):
        key = digest(key, word.encode(), "sha256")
    return key
