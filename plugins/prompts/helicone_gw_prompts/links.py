"""Links: URLs of prompts' bodies that open without a gateway key, for a while.

Helicone's clients fetch ``s3_url`` without any credential. So the URL carries one of its own: a token that is a gateway
key for that one page and for nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from helicone_gw import Clock, GatewayKey, Permits

PATH = "/v1/prompt-2025/body/"
_PREFIX = "hgwb-"
_LONGEST = 2_048


class Links:
    """Makes such URLs, and knows their tokens again: a `KeySource` of keys that nobody needs to have.

    A token says whose version it is and until when (epoch seconds), under HMAC-SHA256 (RFC 2104).
    """

    configured = False  # a gateway without keys stays open

    def __init__(self, signing_key: bytes, clock: Clock, lifetime: float) -> None:
        self._signing_key = signing_key
        self._clock = clock
        self._lifetime = lifetime

    def url(self, origin: str, organization: str, version_id: str) -> str:
        """The URL of a version's body at ``origin`` (scheme and host)."""
        until = str(int(self._clock.now() + self._lifetime))
        who = base64.urlsafe_b64encode(organization.encode()).decode().rstrip("=")
        said = f"{who}.{version_id}.{until}"
        return f"{origin}{PATH}{version_id}?key={_PREFIX}{said}.{self._mac(said)}"

    async def lookup(self, secret: str) -> GatewayKey | None:
        """The key that a token is, while it is valid."""
        if not secret.startswith(_PREFIX) or len(secret) > _LONGEST:
            return None
        said, _, mac = secret.removeprefix(_PREFIX).rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(said).encode()):
            return None
        who, version_id, until = said.split(".")
        if int(until) < self._clock.now():
            return None
        try:
            organization = base64.urlsafe_b64decode(who + "=" * (-len(who) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return GatewayKey(
            id="prompts:body",
            name="the URL of a prompt's body",
            owner="prompts",
            organization=organization,
            permits=Permits(models=(), providers=(), paths=(PATH + version_id,)),
            role="viewer",
        )

    async def knows(self, secret: str) -> bool:
        """Whether ``secret`` is such a token, valid or not: no provider may be sent one."""
        return secret.startswith(_PREFIX)

    def _mac(self, said: str) -> str:
        return hmac.new(self._signing_key, said.encode(), hashlib.sha256).hexdigest()
