"""Accounts at clouds, no mere keys: AWS's access keys, which sign, and Google's projects with their tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from helicone_gw.upstream.sigv4 import AwsCredentials

if TYPE_CHECKING:
    from helicone_gw.upstream.provider import ProviderConfig

BEDROCK = "bedrock"
"""The name by which requests to Bedrock are signed, whatever its hosts are called."""
GLOBAL = "global"
"""Google's location that is no region."""

_AWS_HOST = re.compile(r"https://bedrock-runtime\.([a-z0-9-]+)\.amazonaws\.com")
_PLACELESS = re.compile(r"^/(v[0-9]+[a-z0-9]*)/(publishers|endpoints)/")
_VISIBLE = re.compile(r"[\x21-\x7e]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class AwsAccount:
    """Access keys, and the region and service that they sign for."""

    credentials: AwsCredentials = field(repr=False)
    region: str
    service: str = BEDROCK


@dataclass(frozen=True, slots=True)
class GoogleAccount:
    """A project and location of Google Cloud, and the file that says who calls; ``None``: as the environment says."""

    project: str
    location: str = GLOBAL
    credentials_file: str | None = None

    def placed(self, path: str) -> str:
        """``path`` (``/v1/publishers/...``) in this project and location; one that names a project already stays."""
        return _PLACELESS.sub(rf"/\1/projects/{self.project}/locations/{self.location}/\2/", path, count=1)


Account = AwsAccount | GoogleAccount


def read_account(
    config: ProviderConfig, dialect: str, base_url: str | None, where: str, problems: list[str]
) -> Account | None:
    """The account of one entry of the configuration; what is wrong with it goes into ``problems``."""
    for name, wanted in (("aws", "bedrock"), ("google", "vertex")):
        if getattr(config, name) is not None and dialect != wanted:
            problems.append(
                f"{where}.{name}: belongs to a provider of the {wanted} dialect, and this one's is {dialect}"
            )
            return None
    if config.aws is not None:
        return _aws(config, base_url, where, problems)
    return None if config.google is None else _google(config, where, problems)


def _aws(config: ProviderConfig, base_url: str | None, where: str, problems: list[str]) -> AwsAccount | None:
    assert config.aws is not None
    token = config.aws.session_token
    credentials = AwsCredentials(
        config.aws.access_key_id.get_secret_value(),
        config.aws.secret_access_key.get_secret_value(),
        None if token is None else token.get_secret_value() or None,
    )
    if not all(_VISIBLE.fullmatch(each) for each in (credentials.access_key_id, credentials.session_token or "-")):
        problems.append(f"{where}.aws: holds characters that cannot be sent in a header")
        return None
    host = _AWS_HOST.match(base_url or "")
    region = config.region or (host[1] if host else None)
    if region is None:
        problems.append(f"{where}.region: is needed, because requests are signed for it")
        return None
    return AwsAccount(credentials, region)


def _google(config: ProviderConfig, where: str, problems: list[str]) -> GoogleAccount | None:
    assert config.google is not None
    if not has_google_auth():
        problems.append(f"{where}.google: needs the package 'google-auth': pip install 'helicone-gw[vertex]'")
        return None
    file = config.google.credentials
    if file is not None and not Path(file).is_file():
        problems.append(f"{where}.google.credentials: there is no such file")
        return None
    return GoogleAccount(config.google.project, config.region or GLOBAL, file)


def has_google_auth() -> bool:
    """Whether the extra ``vertex`` is installed."""
    try:
        return find_spec("google.auth") is not None
    except ModuleNotFoundError:
        return False
