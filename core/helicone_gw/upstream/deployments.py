"""Deployments: several keys or places of one provider, each a provider of its own behind one name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from helicone_gw.errors import ConfigError
from helicone_gw.upstream.builtin import BuiltIns, merge
from helicone_gw.upstream.provider import (
    AwsConfig,
    DeploymentConfig,
    GoogleConfig,
    KeyConfig,
    Provider,
    ProviderConfig,
    Secret,
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One key or place of a provider: ``Target.deployment`` names it.

    ``provider`` is what is known of it there (address, headers), ``weight`` its part of the traffic relative to its
    siblings, ``models`` the models that it serves with their names there, all of them when empty.
    """

    name: str
    provider: Provider
    weight: float = 1.0
    models: Mapping[str, str] = field(default_factory=dict)
    key: str | None = field(default=None, repr=False)

    def model(self, name: str) -> str | None:
        """What the model ``name`` is called there; ``None`` when it is not served."""
        return self.models.get(name) if self.models else name


@dataclass(frozen=True, slots=True)
class _Changed:
    """A provider's configuration with one deployment's settings in it."""

    api_key: Secret | None
    base_url: str | None
    dialect: str | None
    headers: Mapping[str, str | Secret] | None
    auth: str | None
    include_usage: bool | None
    api_version: str | None
    region: str | None
    aws: AwsConfig | None
    google: GoogleConfig | None
    operations: Sequence[str] | None
    keys: Sequence[Secret | KeyConfig] = ()
    deployments: Mapping[str, DeploymentConfig] = field(default_factory=dict)


def deployments_of(
    name: str, config: ProviderConfig, provider: Provider, table: BuiltIns | None
) -> tuple[Deployment, ...]:
    """Every key and deployment that ``config`` names for ``provider``, in its order, keys first.

    Raises `ConfigError` with every problem at once.
    """
    found: list[Deployment] = []
    problems: list[str] = []
    for number, entry in enumerate(config.keys, 1):
        if isinstance(entry, KeyConfig):
            found.append(Deployment(entry.name or f"key-{number}", provider, entry.weight, {}, _text(entry.key)))
        else:
            found.append(Deployment(f"key-{number}", provider, 1.0, {}, _text(entry)))
    for label, place in config.deployments.items():
        try:
            providers, keys = merge({name: _changed(config, place)}, table)
        except ConfigError as problem:
            where = f"providers.{name}.deployments.{label}"
            problems += [text.replace(f"providers.{name}", where, 1) for text in problem.problems]
            continue
        there = next(each for each in providers if each.name == provider.name)
        found.append(Deployment(label, there, place.weight, place.models, keys.get(provider.name)))
    names = [each.name for each in found]
    problems += [
        f"providers.{name}: two keys or deployments are called {twice!r}"
        for twice in sorted({each for each in names if names.count(each) > 1})
    ]
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def _changed(config: ProviderConfig, entry: DeploymentConfig) -> _Changed:
    # The provider's own key stays with its own address.
    key = entry.api_key or (None if entry.base_url else config.api_key)
    return _Changed(
        api_key=key,
        base_url=entry.base_url or (None if entry.region else config.base_url),
        dialect=config.dialect,
        headers=config.headers,
        auth=config.auth,
        include_usage=config.include_usage,
        api_version=entry.api_version or config.api_version,
        region=entry.region or config.region,
        aws=None if entry.base_url else config.aws,
        google=None if entry.base_url else config.google,
        operations=config.operations,
    )


def with_defaults(provider: Provider, deployments: tuple[Deployment, ...]) -> Provider:
    """``provider``, at its first deployment's address if it has none of its own."""
    if provider.base_url is None and deployments:
        first = deployments[0].provider
        return replace(provider, base_url=first.base_url, api_version=first.api_version, region=first.region)
    return provider


def _text(secret: Secret) -> str:
    return secret.get_secret_value()
