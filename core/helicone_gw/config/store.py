"""The store as the configuration says it: where counters and small shared values are, and how long they may take."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from helicone_gw.config.section import Section
from helicone_gw.config.values import Count, PositiveSeconds
from helicone_gw.store.address import parse_address


def _store_url(text: str) -> str:
    parse_address(text)
    return text


def _namespace(text: str) -> str:
    if not text.isprintable() or any(mark in text for mark in "{} "):
        raise ValueError("should be printable, without spaces and without braces, which mark the tag of a key")
    return text


StoreUrl = Annotated[str, AfterValidator(_store_url)]
"""``memory://``, or a Redis, in the forms of `parse_address`."""


class StoreTlsConfig(Section):
    """What is expected of the certificate of a Redis over TLS."""

    ca: str | None = Field(
        default=None,
        min_length=1,
        description="PEM file with certificates to trust beside the system's, from the working directory.",
    )
    verify: bool = Field(
        default=True,
        description="false takes any certificate, so anybody in between can read and answer; for trying out only.",
    )


class StoreConfig(Section):
    """Counters and small shared values."""

    url: StoreUrl = Field(
        default="memory://",
        repr=False,
        description=(
            "memory:// keeps them in each worker. Shared: redis://user:password@host:6379/0, rediss:// (TLS), "
            "unix:///path, redis+cluster://host:port,host:port, redis+sentinel://host:port,host:port/service; "
            "rediss+cluster:// and rediss+sentinel:// with TLS. All but memory:// need the extra redis."
        ),
    )
    namespace: Annotated[str, AfterValidator(_namespace)] = Field(
        default="helicone-gw:", max_length=200, description="What every key begins with, on a Redis."
    )
    deadline: PositiveSeconds = Field(
        default=0.05,
        le=60,
        description="Longest time for one call to a Redis, in seconds, waiting for a connection included.",
    )
    retry_after: PositiveSeconds = Field(
        default=1.0,
        le=3600,
        description="A Redis that did not answer is asked for no request, and tried again once in so many seconds.",
    )
    max_connections: Count = Field(
        default=50, le=10_000, description="Connections of each worker to a Redis, or to each node of a cluster."
    )
    tls: StoreTlsConfig = Field(
        default_factory=StoreTlsConfig, description="Whom to believe that it is the Redis, where the URL says TLS."
    )
