"""The programs under test: how they are configured and started, without starting them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helicone_gw.bench.peers import litellm, portkey
from helicone_gw.bench.subjects import NginxSubject, Profile, gateway, plugin_name
from helicone_gw.commands.loading import load

PLUGINS: list[Any] = [{"logging": {"max_body": "1MiB"}}, "cost", "security"]


@pytest.mark.parametrize(
    ("profile", "layers"),
    [
        ("default", ["logging", "cost", "security"]),
        ("minimal", []),
        ("no bodies", ["logging", "cost", "security"]),
    ],
)
def test_this_gateways_configuration_is_a_good_one(tmp_path: Path, profile: Profile, layers: list[str]) -> None:
    subject = gateway("uvicorn", "httpx", workers=2, plugins=PLUGINS)
    launch = subject.launch(tmp_path, 8080, 9001, profile)
    config = load(tmp_path / "gateway.yaml").config
    assert str(tmp_path / "gateway.yaml") in launch.command
    assert (config.server.engine, config.server.port, config.server.workers) == ("uvicorn", 8080, 2)
    assert config.upstream.transport == "httpx"
    assert [spec.plugin for spec in config.plugins] == layers
    if layers:
        written = json.loads((tmp_path / "gateway.yaml").read_text())["plugins"][0]["logging"]
        assert written == {"max_body": "1MiB", **({"bodies": "none"} if profile == "no bodies" else {})}


def test_bodies_are_left_out_of_a_logging_without_configuration_too() -> None:
    plugins = gateway("hypercorn", "fast", plugins=["logging", {"cost": None}]).configuration(1, 2, "no bodies")[
        "plugins"
    ]
    assert plugins == [{"logging": {"bodies": "none"}}, {"cost": None}]


def test_names_tell_what_differs_from_the_default() -> None:
    assert gateway("hypercorn", "fast").name == "helicone-gw hypercorn"
    assert gateway("granian", "aiohttp", workers=4).name == "helicone-gw granian + aiohttp x 4"


def test_a_key_goes_where_the_gateway_looks_for_it() -> None:
    assert gateway("hypercorn", "fast", key="sk-mine").request_headers(1) == {"helicone-auth": "Bearer sk-mine"}


def test_a_cache_is_seen_in_the_plugins() -> None:
    assert gateway("hypercorn", "fast", plugins=["logging", {"cache": {}}]).has_cache
    assert not gateway("hypercorn", "fast", plugins=PLUGINS).has_cache
    assert plugin_name({"cache": None}) == plugin_name("cache") == "cache"


def test_nginx_writes_all_its_files_where_it_is_told(tmp_path: Path) -> None:
    launch = NginxSubject(name="nginx", executable="nginx").launch(tmp_path, 8080, 9001, "default")
    text = (tmp_path / "nginx.conf").read_text()
    assert "listen 127.0.0.1:8080;" in text
    assert "server 127.0.0.1:9001;" in text
    assert "{" in text
    assert "{{" not in text
    assert launch.command[0] == "nginx"


def test_litellm_comes_from_its_environment(tmp_path: Path) -> None:
    assert litellm(tmp_path) is None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "litellm").touch()
    (tmp_path / "lib/python3.11/site-packages/litellm-1.2.3.dist-info").mkdir(parents=True)
    subject = litellm(tmp_path)
    assert subject is not None
    assert subject.version == "1.2.3"
    launch = subject.launch(tmp_path, 8080, 9001, "default")
    assert launch.environment["LITELLM_MASTER_KEY"] in subject.request_headers(9001)["authorization"]
    assert "http://127.0.0.1:9001/v1" in (tmp_path / "litellm.yaml").read_text()


def test_portkey_comes_from_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("helicone_gw.bench.peers._node", lambda program: f"/bin/{program}")
    assert portkey(tmp_path) is None
    package = tmp_path / "node_modules/@portkey-ai/gateway"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"version": "1.15.2"}')
    subject = portkey(tmp_path)
    assert subject is not None
    assert subject.version == "1.15.2"
    assert subject.launch(tmp_path, 8080, 9001, "default").command[-2:] == ["--port=8080", "--headless"]
    assert subject.request_headers(9001)["x-portkey-custom-host"] == "http://127.0.0.1:9001/v1"
