"""The fixtures of the end-to-end tests: the real program over every engine, a client, a provider."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from helicone_gw.testing import ScriptedProvider
from tests.clients.gateways import DATABASE, reserved
from tests.core.engines.certificates import PASSWORD, make_certificate, tls
from tests.program import free_port, process

sys.path.insert(0, str(Path(__file__).parent))
from running import ENGINES, EXECUTABLE, Program, Shared, Start


@pytest.fixture(params=ENGINES, scope="module")
def engine(request: pytest.FixtureRequest) -> str:
    """Every HTTP server that can run the gateway."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the provider is that the shared gateway calls."""
    with reserved() as number:
        yield number


@pytest.fixture(scope="module")
def shared(engine: str, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """A gateway over one engine, started once per module."""
    with running(engine, port, tmp_path_factory.mktemp(engine)) as program:
        yield program


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for this machine."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(engine: str, port: int, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """The same with a certificate, whose key is encrypted where the engine can read that."""
    own = tls(certificate) if engine == "granian" else tls(certificate, "locked.pem", key_password=PASSWORD)
    with running(engine, port, tmp_path_factory.mktemp(engine), tls=own) as program:
        yield program


@contextmanager
def running(engine: str, provider: int, directory: Path, **server: Any) -> Iterator[Shared]:
    """A gateway over ``engine`` in front of the provider at a port of this machine."""
    url = f"http{'s' if 'tls' in server else ''}://127.0.0.1:{free_port()}"
    known = {"base_url": f"http://127.0.0.1:{provider}", "api_key": "sk-upstream"}
    config = {
        "server": {
            "host": "127.0.0.1",
            "port": int(url.rsplit(":", 1)[1]),
            "engine": engine,
            "max_body": "4MiB",
            "drain_timeout": 1,
            **server,
        },
        "database": {"url": f"sqlite:///{directory / DATABASE}"},
        "providers": {"openai": known, "anthropic": known},
        "plugins": ["logging"],
    }
    file = directory / "gateway.yaml"
    file.write_text(json.dumps(config))
    command = [EXECUTABLE, "--config", file]
    with process(command, f"{url}/readyz", directory / "gateway.log", cwd=directory) as pid:
        yield Shared(url, directory, pid, engine)


@pytest.fixture
async def behind(port: int) -> AsyncIterator[ScriptedProvider]:
    """The provider behind the shared gateway."""
    scripted = ScriptedProvider()
    async with scripted.serve(port=port):
        yield scripted


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start the program on a configuration (JSON is YAML); ``provider`` becomes openai's and anthropic's address."""

    @asynccontextmanager
    async def starting(config: dict[str, Any], provider: str | None = None) -> AsyncIterator[Program]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        known = {name: {"base_url": provider, "api_key": "sk-upstream"} for name in ("openai", "anthropic")}
        whole = {"providers": known if provider else {"demo": {}}, **config}
        whole["server"] = {"port": port, **config.get("server", {})}
        file = tmp_path / f"gateway-{port}.yaml"
        file.write_text(json.dumps(whole))
        log = tmp_path / f"gateway-{port}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                EXECUTABLE, "--config", file, stdout=output, stderr=output, cwd=tmp_path, start_new_session=True
            )
        program = Program(process, f"http://127.0.0.1:{port}", file, log)
        try:
            await _ready(program)
            yield program
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    return starting


async def _ready(program: Program) -> None:
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
        while True:
            if program.process.returncode is not None:
                pytest.fail(f"the gateway ended:\n{program.output()}")
            try:
                if (await client.get(program.url + "/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()
