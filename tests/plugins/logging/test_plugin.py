"""The hooks: from startup to shutdown, alone and beside other processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from helicone_gw.clock import SystemClock
from helicone_gw.database import Database
from helicone_gw.exchange import Exchange
from helicone_gw_logging import get_request, list_requests
from helicone_gw_logging.config import LoggingConfig
from helicone_gw_logging.plugin import VERSIONS, LoggingPlugin
from helicone_gw_logging.redact import OVERLAP
from tests.fixtures.processes import PROCESSES

Build = Callable[..., Exchange]


@pytest.mark.parametrize("url", ["sqlite:///{}/new.db", "sqlite://"])
async def test_from_startup_to_shutdown(exchange: Build, gateway: Any, tmp_path: Path, url: str) -> None:
    database = Database(url.format(tmp_path))
    plugin = LoggingPlugin(LoggingConfig(), "logging")
    running = gateway(database)
    await plugin.startup(running)
    done = exchange()
    plugin.on_finish(done)
    await plugin.flush()
    assert await get_request(database, done.id) is not None
    plugin.on_finish(exchange())
    await plugin.shutdown(running)
    assert len(await list_requests(database)) == 2
    assert (plugin.counters.rows_written, plugin.counters.rows_dropped) == (2, 0)
    await database.close()


async def test_it_fails_open_and_asks_for_as_much_of_each_body_as_it_stores() -> None:
    plugin = LoggingPlugin(LoggingConfig(max_body="1KiB"), "logging")
    assert plugin.on_failure == "open"
    assert plugin.capture_bytes == 1024 + OVERLAP
    assert LoggingPlugin(LoggingConfig(bodies="none"), "logging").capture_bytes == 0


async def test_without_bodies(database: Database, exchange: Build, gateway: Any) -> None:
    plugin = LoggingPlugin(LoggingConfig(bodies="none"), "logging")
    await plugin.startup(gateway(database))
    done = exchange()
    plugin.on_finish(done)
    await plugin.shutdown(gateway(database))
    detail = await get_request(database, done.id)
    assert detail is not None
    assert (detail.request_body, detail.response_body) == (None, None)


async def test_the_configured_keys_are_never_stored(database: Database, exchange: Build, gateway: Any) -> None:
    providers = {
        "local": SimpleNamespace(api_key=SecretStr("my plain password")),
        "open": SimpleNamespace(api_key=None),
    }
    plugin = LoggingPlugin(LoggingConfig(), "logging")
    await plugin.startup(gateway(database, providers))
    done = exchange(answer=b'{"error":"wrong key: my plain password"}')
    plugin.on_finish(done)
    await plugin.shutdown(gateway(database))
    detail = await get_request(database, done.id)
    assert detail is not None
    assert detail.response_body is not None
    assert detail.response_body.data == b'{"error":"wrong key: [redacted]"}'


async def test_shutdown_without_startup_is_harmless_and_a_lost_row_is_not_silent(
    database: Database, exchange: Build, gateway: Any
) -> None:
    plugin = LoggingPlugin(LoggingConfig(), "logging")
    await plugin.shutdown(gateway(database))
    await plugin.flush()
    assert plugin.counters.rows_written == 0
    with pytest.raises(RuntimeError, match="not started"):
        plugin.on_finish(exchange())


@pytest.mark.parametrize(
    "wrong", [{"bodies": "some"}, {"max_body": 0}, {"batch_rows": 0}, {"queue_max_rows": 0}, {"batch_ms": -1}, {"x": 1}]
)
def test_wrong_configuration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LoggingConfig(**wrong)


def worker(path: str, rows: int) -> None:
    """One worker process: starts, logs, stops."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("logging_conftest", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    kit = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kit)

    async def run() -> None:
        database = Database(f"sqlite:///{path}")
        plugin = LoggingPlugin(LoggingConfig(batch_rows=10, batch_ms=1), "logging")
        config = SimpleNamespace(providers={})
        gateway: Any = SimpleNamespace(database=database, log=kit.Log(), config=config, clock=SystemClock())
        await plugin.startup(gateway)
        for _ in range(rows):
            plugin.on_finish(kit.build())
            await asyncio.sleep(0)
        await plugin.shutdown(gateway)
        await database.close()
        assert plugin.counters.rows_written == rows

    asyncio.run(run())


async def test_several_workers_share_one_file(tmp_path: Path) -> None:
    path = str(tmp_path / "shared.db")
    processes = [PROCESSES.Process(target=worker, args=(path, 100)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        await asyncio.to_thread(process.join)
    assert [process.exitcode for process in processes] == [0, 0]
    database = Database(f"sqlite:///{path}")
    await database.migrate("logging", VERSIONS)
    logged = await list_requests(database, limit=1000)
    await database.close()
    assert len({one.row.id for one in logged}) == 200
