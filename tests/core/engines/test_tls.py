"""The gateway's own certificate over the ready-made engines: used where it is right, told plainly where it is not."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest

from helicone_gw import ConfigError
from helicone_gw.config import TlsConfig
from helicone_gw.engines.tls import server_context
from tests.core.engines.certificates import PASSWORD, make_certificate, tls, trust
from tests.core.engines.served import echo, served


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("engine", ["uvicorn", "granian"])
async def test_requests_are_served(engine: str, certificate: Path) -> None:
    async with (
        served(engine, echo, tls=tls(certificate)) as port,
        httpx.AsyncClient(verify=trust(certificate), trust_env=False) as client,
    ):
        assert (await client.get(f"https://127.0.0.1:{port}/hello")).text == "GET /hello "


async def test_what_is_older_than_tls_1_2_is_refused(certificate: Path) -> None:
    assert server_context(TlsConfig.model_validate(tls(certificate))).minimum_version == ssl.TLSVersion.TLSv1_2


def test_an_encrypted_key_is_read(certificate: Path) -> None:
    server_context(TlsConfig.model_validate(tls(certificate, "locked.pem", key_password=PASSWORD)))


@pytest.mark.parametrize(
    ("key", "password", "reason"),
    [
        ("nothing.pem", None, "cannot be read: No such file"),
        ("certificate.pem", None, "no PEM files that belong together"),
        ("locked.pem", None, "or key_password is wrong"),
        ("locked.pem", "guessed", "or key_password is wrong"),
    ],
)
@pytest.mark.parametrize("engine", ["uvicorn", "granian"])
async def test_a_wrong_one_is_told_before_anything_is_served(
    engine: str, key: str, password: str | None, reason: str, certificate: Path
) -> None:
    if engine == "granian" and password is not None:
        reason = "reads no encrypted keys"
    with pytest.raises(ConfigError, match=rf"server\.tls.*{reason}"):
        async with served(engine, echo, tls=tls(certificate, key, key_password=password)):
            pass


async def test_granian_says_that_it_reads_no_encrypted_keys(certificate: Path) -> None:
    with pytest.raises(ConfigError, match=r"server\.tls\.key_password: the engine granian reads no encrypted keys"):
        async with served("granian", echo, tls=tls(certificate, "locked.pem", key_password=PASSWORD)):
            pass
