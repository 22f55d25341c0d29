"""Snippets: what to write in a program so that it calls this gateway, per SDK, and one request as curl or Python."""

from __future__ import annotations

import json
import shlex
from typing import Any, Final

SDKS: Final = (
    ("openai-python", "OpenAI, Python"),
    ("openai-node", "OpenAI, Node"),
    ("anthropic-python", "Anthropic, Python"),
    ("litellm", "LiteLLM"),
    ("curl", "curl"),
)
"""What there are snippets for: name and title."""

_KEY: Final = "HELICONE_GW_KEY"

_SNIPPETS: Final = {
    "openai-python": """\
{imports}from openai import OpenAI

client = OpenAI(base_url="{origin}/v1", api_key={key})

answer = client.chat.completions.create(
    model="demo",  # or any model of a provider that is configured
    messages=[{{"role": "user", "content": "Hello!"}}],
)
print(answer.choices[0].message.content)
""",
    "openai-node": """\
import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{origin}/v1", apiKey: {node_key} }});

const answer = await client.chat.completions.create({{
  model: "demo", // or any model of a provider that is configured
  messages: [{{ role: "user", content: "Hello!" }}],
}});
console.log(answer.choices[0].message.content);
""",
    "anthropic-python": """\
{imports}from anthropic import Anthropic

client = Anthropic(base_url="{origin}", api_key={key})

answer = client.messages.create(
    model="demo",  # or any model of a provider that is configured
    max_tokens=1024,
    messages=[{{"role": "user", "content": "Hello!"}}],
)
print(answer.content[0].text)
""",
    "litellm": """\
{imports}import litellm

answer = litellm.completion(
    model="openai/demo",
    api_base="{origin}/v1",
    api_key={key},
    messages=[{{"role": "user", "content": "Hello!"}}],
)
print(answer.choices[0].message.content)
""",
    "curl": """\
curl {origin}/v1/chat/completions \\
  -H 'content-type: application/json' \\{curl_key}
  -d '{{"model": "demo", "messages": [{{"role": "user", "content": "Hello!"}}]}}'
""",
}


def snippet(name: str, origin: str, *, keyed: bool) -> str:
    """The snippet for an SDK. ``keyed``: the gateway asks for a key, which the snippet takes from the environment."""
    return _SNIPPETS[name].format(
        origin=origin,
        imports="import os\n\n" if keyed else "",
        key=f'os.environ["{_KEY}"]' if keyed else '"sk-..."',
        node_key=f"process.env.{_KEY}" if keyed else '"sk-..."',
        curl_key=f'\n  -H "authorization: Bearer ${_KEY}" \\' if keyed else "",
    )


def curl(url: str, body: Any, *, keyed: bool) -> str:
    """A request that was logged, for a shell: ``body`` is its JSON."""
    lines = [f"curl {shlex.quote(url)}", "-H 'content-type: application/json'"]
    if keyed:
        lines.append(f'-H "helicone-auth: Bearer ${_KEY}"')
    lines.append(f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}")
    return " \\\n  ".join(lines) + "\n"


def python(url: str, body: Any, *, keyed: bool) -> str:
    """The same for Python with httpx."""
    header = f', headers={{"Helicone-Auth": "Bearer " + os.environ["{_KEY}"]}}' if keyed else ""
    start = "import os\n\nimport httpx\n" if keyed else "import httpx\n"
    call = f"httpx.post(\n    {url!r},\n    json={body!r},\n    timeout=600{header},\n)"
    return f"{start}\nanswer = {call}\nprint(answer.text)\n"
