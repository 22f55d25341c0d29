"""What the tests of the running plugin share: its pages, its looks, receivers of webhooks."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope

from helicone_gw.testing import RunningGateway, ScriptedProvider, of_json
from helicone_gw_alerts.plugin import AlertsPlugin

SINK = "http://127.0.0.1:9999"
"""Where receivers are, which `ALLOWED` lets webhooks be sent to."""
ALLOWED = {"server": {"allowed_targets": ["127.0.0.1:9999"]}}
LOGGED = ["logging", "cost"]


def plugin(running: RunningGateway) -> AlertsPlugin:
    """The gateway's plugin."""
    return next(each for each in running.gateway.plugins if isinstance(each, AlertsPlugin))


async def rest(
    running: RunningGateway, method: str, path: str, json: Any = None, *, key: str = "", status: int = 200
) -> Any:
    """The ``data`` of a page's answer, or its ``error`` where ``status`` is no good one."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    answer = await running.request(method, path, json=json, headers=headers)
    assert answer.status == status, answer.body
    told = answer.json()
    assert (told["error"] is None) == (status < 400)
    return told["data"] if status < 400 else told["error"]


async def evaluated(running: RunningGateway) -> None:
    """Look at alerts once, and deliver what they have to say."""
    await logged(running)
    await running.gateway.clock.sleep(1)  # the end of a window is not part of it
    await plugin(running).evaluation.all()
    await delivered(running)


async def followed(running: RunningGateway) -> None:
    """Offer new requests to webhooks and evaluators."""
    await logged(running)
    work = plugin(running).work
    await plugin(running).following.step(await work.followers())


async def delivered(running: RunningGateway) -> None:
    """Deliver what is due."""
    dispatcher = plugin(running).dispatcher
    await dispatcher.look()
    await dispatcher.idle()


async def logged(running: RunningGateway) -> None:
    """Wait until what happened is in the log: every question in SQL does."""
    await rest(running, "POST", "/v1/helicone-sql/execute", {"sql": "SELECT count(*) AS n FROM requests"})


def receiver(status: int = 200) -> ScriptedProvider:
    """Something that takes whatever is posted."""
    return ScriptedProvider(default=of_json({}, status=status))


def signed(key: str, body: bytes) -> str:
    """The signature that Helicone's documentation has a receiver compute over the raw body."""
    return hmac.new(key.encode("utf-8"), body, hashlib.sha256).hexdigest()


class Mailbox:
    """A real mail server: its port, and what it got."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        """What aiosmtpd calls for a message."""
        self.got.append(envelope)
        return "250 OK"

    async def start(self) -> None:
        """Listen on a free port of this machine."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SMTP(self, loop=loop), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
