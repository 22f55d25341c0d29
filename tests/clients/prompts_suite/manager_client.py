"""Run where helicone-helpers is installed: what its prompt manager makes of a prompt, printed as one JSON object."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import openai
from helicone_helpers import HeliconePromptManager

given = json.loads(sys.argv[1])
manager = HeliconePromptManager(api_key=given["key"], base_url=given["gateway"])
asked = {"prompt_id": given["prompt"], "inputs": given["inputs"], "model": "gpt-4o-mini"}


async def asynchronously() -> Any:
    async with manager:
        version = await manager.apull_prompt_version({**asked, "environment": "production"})
        return version.id, (await manager.aget_prompt_body(asked))["body"]


made = manager.get_prompt_body(asked)
versions = [
    manager.pull_prompt_version(asked),
    manager.pull_prompt_version({**asked, "environment": "production"}),
    manager.pull_prompt_version({**asked, "version_id": given["version"]}),
]
outer = manager.pull_prompt_body({"prompt_id": given["outer"]})
contents = {
    partial.raw: manager.get_prompt_partial_substitution_value(
        partial, manager.pull_prompt_body({"prompt_id": partial.prompt_id, "environment": partial.environment})
    )
    for partial in manager.extract_prompt_partials(outer)
}
whole = manager.merge_prompt_body({"inputs": given["inputs"]}, outer, contents)["body"]
client = openai.OpenAI(base_url=f"{given['gateway']}/v1", api_key=given["key"], max_retries=0)
client.chat.completions.create(**made["body"], user=given["user"])
print(
    json.dumps(
        {
            "made": made["body"],
            "problems": [problem.variable for problem in made["errors"]],
            "versions": [(version.id, version.major_version, version.minor_version) for version in versions],
            "asynchronous": asyncio.run(asynchronously()),
            "whole": whole,
        }
    )
)
