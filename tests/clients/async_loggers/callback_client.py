"""Run where litellm is installed: ``success_callback = ["helicone"]`` after a call of its own."""

from __future__ import annotations

import json
import sys

import litellm

given = json.loads(sys.argv[1])
litellm.suppress_debug_info = True
litellm.success_callback = ["helicone"]
metadata = {
    "Helicone-User-Id": "called-back",
    "Helicone-Property-Tier": "gold",
    "Helicone-Session-Id": "trip-1",
    "Helicone-Session-Path": "/plan",
}
where = {"api_base": f"{given['provider']}/openai/v1", "api_key": "sk-of-the-client", "max_retries": 0}
request = {**given["request"], "model": f"openai/{given['request']['model']}"}
litellm.completion(**request, **where, metadata=metadata)
# What calls back is a thread of a pool; Python waits for it before it ends. Of streams litellm 1.108 tells nothing: it
# fails to encode its own usage.
