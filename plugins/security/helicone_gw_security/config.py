"""The configuration of ``security``: gateway keys by name."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from helicone_gw import PluginConfig, Role
from helicone_gw_security.ciphers import check_encryption_key
from helicone_gw_security.identity_config import (
    AuditDays,
    Email,
    IdentityConfig,
    LoginConfig,
    OidcConfig,
    ProviderName,
    UserConfig,
)
from helicone_gw_security.keys import StoredKey, digest
from helicone_gw_security.objects_config import ObjectsConfig
from helicone_gw_security.spec import KeySpec, parse_expiry

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Patterns = Annotated[
    tuple[Name, ...],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
]
Moment = Annotated[datetime, BeforeValidator(parse_expiry, json_schema_input_type=str)]


class KeyConfig(BaseModel):
    """One gateway key. ``models``, ``providers`` and ``paths`` are shell-style patterns; left out: all.

    ``previous`` is the secret before this one, valid until ``previous_until``: clients change over while both are.
    """

    # Errors are printed at start and must not show what stands beside the mistake: it may be the secret.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: SecretStr
    owner: Name | None = None
    organization: Name = "default"
    models: Patterns | None = None
    providers: Patterns | None = None
    paths: Patterns | None = None
    networks: Patterns | None = None
    origins: Patterns | None = None
    role: Role = "member"
    scope: Literal["all", "read", "write"] = "all"
    limits: Patterns | None = None
    budgets: Patterns | None = None
    provider_key: Name | None = None
    expires: Moment | None = None
    previous: SecretStr | None = None
    previous_until: Moment | None = None

    @field_validator("key")
    @classmethod
    def _not_empty(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value():
            raise ValueError("the key is empty: give it a value, or take its entry out")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.previous is None) != (self.previous_until is None):
            raise ValueError("previous and previous_until belong together: the old secret needs an end")
        self.spec("checked")
        return self

    def spec(self, name: str) -> KeySpec:
        """What the key is, but for its secrets. Raises `ValueError` with what is wrong."""
        return KeySpec(
            name=name,
            owner=self.owner,
            organization=self.organization,
            models=self.models,
            providers=self.providers,
            paths=self.paths,
            networks=self.networks,
            origins=self.origins,
            role=self.role,
            scope=self.scope,
            limits=self.limits or (),
            budgets=self.budgets or (),
            provider_key=self.provider_key,
            expires_at=None if self.expires is None else self.expires.timestamp(),
        )


def _spelled_out(value: Any) -> Any:
    if isinstance(value, str | SecretStr):
        return {"key": value}
    if isinstance(value, dict | KeyConfig):
        return value
    # The value is not named: it may well be the secret.
    raise ValueError("a key is text (put quotes round a number), or a mapping with `key`")


class SecurityConfig(PluginConfig):
    """``keys``: the gateway keys by name, each a secret or a `KeyConfig`.

    ``encryption_keys`` are for the providers' keys in the database: the first encrypts, all decrypt. ``users``,
    ``login``, ``oidc`` and ``audit_days`` are about people, as `IdentityConfig` says. ``objects`` is about what
    organisations leave at providers.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    keys: dict[Name, Annotated[KeyConfig, BeforeValidator(_spelled_out, json_schema_input_type=str | KeyConfig)]] = (
        Field(default_factory=dict)
    )

    encryption_keys: Annotated[
        tuple[Annotated[SecretStr, AfterValidator(check_encryption_key)], ...],
        BeforeValidator(_listed, json_schema_input_type=str | list[str]),
    ] = ()

    users: dict[Email, UserConfig] = Field(default_factory=dict)
    login: LoginConfig = LoginConfig()
    oidc: dict[ProviderName, OidcConfig] = Field(default_factory=dict)
    audit_days: AuditDays = None
    objects: ObjectsConfig = ObjectsConfig()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names: dict[str, str] = {}
        for name, entry in self.keys.items():
            for secret in (entry.key, entry.previous):
                if secret is None or not secret.get_secret_value():
                    continue
                if secret is entry.previous and secret == entry.key:
                    raise ValueError(f"the key {name!r} and its previous one are the same")
                other = names.setdefault(digest(secret.get_secret_value()), name)
                if other != name:
                    raise ValueError(f"the keys {other!r} and {name!r} are the same: nobody could tell who is calling")
        return self

    def stored(self) -> list[StoredKey]:
        """Every secret as what is kept of it: its hash and whose it is."""
        return [stored for name, entry in self.keys.items() for stored in _stored(name, entry)]

    def without_secrets(self) -> Self:
        """The same configuration with every secret blanked, for the time after the start."""
        blank = SecretStr("")
        blanked = {
            name: entry.model_copy(update={"key": blank, "previous": None if entry.previous is None else blank})
            for name, entry in self.keys.items()
        }
        people = self.identity().blanked()
        return self.model_copy(update={"keys": blanked, "encryption_keys": (), **people})

    def identity(self) -> IdentityConfig:
        """What concerns people."""
        return IdentityConfig.model_construct(
            users=self.users, login=self.login, oidc=self.oidc, audit_days=self.audit_days
        )


def _stored(name: str, entry: KeyConfig) -> list[StoredKey]:
    spec = entry.spec(name)
    key = spec.key(f"config:{name}")
    stored = [StoredKey(key, digest(entry.key.get_secret_value()), spec.expires_at)]
    if entry.previous is not None and entry.previous_until is not None:
        until = entry.previous_until.timestamp()
        ends = until if spec.expires_at is None else min(until, spec.expires_at)
        stored.append(StoredKey(key, digest(entry.previous.get_secret_value()), ends))
    return stored
