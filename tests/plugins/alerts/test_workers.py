"""The real program with three workers: each thing is told once, and nothing is lost to a kill or a dead receiver."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from helicone_gw.testing import ScriptedProvider
from helicone_gw.testing.dialects import openai_chat
from tests.plugins.alerts.running import Mailbox, receiver, signed
from tests.program import EXECUTABLE, free_port

BODY = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello?"}]}


@contextmanager
def program(directory: Path, provider: str, port: int, alerts: Any) -> Iterator[subprocess.Popen[bytes]]:
    """The gateway, until it is killed at the end of the block."""
    config = {
        "server": {"port": port, "workers": 3, "allowed_targets": ["127.0.0.1/32"]},
        "database": {"url": f"sqlite:///{directory / 'gateway.db'}"},
        "providers": {"openai": {"base_url": provider, "api_key": "sk-upstream"}},
        "plugins": ["logging", "cost", {"alerts": {"poll_every": 0.2, "evaluate_every": 0.3, **alerts}}],
    }
    file = directory / "gateway.yaml"
    file.write_text(json.dumps(config))
    with (directory / "gateway.log").open("ab") as log:
        started = subprocess.Popen([EXECUTABLE, "--config", file], stdout=log, stderr=log, start_new_session=True)
    try:
        yield started
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


@asynccontextmanager
async def client(port: int) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway, once it is ready; every request comes over a connection of its own, to any worker."""
    limits = httpx.Limits(max_keepalive_connections=0)
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=30, limits=limits) as found:
        async with asyncio.timeout(60):
            while True:
                try:
                    if (await found.get("/readyz")).status_code == 200:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.05)
        yield found


async def until(what: Any, seconds: float = 40) -> None:
    """Wait until ``what()`` holds."""
    async with asyncio.timeout(seconds):
        while not what():
            await asyncio.sleep(0.05)


async def test_an_alert_is_told_by_mail_and_webhook_once_and_resolved_once(tmp_path: Path, mailbox: Mailbox) -> None:
    sink, provider = receiver(), ScriptedProvider(default=openai_chat.error(500, "no"))
    async with sink.serve() as receiving, provider.serve() as upstream:
        config = {
            "channels": {
                "mail": {"type": "email", "to": ["ops@example.com"]},
                "hook": {"type": "webhook", "url": f"{receiving}/alerts", "secret": "s3cret"},
            },
            "smtp": {"host": "127.0.0.1", "port": mailbox.port, "security": "none", "sender": "gw@example.com"},
            "alerts": {
                "errors": {
                    "metric": "response.status",
                    "threshold": 50,
                    "minimum_requests": 6,
                    "channels": ["mail", "hook"],
                }
            },
        }
        port = free_port()
        with program(tmp_path, upstream, port, config):
            async with client(port) as http:
                for _ in range(6):
                    assert (await http.post("/v1/chat/completions", json=BODY)).status_code == 500
                await until(lambda: len(sink.requests) == 1 and len(mailbox.got) == 1)
                await asyncio.sleep(1.5)  # some further evaluations
                assert (len(sink.requests), len(mailbox.got)) == (1, 1)
                provider.default = openai_chat.reply("Better.")
                for _ in range(12):
                    assert (await http.post("/v1/chat/completions", json=BODY)).status_code == 200
                await until(lambda: len(sink.requests) == 2 and len(mailbox.got) == 2)
                await asyncio.sleep(1.5)
        assert [each.json()["event"] for each in sink.requests] == ["triggered", "resolved"]
        for each in sink.requests:
            assert each.headers.get("helicone-signature") == signed("s3cret", each.body)
        subjects = [line for each in mailbox.got for line in (each.content or b"").splitlines() if b"Subject" in line]
        assert subjects == [b"Subject: [triggered] errors", b"Subject: [resolved] errors"]


@pytest.mark.full
async def test_a_dead_receiver_and_a_kill_lose_nothing(tmp_path: Path) -> None:
    provider, sink, hook_port, port = (
        ScriptedProvider(default=openai_chat.reply()),
        receiver(),
        free_port(),
        free_port(),
    )
    async with provider.serve() as upstream:
        with program(tmp_path, upstream, port, {"retry_after": 0.5}):
            async with client(port) as http:
                destination = {"destination": f"http://127.0.0.1:{hook_port}/hook"}
                made = (await http.post("/v1/webhooks", json=destination)).json()["data"]
                ids = [(await http.post("/v1/chat/completions", json=BODY)).headers["helicone-id"] for _ in range(60)]
        async with sink.serve(port=hook_port):
            with program(tmp_path, upstream, port, {"retry_after": 0.5}):
                async with client(port) as http:
                    ids += [
                        (await http.post("/v1/chat/completions", json=BODY)).headers["helicone-id"] for _ in range(20)
                    ]
                    await until(lambda: len({each.json()["request_id"] for each in sink.requests}) == 80)
                    await asyncio.sleep(1)
        told = Counter(each.json()["request_id"] for each in sink.requests)
        assert told.keys() == set(ids)
        assert max(told.values()) == 1, "nobody was killed while it delivered"
        assert all(
            each.headers.get("helicone-signature") == signed(made["hmac_key"], each.body) for each in sink.requests
        )


@pytest.mark.full
async def test_an_evaluator_scores_a_thousand_requests_at_its_rate(tmp_path: Path) -> None:
    provider, port = ScriptedProvider(default=openai_chat.reply()), free_port()
    async with provider.serve() as upstream:
        with program(tmp_path, upstream, port, {}):
            async with client(port) as http:
                evaluator = {"scoring_type": "regex", "name": "greets", "code_template": "Hello"}
                made = (await http.post("/v1/evaluator", json=evaluator)).json()["data"]["id"]
                online = {"config": {"sampleRate": 30}}
                answer = await http.post(f"/v1/evaluator/{made}/onlineEvaluators", json=online)
                assert answer.status_code == 200
                gate = asyncio.Semaphore(8)

                async def ask() -> None:
                    async with gate:
                        assert (await http.post("/v1/chat/completions", json=BODY)).status_code == 200

                await asyncio.gather(*(ask() for _ in range(1000)))
                scored = {"filter": {"request_response_rmt": {"scores": {"greets": {"equals": 1}}}}}
                began, before = time.monotonic(), -1
                while time.monotonic() - began < 60:
                    count = (await http.post("/v1/request/count/query", json=scored)).json()["data"]
                    if count == before and count:
                        break
                    before = count
                    await asyncio.sleep(2)
                everything = (await http.post("/v1/request/count/query", json={"filter": "all"})).json()["data"]
                assert everything == 1000
                assert 240 <= count <= 360, "30 %, and four standard deviations"
