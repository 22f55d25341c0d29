"""Seeding: requests of several days, users and models, told to a gateway afterwards as clients may do."""

from __future__ import annotations

import json
import math
import random
import time
from typing import Any

import httpx

MODELS = (
    ("gpt-4o", "openai", 2.2),
    ("gpt-4o-mini", "openai", 0.9),
    ("gpt-5", "openai", 5.0),
    ("claude-sonnet-4-5", "anthropic", 3.1),
    ("claude-haiku-4-5", "anthropic", 1.1),
)
"""Model, provider, and how many seconds it usually takes."""

USERS = tuple(f"{name}@example.com" for name in ("ann", "bob", "carol", "dan", "eve", "frank", "grace", "heidi"))
STEPS = ("/plan", "/plan/research", "/plan/research/weather", "/plan/research/hotels", "/plan/draft", "/plan/review")
QUESTION = "Find a hotel in Lisbon for five nights, near the river, below 150 euro."


def seed(
    url: str, requests: int, days: float = 28, *, headers: dict[str, str] | None = None, lively: bool = False
) -> None:
    """Tell the gateway at ``url`` of ``requests`` requests within the last ``days`` and of 18 in three sessions.

    All of them are in its log afterwards; those of the usual 28 days are within the dashboard's thirty, which begin at
    a midnight. ``lively``: as pictures want them, most in the last two days and in the
    afternoon, half of them streams.
    """
    dice = random.Random(7)
    now = time.time()
    with httpx.Client(base_url=url, trust_env=False, timeout=30, headers=headers) as client:
        for number in range(requests):
            ago = _afternoon(dice, now) if lively else dice.random() * 86400 * (days if number % 3 else 1)
            model, provider, usual = dice.choice(MODELS)
            took = dice.lognormvariate(math.log(usual), 0.5)
            said = {
                "Helicone-User-Id": dice.choices(USERS, weights=[1 / (place + 1) for place in range(len(USERS))])[0],
                "Helicone-Property-App": dice.choice(["support", "search", "writer"]),
                "Helicone-Property-Env": dice.choice(["production", "production", "staging"]),
            }
            status = dice.choices([200, 429, 500], weights=[95, 3, 2])[0]
            streamed = lively and number % 2 == 0
            tell(client, dice, model, provider, now - ago, took, said, status, streamed=streamed)
        for number in range(3):
            at = now - 600 - dice.random() * 20_000
            messages: list[Any] = [{"role": "system", "content": "You plan trips."}, _user(QUESTION)]
            for place, path in enumerate(STEPS):
                model, provider, usual = MODELS[(number + place) % 3]
                took = usual * dice.uniform(0.5, 1.5)
                said = {
                    "Helicone-User-Id": USERS[number],
                    "Helicone-Property-App": "travel",
                    "Helicone-Session-Id": f"trip-{number}",
                    "Helicone-Session-Path": path,
                    "Helicone-Session-Name": "Trip planner",
                }
                status = 500 if (number, place) == (0, 3) else 200
                tell(client, dice, model, provider, at, took, said, status, messages)
                arguments = json.dumps({"city": "Lisbon", "nights": 5, "step": path})
                call = {"id": f"c{place}", "type": "function", "function": {"name": "find", "arguments": arguments}}
                messages += [
                    {"role": "assistant", "content": None, "tool_calls": [call]},
                    {"role": "tool", "tool_call_id": f"c{place}", "content": '{"found": 3, "cheapest": 112.5}'},
                    _user(f"Good. Now {path.rpartition('/')[2]}."),
                ]
                at += took * dice.uniform(0.6, 1.1)
        wanted = requests + 3 * len(STEPS)
        while client.post("/v1/request/count/query", json={"filter": "all"}).json()["data"] < wanted:
            time.sleep(0.1)


def tell(
    client: httpx.Client,
    dice: random.Random,
    model: str,
    provider: str,
    at: float,
    took: float,
    said: dict[str, str],
    status: int,
    messages: list[Any] | None = None,
    *,
    streamed: bool = False,
) -> None:
    """Tell the gateway of one request: when it began (epoch seconds), how long it took, and its Helicone fields."""
    tokens = dice.randint(50, 4000), dice.randint(10, 900)
    body: dict[str, Any] = {"model": model, "messages": messages or [_user(QUESTION)]}
    if streamed:
        body["stream"] = True
    if provider == "openai":
        path, target = "/oai/v1/log", "https://api.openai.com/v1/chat/completions"
        answer: dict[str, Any] = {
            "object": "chat.completion",
            "model": model,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "I found three."}}],
            "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
        }
    else:
        path, target = "/anthropic/v1/log", "https://api.anthropic.com/v1/messages"
        body["max_tokens"] = 1000
        answer = {
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": "I found three."}],
            "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]},
        }
    if status >= 400:
        answer = {"error": {"message": f"{model} is busy", "type": "rate_limit_error", "code": "busy"}}
    told = {
        "providerRequest": {"url": target, "json": body, "meta": said},
        "providerResponse": {"json": answer, "status": status, "headers": {}},
        "timing": {
            "startTime": _moment(at),
            "endTime": _moment(at + took),
            "timeToFirstToken": round(took * dice.uniform(0.1, 0.3) * 1000),
        },
    }
    client.post(path, json=told, headers=said).raise_for_status()


def _afternoon(dice: random.Random, now: float) -> float:
    """Seconds ago, within two days and rather after noon (UTC)."""
    while True:
        ago = dice.random() * 2 * 86400
        if dice.random() < 0.25 + 0.75 * math.sin(math.pi * ((now - ago) / 86400 % 1 - 0.1)) ** 2:
            return ago


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _moment(at: float) -> dict[str, int]:
    return {"seconds": int(at), "milliseconds": int(at % 1 * 1000)}
