"""The program and its signals: draining, workers, reloading, engines, what it says when it cannot start."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest
from running import BODY, EXECUTABLE, STREAMED, Start, connected, received, request, statuses_in

from helicone_gw.testing import ScriptedProvider, of_bytes
from helicone_gw.testing.dialects import openai_chat


async def test_a_stop_lets_streams_finish_and_exits_with_0(
    engine: str, start: Start, client: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    """Meanwhile it takes no further connection, and waits for no idle one."""
    script = openai_chat.stream([f"{number} " for number in range(15)], include_usage=False).paced(0.2)
    provider.enqueue(script)
    config = {"server": {"engine": engine, "drain_timeout": 60}}
    async with (
        provider.serve() as base,
        start(config, base) as program,
        connected(program.port) as unused,
        connected(program.port) as idle,
        client.stream("POST", program.url + "/v1/chat/completions", json=STREAMED) as answer,
    ):
        idle[1].write(request(None, target=b"/healthz", method=b"GET"))
        assert statuses_in(await received(idle[0], until=b"ok")) == [200]
        pieces = answer.aiter_raw()
        body = await anext(pieces)
        program.signal(signal.SIGTERM)
        assert await received(idle[0]) == b""
        assert await received(unused[0]) == b""
        assert script.body != body, "the stream was still under way"
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(trust_env=False) as late:
                await late.get(program.url + "/healthz")
        async for piece in pieces:
            body += piece
        assert body == script.body
        assert await program.ended(20) == 0


async def test_a_stream_that_outlasts_the_drain_is_cut_and_the_program_still_exits(
    engine: str, start: Start, client: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    provider.enqueue(openai_chat.stream(("one", "two", "three")).paced(30))
    config = {"server": {"engine": engine, "drain_timeout": 1}}
    async with provider.serve() as base, start(config, base) as program:
        with pytest.raises(httpx.RemoteProtocolError):
            async with client.stream("POST", program.url + "/v1/chat/completions", json=STREAMED) as answer:
                async for _ in answer.aiter_raw():
                    program.signal(signal.SIGTERM)
        assert await program.ended(20) == 0


async def test_a_client_that_takes_nothing_does_not_keep_the_program_from_stopping(
    engine: str, start: Start, provider: ScriptedProvider
) -> None:
    provider.default = of_bytes(b"x" * (64 << 20), content_type="application/octet-stream")
    config = {"server": {"engine": engine, "drain_timeout": 1}}
    async with (
        provider.serve() as base,
        start(config, base) as program,
        connected(program.port) as (reader, writer),
    ):
        writer.write(request(None, target=b"/v1/files/file-1/content", method=b"GET"))
        assert statuses_in(await reader.readuntil(b"\r\n\r\n")) == [200]
        await asyncio.sleep(0.5)
        program.signal(signal.SIGTERM)
        assert await program.ended(20) == 0, program.output()


@pytest.mark.parametrize("other", ["uvicorn", "granian"])
async def test_workers_serve_over_other_engines(other: str, start: Start) -> None:
    async with start({"server": {"engine": other, "workers": 2}}) as program:
        await _children(program.process.pid, 2)
        for _ in range(10):
            async with httpx.AsyncClient(trust_env=False) as fresh:
                answer = await fresh.post(program.url + "/v1/chat/completions", json={**BODY, "model": "demo"})
            assert answer.status_code == 200
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


async def test_workers_share_the_port_and_a_dead_one_is_replaced(start: Start, client: httpx.AsyncClient) -> None:
    async with start({"server": {"workers": 2}}) as program:
        children = await _children(program.process.pid, 2)
        for _ in range(10):
            async with httpx.AsyncClient(trust_env=False) as fresh:
                answer = await fresh.post(program.url + "/v1/chat/completions", json={**BODY, "model": "demo"})
            assert answer.status_code == 200
        await asyncio.sleep(5)  # a worker that dies younger than this is taken for one that cannot live
        program.signal(signal.SIGHUP)  # the workers read the configuration anew; nobody dies of it
        await asyncio.sleep(0.5)
        assert program.process.returncode is None
        assert set(await _children(program.process.pid, 2)) == set(children)
        os.kill(children[0], signal.SIGKILL)
        async with asyncio.timeout(30):
            while True:
                now = await _children(program.process.pid, 2)
                if children[0] not in now:
                    break
                await asyncio.sleep(0.1)
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


async def test_workers_of_another_gateway_do_not_get_its_port(start: Start, tmp_path: Path) -> None:
    async with start({"server": {"workers": 2}}) as program:
        await _children(program.process.pid, 2)
        file = tmp_path / "second.yaml"
        for workers in (2, 1):
            file.write_text(f"server: {{port: {program.port}, workers: {workers}}}")
            code, output = await _run("--config", file, cwd=tmp_path)
            assert code == 2
            assert f"cannot listen on 127.0.0.1:{program.port}: Address already in use; stop the program" in output
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


async def test_workers_whose_parent_is_killed_leave_the_port(start: Start) -> None:
    async with start({"server": {"workers": 2}}) as program:
        workers = await _children(program.process.pid, 2)
        program.signal(signal.SIGKILL)
        assert await program.ended() == -signal.SIGKILL
        async with asyncio.timeout(30):
            while any(_runs(worker) for worker in workers):
                await asyncio.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()  # empty, once it is a zombie
    except OSError:
        return False


async def _children(parent: int, count: int) -> list[int]:
    """Worker processes (not multiprocessing's own helper) of ``parent``, once there are ``count``."""
    async with asyncio.timeout(30):
        while True:
            found = []
            for task in Path(f"/proc/{parent}/task").iterdir():
                for child in (task / "children").read_text().split():
                    try:
                        command = Path(f"/proc/{child}/cmdline").read_bytes()
                    except OSError:
                        continue
                    if b"spawn_main" in command:
                        found.append(int(child))
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)


async def test_sighup_reads_the_configuration_anew(start: Start, client: httpx.AsyncClient) -> None:
    async with start({"plugins": []}) as program:
        url = program.url + "/v1/chat/completions"
        assert (await client.post(url, json={**BODY, "model": "house"})).status_code == 401
        whole = json.loads(program.config.read_text())
        program.config.write_text(json.dumps({**whole, "models": {"house": {"providers": ["demo"], "model": "demo"}}}))
        program.signal(signal.SIGHUP)
        async with asyncio.timeout(20):
            while (await client.post(url, json={**BODY, "model": "house"})).status_code != 200:
                await asyncio.sleep(0.1)
        program.config.write_text("server: {port: wrong}")
        program.signal(signal.SIGHUP)
        async with asyncio.timeout(20):
            while "not reloaded" not in program.output():
                await asyncio.sleep(0.1)
        assert (await client.post(url, json={**BODY, "model": "house"})).status_code == 200
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


async def test_a_reload_cuts_no_stream_however_long_and_costs_no_row(
    engine: str, start: Start, client: httpx.AsyncClient, provider: ScriptedProvider
) -> None:
    script = openai_chat.stream(("one", "two", "three", "four"), include_usage=False).paced(0.5)
    provider.enqueue(script)
    config = {"server": {"engine": engine, "drain_timeout": 1}, "plugins": ["logging"]}
    async with provider.serve() as base, start(config, base) as program:
        async with client.stream("POST", program.url + "/v1/chat/completions", json=STREAMED) as answer:
            pieces = answer.aiter_raw()
            body = await anext(pieces)
            program.signal(signal.SIGHUP)
            async for piece in pieces:
                body += piece
        assert body == script.body
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0
        code, rows = await _run("--config", program.config, "logs", "--json", cwd=program.config.parent)
        assert code == 0
        assert [json.loads(row)["outcome"] for row in rows.splitlines()] == ["ok"]


async def test_nothing_leaks_over_answers_errors_and_departures(
    engine: str, start: Start, provider: ScriptedProvider
) -> None:
    async with provider.serve() as base, start({"server": {"engine": engine}}, base) as program:
        files = Path(f"/proc/{program.process.pid}/fd")

        async def one_of_each() -> None:
            provider.default = openai_chat.reply("Hello!")
            async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
                url = program.url + "/v1/chat/completions"
                assert (await client.post(url, json=BODY)).status_code == 200
                provider.default = openai_chat.error(500, "oops")
                assert (await client.post(url, json=BODY)).status_code == 500
                provider.default = openai_chat.stream(("one", "two")).paced(5)
                async with client.stream("POST", url, json=STREAMED) as answer:
                    await anext(answer.aiter_raw())

        for _ in range(5):
            await one_of_each()
        await _settled(program.url)
        before = len(list(files.iterdir()))
        for _ in range(30):
            await one_of_each()
        await _settled(program.url)
        async with asyncio.timeout(15):
            while len(list(files.iterdir())) > before + 3:
                await asyncio.sleep(0.2)


async def _settled(url: str) -> None:
    async with asyncio.timeout(20), httpx.AsyncClient(trust_env=False) as client:
        while (await client.get(url + "/readyz")).json()["active"]:
            await asyncio.sleep(0.05)


async def _run(*arguments: str | Path, cwd: Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        EXECUTABLE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=cwd
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_a_port_in_use_is_said_plainly(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        file = tmp_path / "gateway.yaml"
        file.write_text(f"server: {{port: {port}}}")
        code, output = await _run("--config", file, cwd=tmp_path)
    assert code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in output
    assert "Traceback" not in output


async def test_an_open_bind_without_keys_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("server: {host: 0.0.0.0, port: 0}")
    code, output = await _run("--config", file, cwd=tmp_path)
    assert code == 2
    assert "security.keys" in output


async def test_a_wrong_configuration_is_told_whole_with_its_places(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("server:\n  prot: 1\nplugins:\n  - loging\n")
    code, output = await _run("run", "--config", file, cwd=tmp_path)
    assert code == 2
    assert "gateway.yaml:2:3" in output
    assert "did you mean 'port'" in output
    assert "pip install helicone-gw-loging" in output
