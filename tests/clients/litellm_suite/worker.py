"""litellm, told line by line what to call; it answers with what came of each call.

It is run by the Python of the suite's environment, never by this project's. A line in, a line out, both JSON objects::

    {"function": "completion", "arguments": {...}, "settings": {"enable_preview_features": true}}
    {"answers": [{...}], "headers": {...}, "error": null}

``settings`` are litellm's module variables, for this call. ``answers`` are a unary answer, or the chunks of a stream;
``headers`` are those of the HTTP answer; ``error`` is what the call, or the reading of its stream, raised.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from typing import Any

import litellm

litellm.suppress_debug_info = True


async def outcome(function: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a function of litellm and read its stream, if it gives one."""
    answers: list[Any] = []
    headers: dict[str, str] = {}
    error: dict[str, Any] | None = None
    try:
        answer = getattr(litellm, function)(**arguments)
        awaited = inspect.isawaitable(answer)
        if awaited:
            answer = await answer
        headers = _headers(answer)
        if not arguments.get("stream"):
            answers.append(answer.model_dump())
        elif awaited:
            async for chunk in answer:
                answers.append(chunk.model_dump())  # noqa: PERF401 (what came before an error counts)
        else:
            answers.extend(chunk.model_dump() for chunk in answer)
    except Exception as raised:
        status = getattr(raised, "status_code", None)
        error = {"type": type(raised).__name__, "status": status, "message": str(raised)}
    return {"answers": answers, "headers": headers, "error": error}


def _headers(answer: Any) -> dict[str, str]:
    hidden = getattr(answer, "_hidden_params", {})
    sent = hidden.get("additional_headers") or {}
    return {name.removeprefix("llm_provider-"): str(value) for name, value in sent.items()}


def main() -> None:
    """Do calls until the input ends."""
    # What litellm prints goes where errors go: the output is for outcomes alone.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with asyncio.Runner() as runner:
        for line in sys.stdin:
            call = json.loads(line)
            before = {name: getattr(litellm, name) for name in call["settings"]}
            vars(litellm).update(call["settings"])
            ended = runner.run(outcome(call["function"], call["arguments"]))
            vars(litellm).update(before)
            print(json.dumps(ended, default=str), file=output, flush=True)


if __name__ == "__main__":
    main()
