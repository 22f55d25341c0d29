"""Thought signatures in Gemini's dialect, whose SDKs decode them: base64, even of another maker's."""

from __future__ import annotations

import base64
import binascii

from helicone_gw.dialects.translate.signatures import Signature, seal, unseal

REDACTED = "redacted"
"""Stands for the id of an encrypted thought of another maker's, which has no text."""


def write_signature(signature: Signature) -> str:
    """``thoughtSignature``: Google's own as it is, another's marked with its maker and encoded."""
    if signature.vendor == "google":
        return signature.value
    return base64.b64encode(seal(signature, "google").encode()).decode()


def read_signature(text: str) -> Signature:
    """What `write_signature` was given; SDKs may have changed to the other alphabet of base64 meanwhile."""
    try:
        plain = base64.b64decode(text.replace("-", "+").replace("_", "/") + "==").decode("ascii")
    except (binascii.Error, ValueError):
        return Signature("google", text)
    found = unseal(plain, "google")
    return Signature("google", text) if found.vendor == "google" else found
