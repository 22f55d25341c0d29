"""Watching: the folder of ``dir`` through a whole gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from helicone_gw import ConfigError
from helicone_gw.testing import GatewayFactory, RunningGateway
from helicone_gw_prompts.config import PromptsConfig
from helicone_gw_prompts.plugin import PromptsPlugin
from tests.plugins.prompts.running import CHAT, plugin, rest, sent


def write(folder: Path, content: str, name: str = "hello.yaml") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"prompt:\n  model: gpt-4o-mini\n  messages: [{{role: user, content: '{content}'}}]\n")


async def content(running: RunningGateway) -> Any:
    await running.request("POST", CHAT, json={"prompt_id": "hello"})
    return sent(running)["messages"][0]["content"]


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Wait for it; a test that waits too long is ended by the run itself."""
    while not await look():
        await asyncio.sleep(0.02)


async def test_files_are_prompts_and_changes_are_seen(gateway: GatewayFactory, tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    write(folder, "first")
    async with gateway([{"prompts": {"dir": str(folder)}}]) as running:
        assert await content(running) == "first"
        write(folder, "second")

        async def second() -> bool:
            return await content(running) == "second"

        await until(second)
        write(folder, "{{hc:broken}}")
        write(folder, "another", "new.yaml")

        async def other() -> bool:
            return await rest(running, "GET", "/v1/prompt-2025/count") == 2

        await until(other)
        assert await content(running) == "second"
        counters = plugin(running)._watch.counters  # type: ignore[union-attr]
        assert counters.taken == 3
        assert counters.refused >= 1
        assert running.gateway.audit.entries == 3, "each is in the audit log"
        found = await rest(running, "POST", "/v1/prompt-2025/query/versions", {"promptId": "hello"})
        assert [(each["minor_version"], each["commit_message"]) for each in found] == [
            (1, "From its file"),
            (0, "From its file"),
        ]


@pytest.mark.virtual_time
async def test_broken_files_stop_the_start_with_their_places(gateway: GatewayFactory, tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    write(folder, "Hi {{hc:name}}")
    with pytest.raises(ConfigError, match=r"hello\.yaml:3:\d+: prompt\.messages\[0\]\.content: the tag '{{hc:name}}'"):
        async with gateway([{"prompts": {"dir": str(folder)}}]):
            pass
    with pytest.raises(ConfigError, match="no such folder"):
        async with gateway([{"prompts": {"dir": str(tmp_path / "none")}}]):
            pass


def test_check_names_broken_files(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    write(folder, "Hi {{hc:name}}")
    config: Any = None
    (told,) = PromptsPlugin(PromptsConfig(dir=str(folder)), "prompts").remarks(config)
    assert told.startswith(f"{folder}/hello.yaml:3:")
    assert PromptsPlugin(PromptsConfig(), "prompts").remarks(config) == []


@pytest.mark.virtual_time
async def test_an_organizations_files_and_a_restart(gateway: GatewayFactory, tmp_path: Path) -> None:
    """What was taken over once and edited since is not taken over again."""
    folder = tmp_path / "prompts"
    write(folder, "file")
    config = {"database": {"url": f"sqlite:///{tmp_path / 'p.db'}"}}
    plugins = [{"prompts": {"dir": str(folder), "watch": False}}]
    async with gateway(plugins, config=config) as running:
        data = {"promptId": "hello"}
        found = await rest(running, "POST", "/v1/prompt-2025/query/production-version", data)
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "edited"}]}
        update = {**data, "promptVersionId": found["id"], "promptBody": body, "environment": "production"}
        await rest(running, "POST", "/v1/prompt-2025/update", update)
    async with gateway(plugins, config=config) as running:
        assert await content(running) == "edited"
    async with gateway([{"prompts": {"dir": str(folder), "organization": "two"}}], config=config) as running:
        assert await content(running) == "edited"
        assert await rest(running, "GET", "/v1/prompt-2025/count") == 1
