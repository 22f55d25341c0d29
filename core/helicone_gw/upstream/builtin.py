"""The built-in table of providers, and how the configuration changes it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, cast, get_args

import msgspec

from helicone_gw.errors import ConfigError
from helicone_gw.ingress.offered import CONVERSATIONS, OPERATIONS, expanded
from helicone_gw.tables import read_table
from helicone_gw.upstream.accounts import GLOBAL, read_account
from helicone_gw.upstream.provider import Auth, Provider, ProviderConfig
from helicone_gw.upstream.urls import parse_url

_AUTH_STYLES: tuple[str, ...] = get_args(Auth)
_REGION = re.compile(r"[a-z0-9-]{1,40}", re.ASCII)
_FIELD_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?", re.ASCII)


class _Implied(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    auth: Auth
    default_headers: dict[str, str] = {}


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    dialect: str
    base_url: str | None = None
    regional_base_url: str | None = None
    also: tuple[str, ...] = ()
    auth: Auth | None = None
    env: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    include_usage: bool = True
    key_required: bool = True
    native_paths: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    lacks: tuple[str, ...] | None = None
    addressed: tuple[str, ...] = ()
    local: bool = False
    opt_in: bool = False
    in_process: bool = False


class BuiltIns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of ``providers.yaml``."""

    dialects: dict[str, _Implied]
    providers: dict[str, _Entry]


@lru_cache(maxsize=1)
def built_ins() -> BuiltIns:
    """The built-in table, read once."""
    return msgspec.convert(read_table("helicone_gw.upstream", "providers.yaml"), BuiltIns)


def merge(
    providers_config: Mapping[str, ProviderConfig], table: BuiltIns | None = None
) -> tuple[list[Provider], dict[str, str]]:
    """The providers of ``table`` (the built-in one) with the configuration's merged in, and the keys by provider name.

    Raises `ConfigError` with every problem at once.
    """
    merging = _Merging(table or built_ins())
    for name, config in providers_config.items():
        merging.add(name, config)
    if merging.problems:
        raise ConfigError(merging.problems)
    return list(merging.providers.values()), merging.keys


class _Merging:
    def __init__(self, table: BuiltIns) -> None:
        self.table = table
        self.problems: list[str] = []
        self.keys: dict[str, str] = {}
        self.providers = {
            name: _built_in(name, entry, table) for name, entry in table.providers.items() if not entry.opt_in
        }
        self._aliases = {alias: name for name, entry in table.providers.items() for alias in entry.aliases}
        self._named: dict[str, str] = {}

    def add(self, name: str, config: ProviderConfig) -> None:
        where = f"providers.{name}"
        canonical = self._canonical(name, config)
        if canonical in self._named:
            self.problems.append(f"{where}: is the same provider as providers.{self._named[canonical]}")
            return
        self._named[canonical] = name
        known = self._known(where, canonical, config)
        if known is None:
            return
        base_url = self._base_url(where, canonical, config)
        operations, lacks = self._offer(known, config, base_url)
        account = read_account(config, known.dialect, base_url, where, self.problems)
        self.providers[canonical] = replace(
            known,
            base_url=base_url,
            auth=self._auth(where, config) or known.auth,
            include_usage=known.include_usage if config.include_usage is None else config.include_usage,
            headers=self._headers(where, config),
            api_version=config.api_version,
            region=config.region,
            account=account,
            key_required=known.key_required and account is None,
            configured=True,
            operations=operations,
            lacks=lacks,
        )
        key = _reveal(config.api_key)
        if key and not _FIELD_VALUE.fullmatch(key):
            self.problems.append(f"{where}.api_key: holds characters that cannot be sent in a header")
        elif key:
            self.keys[canonical] = key

    def _canonical(self, name: str, config: ProviderConfig) -> str:
        own = name in self.table.providers or (config.base_url is not None and config.dialect is not None)
        return name if own else self._aliases.get(name, name)

    def _known(self, where: str, name: str, config: ProviderConfig) -> Provider | None:
        entry = self.table.providers.get(name)
        dialect = config.dialect or (entry.dialect if entry else "openai")
        if dialect not in self.table.dialects:
            self.problems.append(f"{where}.dialect: {dialect!r} is none of {', '.join(self.table.dialects)}")
            return None
        if entry is not None and dialect == entry.dialect:
            return _built_in(name, entry, self.table)
        if entry is None and config.base_url is None:
            self.problems.append(f"{where}: is not built in, so it needs a base_url{_did_you_mean(name, self.table)}")
            return None
        # A built-in provider in another dialect (a compatibility layer) keeps its name, key and domains, nothing else.
        implied = self.table.dialects[dialect]
        return Provider(
            name=name,
            title=entry.title if entry else name,
            dialect=dialect,
            base_url=None,
            auth=implied.auth,
            dialects=(_wire_format(dialect),),
            env=entry.env if entry else (),
            domains=entry.domains if entry else (),
            aliases=entry.aliases if entry else (),
            key_required=entry.key_required if entry else False,
            default_headers=implied.default_headers,
        )

    def _base_url(self, where: str, name: str, config: ProviderConfig) -> str | None:
        entry = self.table.providers.get(name)
        text = config.base_url or (entry.base_url if entry else None)
        if (
            config.region not in (None, GLOBAL)
            and not config.base_url
            and entry is not None
            and entry.regional_base_url
        ):
            if not _REGION.fullmatch(config.region or ""):
                self.problems.append(f"{where}.region: consists of lower-case letters, digits and '-'")
                return None
            text = entry.regional_base_url.replace("{region}", config.region or "")
        if text is None:
            return None
        try:
            parsed = parse_url(text)
        except ValueError as problem:
            self.problems.append(f"{where}.base_url: does not make a usable URL: {problem}")
            return None
        if parsed.query:
            self.problems.append(f"{where}.base_url: holds a query; put it on the request, or use api_version")
        return f"{parsed.origin}{parsed.path}"

    def _auth(self, where: str, config: ProviderConfig) -> Auth | None:
        if config.auth is None:
            return None
        if config.auth not in _AUTH_STYLES:
            self.problems.append(f"{where}.auth: {config.auth!r} is none of {', '.join(_AUTH_STYLES)}")
            return None
        return cast("Auth", config.auth)

    @staticmethod
    def _offer(known: Provider, config: ProviderConfig, base_url: str | None) -> tuple[frozenset[str], frozenset[str]]:
        """What it offers and lacks, with the configuration's ``operations``."""
        if config.operations is None:
            if config.base_url is None or base_url is None or _is_domain(parse_url(base_url).host, known.domains):
                return known.operations, known.lacks
            # Another server under its name may well have more; conversations are translated, as for the provider.
            return known.operations, known.lacks.intersection(CONVERSATIONS)
        listed = expanded(config.operations)
        if known.operations or known.lacks:
            return known.operations | listed, known.lacks - listed
        return listed, OPERATIONS - listed

    def _headers(self, where: str, config: ProviderConfig) -> dict[str, str]:
        headers: dict[str, str] = {}
        for name, secret in (config.headers or {}).items():
            value = _reveal(secret) or ""
            if not _FIELD_NAME.fullmatch(name) or (value and not _FIELD_VALUE.fullmatch(value)):
                self.problems.append(f"{where}.headers.{name}: is not a valid header field")
            else:
                headers[name.lower()] = value
        return headers


def _built_in(name: str, entry: _Entry, table: BuiltIns) -> Provider:
    implied = table.dialects[entry.dialect]
    return Provider(
        name=name,
        title=entry.title,
        dialect=entry.dialect,
        # A server on this machine must not be in every client's reach just because it runs.
        base_url=None if entry.local else entry.base_url,
        auth=entry.auth or implied.auth,
        dialects=(_wire_format(entry.dialect), *entry.also),
        env=entry.env,
        domains=entry.domains,
        aliases=entry.aliases,
        include_usage=entry.include_usage,
        key_required=entry.key_required,
        default_headers=implied.default_headers,
        native_paths=entry.native_paths,
        api_path=parse_url(entry.base_url).path if entry.base_url else "",
        in_process=entry.in_process,
        operations=expanded(entry.operations),
        lacks=_lacks(entry),
        addressed=expanded(entry.addressed),
    )


def _is_domain(host: str, domains: tuple[str, ...]) -> bool:
    return any(fnmatchcase(host, domain) for domain in domains)


def _lacks(entry: _Entry) -> frozenset[str]:
    if entry.lacks is not None:
        return expanded(entry.lacks)
    return OPERATIONS - expanded((*entry.operations, *entry.addressed)) if entry.operations else frozenset()


def _wire_format(dialect: str) -> str:
    # Azure speaks OpenAI's format; only its URLs differ.
    return "openai" if dialect == "azure" else dialect


def _reveal(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    revealed = value.get_secret_value()
    return None if revealed is None else str(revealed)


def _did_you_mean(name: str, table: BuiltIns) -> str:
    words = [*table.providers, *(alias for entry in table.providers.values() for alias in entry.aliases)]
    close = get_close_matches(name, words, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
