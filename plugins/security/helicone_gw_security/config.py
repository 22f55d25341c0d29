"""The configuration of ``security``: gateway keys by name."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_validator,
    model_validator,
)

from helicone_gw import GatewayKey, Permits, PluginConfig
from helicone_gw_security.keys import StoredKey, digest

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


def parse_expiry(value: object) -> datetime:
    """An ISO 8601 date or date-time as an aware `datetime`; a date means its first moment, no offset means UTC.

    Raises `ValueError` for anything else, numbers included: ``expires: 2027`` is a slip, not a moment in 1970.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError("not an ISO 8601 date or date-time, such as 2027-06-30 or 2027-06-30T18:00:00Z") from None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    raise ValueError("not an ISO 8601 date or date-time, such as 2027-06-30 or 2027-06-30T18:00:00Z")


def check_paths(paths: tuple[str, ...]) -> tuple[str, ...]:
    """``paths`` unchanged; raises `ValueError` for a pattern that no path can match."""
    for path in paths:
        if not path.startswith(("/", "*", "?", "[")):
            raise ValueError(f"{path!r} matches no path: a path begins with a slash")
    return paths


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Patterns = Annotated[
    tuple[Name, ...],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
]


class KeyConfig(BaseModel):
    """One gateway key. ``models``, ``providers`` and ``paths`` are shell-style patterns; left out: all."""

    # Errors are printed at start and must not show what stands beside the mistake: it may be the secret.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: SecretStr
    owner: Name | None = None
    organization: Name = "default"
    models: Patterns | None = None
    providers: Patterns | None = None
    paths: Patterns | None = None
    expires: Annotated[datetime, BeforeValidator(parse_expiry, json_schema_input_type=str)] | None = None

    @field_validator("key")
    @classmethod
    def _not_empty(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value():
            raise ValueError("the key is empty: give it a value, or take its entry out")
        return value

    @field_validator("paths")
    @classmethod
    def _rooted(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else check_paths(value)


def _spelled_out(value: Any) -> Any:
    if isinstance(value, str | SecretStr):
        return {"key": value}
    if isinstance(value, dict | KeyConfig):
        return value
    # The value is not named: it may well be the secret.
    raise ValueError("a key is text (put quotes round a number), or a mapping with `key`")


class SecurityConfig(PluginConfig):
    """``keys``: the gateway keys by name, each a secret or a `KeyConfig`."""

    model_config = ConfigDict(hide_input_in_errors=True)

    keys: dict[Name, Annotated[KeyConfig, BeforeValidator(_spelled_out, json_schema_input_type=str | KeyConfig)]] = (
        Field(default_factory=dict)
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names: dict[str, str] = {}
        for name, entry in self.keys.items():
            other = names.setdefault(digest(entry.key.get_secret_value()), name)
            if other != name:
                raise ValueError(f"the keys {other!r} and {name!r} are the same: nobody could tell who is calling")
        return self

    def stored(self) -> list[StoredKey]:
        """Every key as what is kept of it: its hash, never the secret."""
        return [_stored(name, entry) for name, entry in self.keys.items()]

    def without_secrets(self) -> SecurityConfig:
        """The same configuration with every secret blanked, for the time after the start."""
        blanked = {name: entry.model_copy(update={"key": SecretStr("")}) for name, entry in self.keys.items()}
        return self.model_copy(update={"keys": blanked})


def _stored(name: str, entry: KeyConfig) -> StoredKey:
    return StoredKey(
        key=GatewayKey(
            id=f"config:{name}",
            name=name,
            owner=entry.owner or name,
            organization=entry.organization,
            permits=Permits(models=entry.models, providers=entry.providers, paths=entry.paths),
        ),
        sha256=digest(entry.key.get_secret_value()),
        expires_at=None if entry.expires is None else entry.expires.timestamp(),
    )
