"""The server as the configuration says it: where it listens, as what, and how much it takes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ByteSize, Field, ValidationInfo, field_validator

from helicone_gw.config.section import Section
from helicone_gw.config.values import AllowedTarget, Count, Domain, Network, Origin, Port, Seconds, Secret, Size

Engine = Literal["hypercorn", "uvicorn", "granian"]


class TlsConfig(Section):
    """The gateway's own certificate: it then speaks https, and HTTP/2 with clients that can."""

    certificate: str = Field(
        min_length=1,
        description="PEM file with the certificate and those between it and its root, from the working directory.",
    )
    key: str = Field(min_length=1, description="PEM file with the certificate's private key.")
    key_password: Secret | None = Field(default=None, description="What the key is encrypted with, if it is.")


class CorsConfig(Section):
    """Web pages of other sites that may call the gateway; they send a gateway key of their own.

    A gateway without keys lets those that are listed call providers, and none its own pages; "*" is nobody there.
    """

    origins: tuple[Origin, ...] = Field(
        min_length=1, description='Origins of the pages, such as "https://app.example.com"; "*" for any.'
    )
    max_age: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=600, description="Seconds for which a browser may remember the answer to its question beforehand."
    )


class ServerConfig(Section):
    """Where and how the gateway listens."""

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: Port = Field(default=8787, description="TCP port to listen on; 0 takes any free one.")
    engine: Engine = Field(
        default="hypercorn",
        description="HTTP server that runs the gateway; uvicorn and granian need the extra of their name.",
    )
    tls: TlsConfig | None = Field(default=None, description=TlsConfig.__doc__)
    http3: bool = Field(
        default=False,
        description="Whether to speak HTTP/3 too, on the UDP port of that number; needs tls, hypercorn, the extra h3.",
    )
    workers: Count = Field(default=1, le=1024, description="Worker processes sharing the port.")
    max_body: Size = Field(
        default=ByteSize(64 << 20),
        description="Largest JSON body, in bytes or with a unit (64MiB). It is held in memory. Larger ones get a 413.",
    )
    max_upload: Size = Field(
        default=ByteSize(1 << 30),
        description="Largest body of any other kind, which streams through, in bytes or with a unit (1GiB).",
    )
    drain_timeout: Seconds = Field(
        default=30.0, description="How long running exchanges may still take once a stop was asked for, in seconds."
    )
    domains: tuple[Domain, ...] = Field(
        default=(),
        description="Domains of this gateway, beside helicone.ai: a host label under them selects a provider.",
    )
    allowed_targets: tuple[AllowedTarget, ...] = Field(
        default=(),
        description=(
            "Further hosts that Helicone-Target-URL and the like may name: a host, host:port, *.suffix, network "
            "(10.1.0.0/16) or origin. Private addresses must be listed here to be reached."
        ),
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(),
        description=(
            "Addresses and networks (10.0.0.0/8) of proxies before this gateway, whose X-Forwarded-For says who the "
            "client is; unix for whatever connects to a unix socket."
        ),
    )
    cors: CorsConfig | None = Field(default=None, description=CorsConfig.__doc__)
    open: bool = Field(
        default=False, description="Start without any gateway key even though the address is not a loopback one."
    )

    @field_validator("http3")
    @classmethod
    def _http3_on_tls(cls, http3: bool, info: ValidationInfo) -> bool:
        if http3 and not info.data.get("tls"):
            raise ValueError("HTTP/3 needs a certificate: set server.tls")
        if http3 and info.data.get("engine") != "hypercorn":
            raise ValueError("HTTP/3 is spoken by the engine hypercorn alone")
        return http3
