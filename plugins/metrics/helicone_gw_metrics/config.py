"""The plugin's configuration: `MetricsConfig`."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from helicone_gw import PluginConfig, PositiveSeconds, Secret

LATENCY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0)
"""Upper bounds in seconds, up to the longest answers of models."""
FIRST_TOKEN_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0)


def _no_switch(value: object) -> object:
    # pydantic takes true for 1, which in a file of this kind is a slip of the pen.
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")
    return value


def _growing(bounds: tuple[float, ...]) -> tuple[float, ...]:
    if any(upper <= lower for lower, upper in pairwise(bounds)):
        raise ValueError("should be in order, each bound greater than the one before it")
    return bounds


Buckets = Annotated[
    tuple[Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_no_switch)], ...],
    Field(min_length=1, max_length=50),
    AfterValidator(_growing),
]
Bound = Annotated[int, Field(ge=1, le=100_000), BeforeValidator(_no_switch)]


class OtlpConfig(PluginConfig):
    """Where OpenTelemetry's traces and metrics go, and which."""

    endpoint: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$")] = Field(
        default="http://127.0.0.1:4318", description="The collector's address; /v1/traces and /v1/metrics are added."
    )
    headers: dict[str, Secret] = Field(default_factory=dict, description="Header fields for the collector.")
    traces: bool = Field(default=True, description="Send a trace of every exchange.")
    metrics: bool = Field(default=True, description="Send what /metrics shows of this worker.")
    share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_no_switch)] = Field(
        default=1.0, description="Share of the traces that are kept where the client did not decide."
    )
    propagate: bool = Field(
        default=False, description="Tell providers the trace (traceparent); otherwise they hear of no client's trace."
    )
    service_name: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        default="helicone-gw", description="The resource's service.name."
    )
    queue: Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_no_switch)] = Field(
        default=8192, description="Exchanges that may wait to be sent; further ones are dropped and counted."
    )
    interval: PositiveSeconds = Field(default=5.0, description="How long an exchange may wait for others, in seconds.")
    metrics_interval: PositiveSeconds = Field(default=60.0, description="Seconds between two exports of metrics.")
    timeout: PositiveSeconds = Field(default=10.0, description="Longest time for one export, its retries included.")


class MetricsConfig(PluginConfig):
    """What is counted, and how many series that may become."""

    latency_buckets: Buckets = Field(
        default=LATENCY_BUCKETS, description="Upper bounds of the histogram of whole exchanges, in seconds."
    )
    first_token_buckets: Buckets = Field(
        default=FIRST_TOKEN_BUCKETS, description="Upper bounds of the histogram of times to first token, in seconds."
    )
    max_values: Bound = Field(
        default=200, description="Values that one label may have; further ones are counted together as (other)."
    )
    max_series: Bound = Field(
        default=2000, description="Combinations of labels that are told apart; further ones are (other) throughout."
    )
    server_timing: Literal["asked", "always", "never"] = Field(
        default="asked",
        description="Whether answers say in Server-Timing how long each plugin took: asked by Helicone-Server-Timing.",
    )
    otlp: OtlpConfig | None = Field(default=None, description="Export to an OpenTelemetry collector; default: none.")
