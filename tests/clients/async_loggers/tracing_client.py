"""Run where helicone-async is installed: its traces of a call and of a stream."""

from __future__ import annotations

import json
import sys

import openai
from helicone_async import HeliconeAsyncLogger
from traceloop.sdk.decorators import workflow

given = json.loads(sys.argv[1])
logger = HeliconeAsyncLogger(api_key=given["key"], base_url=f"{given['gateway']}/v1/trace/log-python")
logger.init()
logger.set_properties({"Helicone-User-Id": "traced", "Helicone-Property-Tier": "gold"})
client = openai.OpenAI(base_url=f"{given['provider']}/openai/v1", api_key="sk-of-the-client", max_retries=0)


@workflow(name="trip")
def trip() -> None:
    client.chat.completions.create(**given["request"])
    for _ in client.chat.completions.create(**given["request"], stream=True, stream_options={"include_usage": True}):
        pass


trip()
