"""Run where the old ``helicone`` package is installed: its asynchronous logger, or its proxy and its feedback."""

from __future__ import annotations

import json
import sys

given = json.loads(sys.argv[1])

from helicone.globals import helicone_global  # noqa: E402

helicone_global.api_key = given["key"]
if given["way"] == "async":
    from helicone.openai_async import Meta, openai

    helicone_global.base_url = given["gateway"]
    openai.api_base, openai.api_key = f"{given['provider']}/openai/v1", "sk-of-the-client-0123456789"
    meta = Meta(custom_properties={"Tier": "gold"}, user_id="old-async")
    openai.ChatCompletion.create(**given["request"], helicone_meta=meta)
    for _ in openai.ChatCompletion.create(
        **given["request"], stream=True, stream_options={"include_usage": True}, helicone_meta=meta
    ):
        pass
else:
    from helicone.openai_proxy import openai, openai_injector

    helicone_global.proxy_url = openai.api_base = f"{given['gateway']}/v1"
    openai.api_key = "sk-of-the-client-0123456789"
    answer = openai.ChatCompletion.create(
        **given["request"], properties={"Tier": "gold"}, headers={"Helicone-User-Id": "old-proxy"}
    )
    said = openai_injector.injector.log_feedback(answer, "helpful", True, bool)
    print(json.dumps({"id": answer["helicone"]["id"], "status": answer["helicone"]["status"], "said": said}))
