"""Furnishing: prompts in use, scores, alerts, keys and members, so that pictures of their pages show something."""

from __future__ import annotations

import time
from typing import Any

import httpx

PLUGINS: tuple[Any, ...] = (
    "prompts",
    {
        "alerts": {
            "channels": {"ops": {"type": "command", "argv": ["true"]}},
            "evaluate_every": 1,
            "alerts": {"busy": {"metric": "count", "threshold": 10, "window": 3600, "channels": ["ops"]}},
        }
    },
)
"""What must be in the chain, inside logging and security."""

HOOKS = "http://127.0.0.1:9"
"""Where webhooks go: a port at which nobody listens, so that something could not be delivered, too."""
ALLOWED = {"allowed_targets": ["127.0.0.1:9"]}
"""What ``server`` must say for that."""

MESSAGES = {
    "First version": "You help {{hc:customer:string}} politely.\nAnswer in one paragraph.",
    "Kinder words": "You help {{hc:customer:string}} kindly and with patience.\nAnswer in one paragraph.",
}


def furnish(url: str, headers: dict[str, str]) -> list[str]:
    """Fill the gateway at ``url``; the addresses of pages that are in no navigation."""
    with httpx.Client(base_url=url, trust_env=False, timeout=30, headers=headers) as client:

        def do(path: str, body: Any) -> Any:
            answer = client.post(path, json=body)
            answer.raise_for_status()
            return answer.json()["data"]

        bodies = [
            {"model": "demo", "temperature": 0.2, "messages": [{"role": "system", "content": said}, _QUESTION]}
            for said in MESSAGES.values()
        ]
        made = do("/v1/prompt-2025", {"name": "Support answer", "tags": ["support"], "promptBody": bodies[0]})
        named = {"promptId": made["id"], "promptVersionId": made["versionId"], "environment": "staging"}
        newer = do("/v1/prompt-2025/update", {**named, "promptBody": bodies[1], "commitMessage": "Kinder words"})["id"]
        do("/v1/prompt-2025", {"name": "Summary", "tags": ["batch"], "promptBody": bodies[0]})
        for number in range(24):
            inputs = {"customer": "Ann", "question": f"Is room {number} free?"}
            chosen = {"version_id": newer} if number % 3 else {}
            body = {"prompt_id": made["id"], "messages": [], "inputs": inputs, **chosen}
            id = client.post("/v1/chat/completions", json=body).headers["Helicone-Id"]  # noqa: A001 - Helicone's name
            _scored(client, id, {"helpful": number % 5 / 4, "polite": number % 4 > 0})
        do("/v1/evaluator", {"name": "short", "scoring_type": "regex", "code_template": "^.{1,200}$"})
        do("/v1/alert/create", {"name": "Daily cost", "metric": "cost", "threshold": 20, "time_window": 86_400_000})
        do("/v1/api-keys", {"name": "support-bot", "models": ["gpt-4o*"], "budgets": ["25/month"], "role": "member"})
        for path, sampling in (("requests", {}), ("support", {"sampleRate": 25, "propertyFilters": [SUPPORT]})):
            do("/v1/webhooks", {"destination": f"{HOOKS}/{path}", "config": sampling})
        admin = {"email": "boss@acme.example", "password": "a password for pictures"}
        do("/v1/organization/create", {"id": "acme", "name": "Acme Inc.", "admin": admin})
        secret = {"providerName": "openai", "providerKeyName": "team", "providerKey": "sk-picture-0123456789abcdef"}
        do("/v1/api-keys/provider-key", {**secret, "shared": True})
        for email, role in (("ann@example.com", "admin"), ("bob@example.com", "viewer")):
            do("/v1/admin/users", {"email": email, "role": role, "generate_password": True})
    prompt = f"/dashboard/prompts/{made['id']}"
    version = f"{prompt}/versions/{newer}"
    return [
        prompt,
        version,
        f"{prompt}/diff?from={made['versionId']}&to={newer}",
        f"/dashboard/playground?version={newer}",
    ]


SUPPORT = {"key": "App", "value": "support"}
_QUESTION = {"role": "user", "content": "{{hc:question:string}}"}


def _scored(client: httpx.Client, id: str, scores: dict[str, float]) -> None:
    """Give a request scores as soon as it is logged."""
    for _ in range(100):
        if client.post(f"/v1/request/{id}/score", json={"scores": scores}).is_success:
            return
        time.sleep(0.1)
    raise TimeoutError("the request was not logged")
