"""The catalogue: every provider of a gateway, which one a URL belongs to, and who gets which key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from helicone_gw.errors import ConfigError
from helicone_gw.model import Target
from helicone_gw.upstream.builtin import BuiltIns, merge
from helicone_gw.upstream.deployments import Deployment, deployments_of, with_defaults
from helicone_gw.upstream.provider import Auth, Provider, ProviderConfig
from helicone_gw.upstream.urls import ParsedURL, parse_url

__all__ = ["Auth", "Catalogue", "Provider", "ProviderConfig"]

_AUTHORITY_END = re.compile(r"[/?]")


class Catalogue:
    """Every provider of this gateway, and the keys that the configuration gives for them.

    Keys never leave but through `credential`, and never show in a representation.
    """

    def __init__(
        self,
        providers: Iterable[Provider],
        keys: Mapping[str, str] | None = None,
        deployments: Mapping[str, tuple[Deployment, ...]] | None = None,
    ) -> None:
        self._deployments = dict(deployments or {})
        self._places = {(name, each.name): each for name, several in self._deployments.items() for each in several}
        self._providers = {
            provider.name: with_defaults(provider, self.deployments(provider.name)) for provider in providers
        }
        self._keys = dict(keys or {})
        for name, several in self._deployments.items():
            # What names no deployment goes to the first that is at the provider's own address.
            there = (each.key for each in several if each.key and each.provider.origin == self._providers[name].origin)
            if (key := next(there, None)) is not None:
                self._keys.setdefault(name, key)
        self._prefixes: dict[str, str] = {}
        configured_first = sorted(self._providers.values(), key=lambda each: not each.configured)
        for provider in configured_first:
            self._prefixes.setdefault(provider.name, provider.name)
        for provider in configured_first:
            for alias in provider.aliases:
                self._prefixes.setdefault(alias, provider.name)
        self._configured: dict[str, list[tuple[str, Provider]]] = {}
        self._exact: dict[str, Provider] = {}
        self._patterns: list[tuple[re.Pattern[str], Provider]] = []
        for provider in self._providers.values():
            self._index(provider)

    def _index(self, provider: Provider) -> None:
        if provider.configured and provider.base_url is not None:
            base = parse_url(provider.base_url)
            self._configured.setdefault(base.origin, []).append((base.path, provider))
        for domain in provider.domains:
            if "*" in domain:
                pattern = "[a-z0-9-]+".join(map(re.escape, domain.split("*")))
                self._patterns.append((re.compile(pattern, re.ASCII), provider))
            else:
                self._exact.setdefault(domain, provider)

    @classmethod
    def build(cls, providers_config: Mapping[str, ProviderConfig], *, table: BuiltIns | None = None) -> Catalogue:
        """The built-in providers with the YAML's ``providers`` merged in.

        A name or alias of a built-in configures that one; any other name, or an alias that brings its own ``base_url``
        and ``dialect``, is a provider of its own. Raises `ConfigError` with every problem at once.
        """
        providers, keys = merge(providers_config, table)
        catalogue = cls(providers, keys)
        deployments: dict[str, tuple[Deployment, ...]] = {}
        problems: list[str] = []
        for name, config in providers_config.items():
            provider = catalogue.get(name)
            if provider is None or not (config.keys or config.deployments):
                continue
            try:
                deployments[provider.name] = deployments_of(name, config, provider, table)
            except ConfigError as problem:
                problems += problem.problems
        if problems:
            raise ConfigError(problems)
        return cls(providers, keys, deployments) if deployments else catalogue

    def get(self, name: str) -> Provider | None:
        """The provider of this name or alias."""
        canonical = self._prefixes.get(name)
        return None if canonical is None else self._providers[canonical]

    def deployments(self, name: str) -> tuple[Deployment, ...]:
        """Keys and deployments of the provider ``name``, in the configuration's order; none where it has but one."""
        return self._deployments.get(name, ())

    def at(self, target: Target) -> Provider | None:
        """The provider of ``target``, at the deployment that it names; ``None`` for one that does not exist."""
        if target.deployment is None:
            return self.get(target.provider)
        place = self._places.get((target.provider, target.deployment))
        return None if place is None else place.provider

    def all(self) -> tuple[Provider, ...]:
        """Every provider, built-in ones first."""
        return tuple(self._providers.values())

    def names(self) -> tuple[str, ...]:
        """Every provider's name, built-in ones first."""
        return tuple(self._providers)

    def prefixes(self) -> Mapping[str, str]:
        """Path prefix, host label or model-string slug -> provider name; a configured provider's claim wins."""
        return self._prefixes

    def dialects(self) -> Mapping[str, str]:
        """Provider name -> its dialect."""
        return {name: provider.dialect for name, provider in self._providers.items()}

    def is_configured(self, name: str) -> bool:
        """Whether the gateway itself can call this provider: the YAML names it, with a key if it needs one."""
        provider = self.get(name)
        if provider is None or not provider.configured or provider.base_url is None:
            return False
        return provider.name in self._keys or not provider.key_required or provider.auth == "none"

    def provider_for_url(self, url: str) -> Provider | None:
        """Whose URL this is: a configured provider's origin, else an approved domain (``https``, default port)."""
        try:
            parsed = parse_url(url)
        except ValueError:
            return None
        return self.provider_for(parsed)

    def provider_for(self, url: ParsedURL) -> Provider | None:
        """As `provider_for_url`, of a URL that is parsed already."""
        candidates = self._configured.get(url.origin)
        if candidates:
            fitting = [each for each in candidates if f"{url.path}/".startswith(f"{each[0]}/")]
            return max(fitting or candidates[:1], key=lambda each: len(each[0]))[1]
        return self.approved(url)

    def approved(self, url: ParsedURL) -> Provider | None:
        """The provider of whose approved domains this is one; only ``https`` on its default port."""
        if url.scheme != "https" or url.port != 443:
            return None
        exact = self._exact.get(url.host)
        if exact is not None:
            return exact
        return next((provider for pattern, provider in self._patterns if pattern.fullmatch(url.host)), None)

    def is_configured_origin(self, url: ParsedURL) -> bool:
        """Whether ``url`` has the origin of a configured provider's ``base_url``."""
        return url.origin in self._configured

    def credential(self, provider: str, origin: str, deployment: str | None = None) -> str | None:
        """The configured key of ``provider`` (of one of its deployments), but only for the origin of its ``base_url``.

        ``origin`` may be any URL there. A domain that is merely approved never gets a key.
        """
        place = None if deployment is None else self._places.get((provider, deployment))
        known = self.get(provider) if place is None else place.provider
        if known is None or known.base_url is None or (deployment is not None and place is None):
            return None
        # Only up to the authority: what follows is the client's, of any length and spelling.
        scheme, _, rest = origin.partition("://")
        try:
            asked = parse_url(f"{scheme}://{_AUTHORITY_END.split(rest, 1)[0]}").origin
        except ValueError:
            return None
        if asked != known.origin:
            return None
        return self._keys.get(known.name) if place is None else place.key

    def __repr__(self) -> str:
        return f"Catalogue({len(self._providers)} providers, {len(self._keys)} with a key)"
