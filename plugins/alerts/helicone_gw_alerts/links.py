"""Links: URLs of a request's bodies that a webhook's receiver may open without a gateway key, for a while.

Such a URL carries a token that is a gateway key for that one page and for nothing else. It is signed with the webhook's
own key, so that it opens nothing any more once the webhook is deleted.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Final

from helicone_gw import GatewayKey, Permits, Unsealable
from helicone_gw_alerts.errors import NoSuch
from helicone_gw_alerts.signing import signature

if TYPE_CHECKING:
    from helicone_gw import Clock
    from helicone_gw_alerts.webhooks import Webhook, Webhooks

LIFETIME: Final = 24 * 3600
"""Seconds for which a URL opens."""
_PREFIX: Final = "hgww-"
_LONGEST: Final = 2048


class Links:
    """Makes such URLs, and knows their tokens again: a `KeySource` of keys that nobody needs to have."""

    configured = False  # a gateway without keys stays open

    def __init__(self, webhooks: Webhooks, clock: Clock, origin: str) -> None:
        self._webhooks = webhooks
        self._clock = clock
        self._origin = origin

    def url(self, webhook: Webhook, request: str) -> str:
        """The URL of the bodies of ``request``. Raises `Unsealable`."""
        until = str(int(self._clock.now()) + LIFETIME)
        who = base64.urlsafe_b64encode(webhook.organization_id.encode()).decode().rstrip("=")
        said = f"{who}.{webhook.id}.{request}.{until}"
        mac = signature(self._webhooks.key_of(webhook), said.encode())
        return f"{self._origin}{_path(request)}?key={_PREFIX}{said}.{mac}"

    async def lookup(self, secret: str) -> GatewayKey | None:
        """The key that a token is, while it is valid. Raises SQLAlchemy's errors."""
        if not secret.startswith(_PREFIX) or len(secret) > _LONGEST or not secret.isascii():
            return None
        said, _, mac = secret.removeprefix(_PREFIX).rpartition(".")
        parts = said.split(".")
        if len(parts) != 4 or not parts[3].isdigit() or int(parts[3][:15]) < self._clock.now():
            return None
        who, webhook_id, request, _ = parts
        try:
            organization = base64.urlsafe_b64decode(who + "=" * (-len(who) % 4)).decode()
            webhook = await self._webhooks.one(organization, webhook_id)
            expected = signature(self._webhooks.key_of(webhook), said.encode())
        except (binascii.Error, UnicodeDecodeError, NoSuch, Unsealable):
            return None
        if "\0" in organization or not hmac.compare_digest(mac, expected):
            return None
        return GatewayKey(
            id="alerts:body",
            name="the URL of a request's bodies",
            owner="alerts",
            organization=organization,
            permits=Permits(models=(), providers=(), paths=(_path(request),)),
            role="viewer",
        )

    async def knows(self, secret: str) -> bool:
        """Whether ``secret`` is such a token, valid or not: no provider may be sent one."""
        return secret.startswith(_PREFIX)


def _path(request: str) -> str:
    return f"/v1/request/{request}/body"
