"""The gateway's own certificate, for engines that take a context or files; what is wrong with it is told plainly."""

from __future__ import annotations

import ssl

from helicone_gw.config import TlsConfig
from helicone_gw.errors import ConfigError


def server_context(tls: TlsConfig) -> ssl.SSLContext:
    """A context with the certificate, for TLS 1.2 and up and HTTP/1.1 alone. Raises `ConfigError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    password = "" if tls.key_password is None else tls.key_password.get_secret_value()
    # A password that is there even if it is empty: OpenSSL would ask for one on the terminal.
    try:
        context.load_cert_chain(tls.certificate, tls.key, password)
    except (OSError, ValueError) as problem:
        raise useless(problem) from None
    return context


def useless(problem: Exception) -> ConfigError:
    """What is wrong with a certificate or its key, of which reading raised ``problem``, in words for the user."""
    if isinstance(problem, OSError) and not isinstance(problem, ssl.SSLError):
        return ConfigError([f"server.tls: the certificate or its key cannot be read: {problem.strerror}"])
    return ConfigError(
        ["server.tls: certificate and key are no PEM files that belong together, or key_password is wrong"]
    )
