"""The programs under test: this gateway in its variants, a program that already runs, nginx, the provider by itself."""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Literal

from helicone_gw.bench.processes import Launch

Profile = Literal["default", "minimal", "no bodies"]
"""How this gateway is configured: every default plugin; none (``minimal.yaml``); the default without stored bodies."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A program under test.

    ``warmup`` requests bring it to its steady state; of a case's requests it gets the share ``weight``, so that a slow
    one takes no longer than a fast one. ``exact``: it must relay the provider's very bytes. ``profiles`` are those that
    it knows; what has only one is measured once.
    """

    name: str
    version: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    warmup: int = 2000
    weight: float = 1.0
    exact: bool = True
    profiles: tuple[Profile, ...] = ("default",)
    has_cache: bool = False
    external: ClassVar[bool] = False

    def launch(self, directory: Path, port: int, provider: int, profile: Profile) -> Launch:
        """How to start it on ``port``, with the provider at port ``provider``; its files go to ``directory``."""
        raise NotImplementedError

    def request_headers(self, provider: int) -> dict[str, str]:
        """The headers of a request to it, beside an SDK's own."""
        return self.headers


@dataclass(frozen=True, kw_only=True)
class GatewaySubject(Subject):
    """This gateway, started from this installation, with an engine, a transport and a number of workers.

    ``plugins`` are the items of the YAML list, outermost first.
    """

    engine: str
    transport: str
    workers: int = 1
    plugins: Sequence[Any] = ()
    profiles: tuple[Profile, ...] = ("default", "minimal", "no bodies")

    def launch(self, directory: Path, port: int, provider: int, profile: Profile) -> Launch:
        """See `Subject.launch`."""
        file = directory / "gateway.yaml"
        file.write_text(json.dumps(self.configuration(port, provider, profile), indent=2))  # JSON is YAML
        return Launch([sys.executable, "-m", "helicone_gw_script", "--config", str(file)])

    def configuration(self, port: int, provider: int, profile: Profile) -> dict[str, Any]:
        """The gateway's configuration, as the YAML file would have it."""
        openai = {"base_url": f"http://127.0.0.1:{provider}/v1"}
        if profile != "minimal":
            openai["api_key"] = "sk-bench-provider"
        return {
            "server": {"host": "127.0.0.1", "port": port, "engine": self.engine, "workers": self.workers},
            "upstream": {"transport": self.transport},
            "database": {"url": "sqlite:///bench.db"},
            "providers": {"openai": openai},
            "plugins": self._layers(profile),
        }

    def _layers(self, profile: Profile) -> list[Any]:
        if profile == "minimal":
            return []
        return _without_bodies(self.plugins) if profile == "no bodies" else list(self.plugins)


def gateway(
    engine: str, transport: str, *, workers: int = 1, plugins: Sequence[Any] = (), key: str | None = None
) -> GatewaySubject:
    """This gateway. ``key`` is a gateway key, where ``plugins`` ask for one."""
    name = f"helicone-gw {engine}"
    name += "" if transport == "fast" else f" + {transport}"
    name += f" x {workers}" if workers > 1 else ""
    return GatewaySubject(
        name=name,
        version=version("helicone-gw-core"),
        engine=engine,
        transport=transport,
        workers=workers,
        plugins=plugins,
        headers={"helicone-auth": f"Bearer {key}"} if key else {},
        has_cache=any(plugin_name(item) == "cache" for item in plugins),
    )


@dataclass(frozen=True, kw_only=True)
class ExternalSubject(Subject):
    """A program that runs already, its process id given where its CPU and memory are wanted.

    Its provider must be the mock provider of this benchmark, which can be told its port.
    """

    host: str
    port: int
    path: str
    pid: int | None = None
    external: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class NginxSubject(Subject):
    """nginx as a plain reverse proxy: one worker, kept-alive upstream connections, no log, no buffering of replies."""

    executable: str

    def launch(self, directory: Path, port: int, provider: int, profile: Profile) -> Launch:
        """See `Subject.launch`."""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "\n  ".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
        file = directory / "nginx.conf"
        file.write_text(NGINX.format(directory=directory, port=port, provider=provider, temporary=temporary))
        return Launch([self.executable, "-p", str(directory), "-e", str(directory / "error.log"), "-c", str(file)])


NGINX = """\
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  tcp_nodelay on;
  client_max_body_size 64m;
  client_body_buffer_size 1m;
  keepalive_requests 1000000000;
  {temporary}
  upstream provider {{ server 127.0.0.1:{provider}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def nginx() -> NginxSubject | None:
    """nginx, where it is installed."""
    executable = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if executable is None:
        return None
    told = subprocess.run([executable, "-v"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"nginx/([\d.]+)", told.stderr)
    return NginxSubject(name="nginx", version=found[1] if found else "", executable=executable)


def cpu_model() -> str:
    """The processor's name, as the system tells it."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def plugin_name(item: Any) -> str:
    """The name in an item of the YAML list of plugins: the item itself, or its only key."""
    return str(next(iter(item))) if isinstance(item, dict) else str(item)


def _without_bodies(plugins: Sequence[Any]) -> list[Any]:
    return [
        {"logging": {**(item["logging"] or {} if isinstance(item, dict) else {}), "bodies": "none"}}
        if plugin_name(item) == "logging"
        else item
        for item in plugins
    ]
