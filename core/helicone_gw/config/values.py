"""The kinds of value that occur in the configuration: sizes, seconds, counts, secrets, URLs, names."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Annotated, Any
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr, WithJsonSchema

from helicone_gw.config.reserved import RESERVED_SEGMENTS
from helicone_gw.upstream.special_urls import check_proxy, split_unix

Secret = SecretStr
"""Text that prints as stars; `Secret.get_secret_value` gives the text itself, ``bool()`` whether there is any."""

DATABASE_SCHEMES = ("sqlite", "sqlite+aiosqlite", "postgresql", "postgresql+asyncpg")

_SIZE = re.compile(r"\d{1,15}(\.\d{1,6})?\s*([kKMGT]i?B)?")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_PROVIDER = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")
_INSTANCE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_FRAMING = frozenset(
    {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)


def _no_switch(value: Any) -> Any:
    # pydantic takes true for 1, which in a file of this kind is a slip of the pen.
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


def _size(value: Any) -> Any:
    if isinstance(value, str) and not _SIZE.fullmatch(value.strip()):
        raise ValueError("should be a size: a number of bytes, or one with a unit such as 512KiB, 64MiB, 1GiB")
    return _no_switch(value)


Size = Annotated[
    ByteSize,
    Field(gt=0, le=1 << 50),
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 1 << 50},
                {"type": "string", "pattern": r"^\s*\d{1,15}(\.\d{1,6})?\s*([kKMGT]i?B)?\s*$|\$\{"},
            ]
        }
    ),
]
"""Bytes: an integer, or ``512KiB``, ``64MiB``, ``1GiB`` (powers of 1024; ``MB`` and the like are powers of 1000)."""

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(_no_switch)]
"""A duration in seconds, zero allowed."""

PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_switch)]
"""A duration in seconds, longer than zero."""

Count = Annotated[int, Field(ge=1), BeforeValidator(_no_switch)]
"""A number of things, at least one."""

Share = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_switch)]
"""A part of something, relative to the other parts; above zero."""

Port = Annotated[int, Field(ge=0, le=65535), BeforeValidator(_no_switch)]
"""A TCP port; 0 takes any free one."""


def split_url(text: str) -> SplitResult:
    """`urllib.parse.urlsplit`, with one plain message. Raises `ValueError`, which never repeats the URL."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if not parts.scheme or "://" not in text:
        raise ValueError("is not a URL: a scheme and :// are missing")
    return parts


def _schemes(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name}://" for name in names)


def _database_url(text: str) -> str:
    parts = split_url(text)
    if parts.scheme not in DATABASE_SCHEMES:
        hint = " (postgres:// is spelled postgresql://)" if parts.scheme == "postgres" else ""
        raise ValueError(f"the scheme of a database URL is one of {_schemes(DATABASE_SCHEMES)}{hint}")
    if parts.scheme.startswith("sqlite"):
        if parts.netloc:
            raise ValueError("a SQLite URL has three slashes before a relative path, four before an absolute one")
    elif not parts.hostname and "host=" not in parts.query:
        raise ValueError("a PostgreSQL URL names a host: postgresql://user:password@host/database")
    return text


def _base_url(text: str) -> str:
    unix = split_unix(text)
    if unix is not None:
        if unix[2]:
            raise ValueError("has a query, which an upstream path cannot be appended to")
        return text.rstrip("/")
    parts = split_url(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("should be an http:// or https:// URL with a host, as an SDK of that provider takes it")
    if parts.username is not None or parts.password is not None:
        raise ValueError("carries a user or a password; put credentials in api_key or headers")
    if parts.query or parts.fragment:
        raise ValueError("has a query or a fragment, which an upstream path cannot be appended to")
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError("contains white space or a control character")
    return text.rstrip("/")


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
"""``sqlite:///file.db`` or ``postgresql://...``, optionally with the driver that is used anyway."""

BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""An absolute http(s) URL, or a unix socket's, without a slash at its end."""

ProxyUrl = Annotated[str, AfterValidator(check_proxy)]
"""``http://``, ``https://``, ``socks5://`` or ``socks5h://``, host and port, optionally a user and a password."""


def _credential(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    if not text.isascii() or not text.isprintable():
        raise ValueError("cannot travel in an HTTP header: it contains a line break or a character outside ASCII")
    return SecretStr(text)


Credential = Annotated[Secret, AfterValidator(_credential)]
"""A secret that travels in a header; white space around it is dropped."""


def no_empty_secret(value: Any) -> Any:
    """``None`` for an empty or blank secret: ``${OPENAI_API_KEY:-}`` of an unset variable means no key."""
    return None if isinstance(value, str) and not value.strip() else value


def _header_name(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError("is not the name of an HTTP header")
    if text.lower() in _FRAMING:
        raise ValueError("belongs to the connection and is set by the gateway itself")
    return text


HeaderName = Annotated[str, AfterValidator(_header_name)]
"""The name of an HTTP header that may be added to a request."""


def _provider_name(text: str) -> str:
    if text in RESERVED_SEGMENTS:
        raise ValueError("is a path of the gateway itself, so no provider can be called that; choose another name")
    if not _PROVIDER.fullmatch(text):
        raise ValueError("is the first segment of paths: lower-case letters, digits, '-', '_' and '.', at most 64")
    return text


ProviderName = Annotated[str, AfterValidator(_provider_name)]
"""A provider's name, which is also the first segment of its paths."""


def _model_name(text: str) -> str:
    if not text or not text.isprintable() or text != text.strip():
        raise ValueError("should be a model name: printable, not empty, without white space around it")
    return text


ModelName = Annotated[str, AfterValidator(_model_name)]
"""A model's name as clients write it."""


def _instance_name(text: str) -> str:
    if not _INSTANCE.fullmatch(text):
        raise ValueError("should be a plain name: a letter, then letters, digits, '-' and '_', at most 63")
    return text


InstanceName = Annotated[str, AfterValidator(_instance_name)]
"""The name of a plugin instance, as it appears in logs and annotations."""


def _domain(text: str) -> str:
    name = text.strip().lower().rstrip(".")
    if not _HOST.fullmatch(name):
        raise ValueError("should be a bare domain such as llm.example.com, without scheme, port or wildcard")
    return name


Domain = Annotated[str, AfterValidator(_domain)]
"""A domain name, in lower case."""


def _target(text: str) -> str:
    target = text.strip().lower().rstrip("/")
    if not target or re.search(r"[\s\x00-\x1f\x7f@?#]", target):
        raise ValueError("should be a host (llm.example.com), host:port, *.suffix, network (10.1.0.0/16) or origin")
    return target


AllowedTarget = Annotated[str, AfterValidator(_target)]
"""A host, ``host:port``, ``*.suffix``, network in CIDR form or origin that target URLs of clients may name."""


def _network(text: str) -> str:
    network = text.strip().lower()
    if network == "unix":
        return network
    try:
        return str(ip_network(network))
    except ValueError:
        raise ValueError("should be an IP address or a network such as 10.1.0.0/16, or unix") from None


Network = Annotated[str, AfterValidator(_network)]
"""An IP address or a network in CIDR form; ``unix`` for the other end of a unix socket."""


def _origin(text: str) -> str:
    origin = text.strip().lower()
    if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/?#@,*]+", origin):
        raise ValueError("should be the origin of a page: scheme and host, such as https://app.example.com, or *")
    return origin


Origin = Annotated[str, AfterValidator(_origin)]
"""The origin of web pages (RFC 6454) in lower case, or ``*``."""
