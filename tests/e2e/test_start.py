"""The start of the program: what it does without, so that the first answer comes soon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helicone_gw.commands.loading import build_plugins, load
from helicone_gw.database import Database

DEFAULT = Path(__file__).parents[2] / "config" / "gateway.yaml"

# What commands, reports, rare features and other databases need; each of them was tens of milliseconds of every start.
PUT_OFF = """
aiohttp aiosmtplib alembic argon2 asyncpg authlib cryptography google granian helicone_gw.bench
helicone_gw.commands.line helicone_gw.testing httpx2._client joserfc jsonschema mako numpy obstore opentelemetry
prometheus_client promptbadger pyarrow pygments redis referencing rich typer uvicorn watchfiles websockets
"""

# Tells which modules there are once the program says that it listens, and ends it.
LISTENING = """
import os, signal, sys
import helicone_gw_script

class Banner:
    def write(self, text):
        if text.startswith("helicone-gw "):
            print(*sys.modules, file=sys.__stdout__, flush=True)
            os.kill(os.getpid(), signal.SIGTERM)

    def flush(self):
        pass

sys.stdout = Banner()
sys.argv = ["helicone-gw", "--config", sys.argv[1]]
helicone_gw_script.main()
"""


@pytest.mark.parametrize("tables", ["current", "none"])
async def test_a_start_imports_nothing_that_is_needed_later_or_never(tables: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    default = DEFAULT.read_text()
    assert default.count("port: 8787") == 1
    file.write_text(default.replace("port: 8787", "port: 0"))
    if tables == "current":
        database = Database(f"sqlite:///{tmp_path / 'helicone.db'}")
        for plugin in build_plugins(load(file).config):
            for branch, versions in plugin.migrations.items():
                await database.migrate(branch, versions)
        await database.close()

    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs here
        [sys.executable, "-c", LISTENING, file], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "helicone_gw_dashboard.plugin" in loaded, "with every default plugin"
    assert sorted(loaded.intersection(PUT_OFF.split())) == []
