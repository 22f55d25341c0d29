"""The plugin's configuration: `LoggingConfig`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ByteSize, Field, WithJsonSchema

from helicone_gw import PluginConfig

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


class LoggingConfig(PluginConfig):
    """What is kept of bodies, and how much may wait in memory for the database."""

    bodies: Literal["full", "none"] = Field(
        default="full", description="Whether request and response bodies are stored (redacted and compressed)."
    )
    max_body: Size = Field(
        default=ByteSize(256 << 10), description="How much of each body is stored, in bytes or with a unit (256KiB)."
    )
    queue_max_rows: Annotated[int, Field(ge=1, le=100_000_000)] = Field(
        default=100_000, description="Rows that may wait for the database; when it is reached, new rows are dropped."
    )
    queue_max_bytes: Size = Field(
        default=ByteSize(256 << 20),
        description="Memory that waiting rows may take; above it, new rows wait without their bodies.",
    )
    batch_rows: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=2000, description="Most rows that one transaction inserts."
    )
    batch_ms: Annotated[int, Field(ge=0, le=60_000)] = Field(
        default=200, description="How long a row may wait for others to share its transaction, in milliseconds."
    )
    rollup_values: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=1000,
        description="Models, users, values of a property, ... of one hour that have sums of their own; what comes "
        "beyond is summed up as (other). Also how many keys of properties an organization may have.",
    )
