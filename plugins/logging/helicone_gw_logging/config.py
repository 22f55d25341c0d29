"""The plugin's configuration: `LoggingConfig`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, ByteSize, Field, WithJsonSchema

from helicone_gw import PluginConfig, Secret

Size = Annotated[
    ByteSize,
    Field(gt=0, le=1 << 40),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 1 << 40},
                {"type": "string", "pattern": r"^\s*\d{1,15}(\.\d{1,6})?\s*([kKMGT]i?B)?\s*$|\$\{"},
            ]
        }
    ),
]
"""Bytes: an integer, or a number with a unit (``512KiB``, ``64MiB``)."""


def _of_days(value: object) -> object:
    """``30d`` is 30; everything else is as it is."""
    found = re.fullmatch(r"\s*(\d{1,5})\s*d\s*", value) if isinstance(value, str) else None
    return int(found[1]) if found else value


Days = Annotated[
    int,
    BeforeValidator(_of_days),
    Field(ge=1, le=36_500),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 36_500},
                {"type": "string", "pattern": r"^\s*\d{1,5}\s*d\s*$|\$\{"},
            ]
        }
    ),
]
"""A number of days: ``30d``, or 30."""


class Retention(PluginConfig):
    """For how many days each kind of row is kept (``30d``); left out: for ever."""

    bodies: Days | None = Field(default=None, description="Bodies of requests and responses.")
    requests: Days | None = Field(
        default=None,
        description="Requests with everything beside them: attempts, properties, bodies, scores, feedback.",
    )
    rollups: Days | None = Field(default=None, description="Hourly sums and histograms, from which charts are made.")
    summaries: Days | None = Field(
        default=None, description="Sums of sessions and of users that were last heard of so long ago."
    )

    def days(self) -> list[tuple[str, int]]:
        """The kinds that are not kept for ever, and their days."""
        return [(kind, days) for kind in type(self).model_fields if (days := getattr(self, kind)) is not None]


class BodyStorage(PluginConfig):
    """An object storage that has the bodies in place of the database (extra ``object-storage``)."""

    url: Secret = Field(
        description="s3://bucket/prefix, gs://bucket/prefix, az://account/container/prefix, or file:///directory."
    )
    options: dict[str, Secret] = Field(
        default_factory=dict,
        description="What the storage wants to know, such as aws_access_key_id, aws_secret_access_key, aws_region, "
        "aws_endpoint; what is left out is taken from the environment.",
    )
    allow_http: bool = Field(default=False, description="Whether its address may be http:// (an own server nearby).")
    timeout: Annotated[float, Field(gt=0, le=300)] = Field(default=10.0, description="Seconds for one call.")
    retry_after: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=30.0, description="Seconds that a storage which failed is given; bodies stay in the database meanwhile."
    )


class JournalConfig(PluginConfig):
    """The journal on the local disk, which holds every record until it is in the database."""

    enabled: bool = Field(
        default=True, description="Whether there is one. A database in memory, which is lost anyway, never has one."
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        description="Its directory, which every worker shares; by default <name>.journal beside the SQLite file, and "
        "helicone-<checksum of the URL>.journal in the working directory for any other database.",
    )
    fsync: Literal["always", "interval", "never"] = Field(
        default="never",
        description="When records are forced onto the disk itself, which only a machine that dies needs: `always` "
        "before each answer, which waits for the disk then; `interval` every `fsync_ms`; `never`: as the system does.",
    )
    fsync_ms: Annotated[int, Field(ge=10, le=60_000)] = Field(
        default=1000, description="Milliseconds between two times for `fsync: interval`."
    )
    max_bytes: Size = Field(
        default=ByteSize(1 << 30), description="How much each worker's journal may take on the disk."
    )
    max_body: Size = Field(
        default=ByteSize(32 << 10),
        description="How much of each body is in the journal; what is longer is cut there, and whole in the database.",
    )
    on_full: Literal["drop", "refuse"] = Field(
        default="drop",
        description="What happens when the journal is full or cannot be written: `drop` goes on without it, with what "
        "memory holds; `refuse` answers new requests with 503.",
    )


class LoggingConfig(PluginConfig):
    """What is kept of bodies, and how much may wait in memory for the database."""

    bodies: Literal["full", "none"] = Field(
        default="full", description="Whether request and response bodies are stored (redacted and compressed)."
    )
    max_body: Size = Field(
        default=ByteSize(256 << 10), description="How much of each body is stored, in bytes or with a unit (256KiB)."
    )
    body_storage: BodyStorage | None = Field(
        default=None, description="An object storage for bodies: url, options, allow_http, timeout, retry_after."
    )
    country_header: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9-]+$")] | None = Field(
        default=None,
        description="Header field in which a proxy before the gateway says in which country the client is "
        "(CF-IPCountry, X-Vercel-IP-Country); the proxy must not let clients send it themselves.",
    )
    queue_max_rows: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        default=100_000,
        description="Rows that may wait for the database in memory (those that the journal has wait there); when it is "
        "reached, new ones are dropped.",
    )
    queue_max_bytes: Size = Field(
        default=ByteSize(256 << 20),
        description="Memory that rows which wait may take; above it, new ones wait without their bodies.",
    )
    batch_rows: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=2000, description="Most rows that one transaction inserts."
    )
    batch_ms: Annotated[int, Field(ge=0, le=60_000)] = Field(
        default=500, description="How long a row may wait for others to share its transaction, in milliseconds."
    )
    rollup_values: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=1000,
        description="Models, users, values of a property, ... of one hour that have sums of their own; what comes "
        "beyond is summed up as (other). Also how many keys of properties an organization may have.",
    )
    journal: JournalConfig = Field(
        default=JournalConfig(), description="What is kept on the local disk until it is in the database."
    )
    retention: Retention = Field(
        default=Retention(),
        description="For how many days what is logged is kept: bodies, requests, rollups, summaries.",
    )
