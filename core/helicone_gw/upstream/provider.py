"""What is known of one provider (`Provider`), and what the configuration may say of it (`ProviderConfig`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from helicone_gw.upstream.accounts import Account
from helicone_gw.upstream.urls import parse_url

Auth = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "query-key", "google", "none"]
"""How a provider wants its key: ``Authorization: Bearer``, one of three header fields, the query parameter ``key``,
"google" (an API key in ``x-goog-api-key``, an OAuth access token as bearer), or not at all."""

_ACCOUNTS = {"bedrock": "aws", "vertex": "google"}
"""Dialects whose providers take an account in place of a key, and the setting that holds it."""


class Secret(Protocol):
    """A value that does not show itself, such as pydantic's ``SecretStr``."""

    def get_secret_value(self) -> str:
        """The value."""


@runtime_checkable
class KeyConfig(Protocol):
    """One of several keys, as the configuration says it."""

    @property
    def key(self) -> Secret:
        """The key."""

    @property
    def name(self) -> str | None:
        """Its name; ``None``: by its place in the list."""

    @property
    def weight(self) -> float:
        """Its part of the traffic."""


class DeploymentConfig(Protocol):
    """One of several places; ``None`` leaves what the provider has."""

    @property
    def api_key(self) -> Secret | None:
        """The key there."""

    @property
    def base_url(self) -> str | None:
        """Where it is."""

    @property
    def region(self) -> str | None:
        """Region of providers that have one host each."""

    @property
    def api_version(self) -> str | None:
        """``api-version`` of Azure's dated API."""

    @property
    def weight(self) -> float:
        """Its part of the traffic."""

    @property
    def models(self) -> Mapping[str, str]:
        """The models that it serves, with their names there."""


class AwsConfig(Protocol):
    """Access keys of AWS, as the configuration says them."""

    @property
    def access_key_id(self) -> Secret:
        """The id."""

    @property
    def secret_access_key(self) -> Secret:
        """The secret."""

    @property
    def session_token(self) -> Secret | None:
        """The token of temporary ones."""


class GoogleConfig(Protocol):
    """A project of Google Cloud, as the configuration says it."""

    @property
    def project(self) -> str:
        """Its id."""

    @property
    def credentials(self) -> str | None:
        """Path of a file with credentials."""


class ProviderConfig(Protocol):
    """What the catalogue reads of one entry of the YAML's ``providers``; ``None`` leaves the built-in's."""

    @property
    def api_key(self) -> Secret | None:
        """The key; an empty one counts as none."""

    @property
    def base_url(self) -> str | None:
        """What an SDK of that provider would be given."""

    @property
    def dialect(self) -> str | None:
        """Wire format; for a provider that is not built in "openai" unless said otherwise."""

    @property
    def headers(self) -> Mapping[str, str | Secret] | None:
        """Fields that every request to the provider carries."""

    @property
    def auth(self) -> str | None:
        """One of `Auth`."""

    @property
    def include_usage(self) -> bool | None:
        """Whether usage may be asked for in streams."""

    @property
    def api_version(self) -> str | None:
        """``api-version`` of Azure's dated API."""

    @property
    def region(self) -> str | None:
        """Region of providers that have one host each (Bedrock, Vertex)."""

    @property
    def aws(self) -> AwsConfig | None:
        """Access keys in place of a key."""

    @property
    def google(self) -> GoogleConfig | None:
        """A project in place of a key."""

    @property
    def operations(self) -> Sequence[str] | None:
        """What it offers (names of `ingress.offered`): all of it, but for a built-in one beside what is known."""

    @property
    def keys(self) -> Sequence[Secret | KeyConfig]:
        """Several keys."""

    @property
    def deployments(self) -> Mapping[str, DeploymentConfig]:
        """Several places."""


@dataclass(frozen=True, slots=True)
class Provider:
    """What is known of one provider.

    ``dialect`` is its wire format and URL layout, ``dialects`` every client dialect that it understands as it comes.
    ``base_url`` is ``None`` where only the configuration can say (Azure), and for servers on this machine that it does
    not name. ``domains`` are the hosts that a client may name as target. ``default_headers`` are sent where the client
    has not set them, ``headers`` always. ``account`` signs calls that carry no other credential. ``api_path`` is the
    path of the built-in base URL. ``in_process`` providers are answered without a connection. ``operations`` are those
    that it is known to offer, ``lacks`` those that it is known not to (names of `ingress.offered`); of the rest nothing
    is known. ``addressed`` are those of dialects beside ``dialects`` that it has under addresses of its own.
    """

    name: str
    title: str
    dialect: str
    base_url: str | None
    auth: Auth
    dialects: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    include_usage: bool = True
    key_required: bool = True
    default_headers: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    native_paths: tuple[str, ...] = ()
    api_path: str = ""
    api_version: str | None = None
    region: str | None = None
    account: Account | None = None
    in_process: bool = False
    configured: bool = False
    operations: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    addressed: frozenset[str] = frozenset()

    @property
    def origin(self) -> str | None:
        """Origin of ``base_url``."""
        return None if self.base_url is None else parse_url(self.base_url).origin

    @property
    def hint(self) -> str:
        """What to configure so that the gateway itself can call it, for messages."""
        if self.base_url is None:
            return f"configure providers.{self.name} with its base_url"
        setting = f"providers.{self.name}.api_key"
        account = _ACCOUNTS.get(self.dialect)
        if account is not None:
            return f"set {setting} or providers.{self.name}.{account}"
        return f"set {self.env[0]} or {setting}" if self.env else f"set {setting}"
