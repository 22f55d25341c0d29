"""Run where helicone-helpers is installed: logs a call, a stream, a tool and a search by hand."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import openai
from helicone_helpers import HeliconeManualLogger

given = json.loads(sys.argv[1])
client = openai.OpenAI(base_url=f"{given['provider']}/openai/v1", api_key="sk-of-the-client", max_retries=0)
session = {"Helicone-Session-Id": "trip-1", "Helicone-Session-Name": "Trip"}
logger = HeliconeManualLogger(
    api_key=given["key"], headers={"Helicone-User-Id": "manual", **session}, logging_endpoint=given["gateway"]
)


def chat(recorder: Any) -> None:
    answer = client.chat.completions.create(**given["request"])
    recorder.append_results(answer.model_dump())


def tool(recorder: Any) -> None:
    recorder.append_results({"status": "success", "temperature": 18.5})


async def stream() -> None:
    request = {**given["request"], "stream": True, "stream_options": {"include_usage": True}}
    builder = logger.log_builder(request, {"Helicone-Session-Path": "/stream", "Helicone-Property-Tier": "gold"})
    for chunk in client.chat.completions.create(**request):
        builder.add_chunk(chunk.model_dump())
    await builder.send_log()


logger.log_request(given["request"], chat, {"Helicone-Session-Path": "/unary"}, provider="openai")
asyncio.run(stream())
logger.log_request({"_type": "tool", "toolName": "weather", "input": "Bern"}, tool, {"Helicone-Session-Path": "/tool"})
logger.log_request(
    {"_type": "vector_db", "operation": "search", "text": "lakes", "databaseName": "places"},
    tool,
    {"Helicone-Session-Path": "/search"},
)
