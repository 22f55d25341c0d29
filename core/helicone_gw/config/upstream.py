"""The way to providers as the configuration says it: HTTP client, proxy, connections."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from helicone_gw.config.section import Section
from helicone_gw.config.values import Count, ProxyUrl, Seconds, no_empty_secret

Transport = Literal["fast", "aiohttp", "httpx"]


class UpstreamConfig(Section):
    """How providers are reached.

    Proxies, HTTP/2 and unix sockets (a base_url ``http+unix://%2Frun%2Fserver.sock/v1``) always go through httpx.
    """

    transport: Transport = Field(
        default="fast",
        description="HTTP client: the gateway's own, aiohttp (needs the extra of that name) or httpx.",
    )
    http2: bool = Field(
        default=False, description="Offer HTTP/2 to providers; calls then go through httpx, which costs much more CPU."
    )
    proxy: Annotated[ProxyUrl | None, BeforeValidator(no_empty_secret)] = Field(
        default=None,
        repr=False,
        description=(
            "Proxy for every call: http://, https://, socks5:// or socks5h:// (SOCKS needs the extra socks), host and "
            "port; default: as HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY of the environment say."
        ),
    )
    max_connections: Count = Field(
        default=1000,
        le=1_000_000,
        description="Connections to providers in all; a further call waits for one, up to its deadline.",
    )
    max_connections_per_host: Count | None = Field(
        default=None,
        le=1_000_000,
        description="Connections to one host; default: as many as there are in all. httpx has no such bound.",
    )
    max_idle_connections: Count = Field(
        default=200, le=1_000_000, description="Connections kept open for further calls, over all hosts."
    )
    keep_alive: Seconds = Field(
        default=30.0, description="How long an unused connection is kept open, in seconds; 0 uses each only once."
    )

    @model_validator(mode="after")
    def _what_httpx_lacks(self) -> UpstreamConfig:
        if self.transport == "httpx" and self.max_connections_per_host is not None:
            raise ValueError("max_connections_per_host has no effect with transport httpx; leave it out")
        return self
