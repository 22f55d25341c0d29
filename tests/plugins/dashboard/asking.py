"""Asking: pages of a gateway in this process as a caller sees them, their markup checked."""

from __future__ import annotations

from urllib.parse import urlencode

import httpx

from helicone_gw import GatewayKey
from helicone_gw.testing import RunningGateway
from tests.plugins.dashboard.markup import problems


async def page(running: RunningGateway, path: str, caller: GatewayKey | None = None, status: int = 200) -> str:
    """What ``/dashboard{path}`` shows ``caller``; it must come with ``status``."""
    answer = await running.gateway.pages.ask("GET", f"/dashboard{path}", caller=caller)
    assert answer.status_code == status, answer.text
    assert problems(answer.text) == []
    return answer.text


async def post(
    running: RunningGateway, path: str, *fields: tuple[str, str], caller: GatewayKey | None = None
) -> httpx.Response:
    """The answer to a form that is sent to ``/dashboard{path}`` as the pages' own script does."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "HX-Request": "true"}
    answer = await running.gateway.pages.ask(
        "POST", f"/dashboard{path}", caller=caller, content=urlencode(fields).encode(), headers=headers
    )
    assert problems(answer.text) == []
    return answer
