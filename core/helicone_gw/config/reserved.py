"""First path segments that the gateway keeps for itself: no provider may be named like one of them."""

from __future__ import annotations

RESERVED_SEGMENTS: tuple[str, ...] = (
    # Version segments: whatever follows them is routed by operation.
    "v1",
    "v1alpha",
    "v1beta",
    "v1beta1",
    "v2",
    "v3",
    # The gateway's operations, which also answer without a version segment.
    "audio",
    "chat",
    "completions",
    "embeddings",
    "images",
    "messages",
    "models",
    "moderations",
    "realtime",
    "rerank",
    "responses",
    # Modes of addressing an upstream.
    "ai",
    "gateway",
    "router",
    # Asynchronous logging and feedback.
    "custom",
    "feedback",
    "googleapis",
    # Running the gateway, and its pages.
    "api",
    "assets",
    "auth",
    "dashboard",
    "docs",
    "favicon.ico",
    "healthz",
    "login",
    "logout",
    "metrics",
    "openapi.json",
    "readyz",
    "robots.txt",
    "static",
)
