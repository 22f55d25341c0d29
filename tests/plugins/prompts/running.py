"""What the tests of the running plugin share: prompts made over the API, and what the provider was sent."""

from __future__ import annotations

from typing import Any

from helicone_gw.testing import RunningGateway
from helicone_gw_prompts.plugin import PromptsPlugin

BODY: dict[str, Any] = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "system", "content": "You help {{hc:who:string}} {{hc:times:number}} times."}],
    "temperature": 0.2,
}
CHAT = "/v1/chat/completions"


def plugin(running: RunningGateway) -> PromptsPlugin:
    """The gateway's plugin."""
    return next(each for each in running.gateway.plugins if isinstance(each, PromptsPlugin))


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


async def made(running: RunningGateway, body: Any = BODY, name: str = "A prompt", **more: Any) -> tuple[str, str]:
    """A new prompt's id and its version's."""
    data = {"name": name, "tags": [], "promptBody": body}
    found = await rest(running, "POST", "/v1/prompt-2025", data, status=201, **more)
    return found["id"], found["versionId"]


def sent(running: RunningGateway) -> Any:
    """The body of the last call of the provider."""
    return running.provider.requests[-1].json()
