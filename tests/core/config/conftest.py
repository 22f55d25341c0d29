"""Loading a configuration from text, with plugins that exist only here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from helicone_gw.config import GatewayConfig, Secret, load_config
from helicone_gw.errors import ConfigError
from helicone_gw.plugin import Plugin, PluginConfig

KNOWN_PROVIDERS = ("openai", "anthropic", "gemini", "google", "groq", "demo")


class Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: str
    action: Literal["refuse", "warn"] = "warn"


class GuardConfig(PluginConfig):
    keys: dict[str, Secret | Rule] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    level: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _not_the_same(self) -> GuardConfig:
        secrets = [key.get_secret_value() for key in self.keys.values() if isinstance(key, Secret)]
        if len(set(secrets)) < len(secrets):
            raise ValueError("two keys are the same")
        return self


class GuardPlugin(Plugin):
    """Refuses what it is told to refuse.

    A second paragraph.
    """

    Config = GuardConfig


class CacheConfig(PluginConfig):
    backend: Literal["memory", "redis"] = "memory"
    size: Annotated[int, Field(description="Entries.")] = 10


class CachePlugin(Plugin):
    Config = CacheConfig


class NeedyConfig(PluginConfig):
    url: str


class NeedyPlugin(Plugin):
    Config = NeedyConfig


class TalkativeConfig(PluginConfig):
    token: str = ""

    @field_validator("token")
    @classmethod
    def _refuse(cls, token: str) -> str:
        if token == "crash":
            raise KeyError(token)
        raise ValueError(f"the token {token!r} is no good, {token} is bad")


class TalkativePlugin(Plugin):
    Config = TalkativeConfig


PLUGINS: dict[str, type[Plugin]] = {
    "cache": CachePlugin,
    "guard": GuardPlugin,
    "logging": type("LoggingPlugin", (Plugin,), {}),
    "needy": NeedyPlugin,
    "talkative": TalkativePlugin,
}


def plugin_class(name: str) -> type[Plugin]:
    try:
        return PLUGINS[name]
    except KeyError:
        raise ConfigError([f"no plugin {name!r} is installed"]) from None


@pytest.fixture(scope="session")
def toys() -> Mapping[str, type[Plugin]]:
    """The plugins that exist here, by name."""
    return PLUGINS


DOCUMENTED = """\
server:    {host: 127.0.0.1, port: 8787, engine: hypercorn, workers: 1, max_body: 64MiB, max_upload: 1GiB, drain_timeout: 30, domains: [], allowed_targets: [], open: false}
limits:    {max_attempts: 24, deadline: 900, connect_timeout: 5, first_byte_timeout: 600, idle_timeout: 300, commit_timeout: 5}
upstream:  {transport: fast, http2: false, max_connections: 1000, max_idle_connections: 200, keep_alive: 30}
database:  {url: "sqlite:///helicone.db"}
store:     {url: "memory://"}
providers:
  openai:    {api_key: "${OPENAI_API_KEY:-}"}
  anthropic: {api_key: "${ANTHROPIC_API_KEY:-}"}
  local:     {base_url: "http://127.0.0.1:11434/v1", dialect: openai}
models:
  house-model: {providers: [local], price: {input_mtok: 0, output_mtok: 0.15}}
plugins:
  - logging
  - guard: {keys: {alice: "${ALICE_KEY}", ci: "any-string-may-be-a-key"}}
"""  # noqa: E501


@pytest.fixture(scope="session")
def documented() -> str:
    """The configuration as it is documented, every default spelled out."""
    return DOCUMENTED


@pytest.fixture(scope="session")
def load_file() -> Callable[..., GatewayConfig]:
    """Load the configuration file at a path: ``load_file(path, environ={})``."""

    def load_file(path: Path, environ: Mapping[str, str] | None = None) -> GatewayConfig:
        return load_config(path, environ=environ or {}, plugin_class=plugin_class, known_providers=KNOWN_PROVIDERS)

    return load_file


@pytest.fixture
def load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load_file: Callable[..., GatewayConfig]
) -> Callable[..., GatewayConfig]:
    """Load this text, as ``gateway.yaml`` of the working directory: ``load(text, environ={})``."""
    monkeypatch.chdir(tmp_path)

    def load(text: str | bytes, environ: Mapping[str, str] | None = None) -> GatewayConfig:
        path = tmp_path / "gateway.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_file(path, environ)

    return load


@pytest.fixture
def problems(load: Callable[..., GatewayConfig]) -> Callable[..., tuple[str, ...]]:
    """What is wrong with this text, without the file's name: ``problems(text, environ={})``."""

    def problems(text: str | bytes, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            load(text, environ)
        assert all(line.startswith("gateway.yaml:") for line in caught.value.problems)
        return tuple(line.removeprefix("gateway.yaml:") for line in caught.value.problems)

    return problems
