"""A little OpenID provider on loopback, with a real socket, real keys and real tokens; and it can be told to lie."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

CLIENT, SECRET = "gateway", "client-secret"


class OpenId:
    """What the provider does: ``person`` are the claims of whoever logs in, ``lies`` what differs from the truth."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "one"})
        self.published = [self.key]
        self.now = time.time()
        self.person: dict[str, Any] = {"sub": "u-1", "email": "sso@example.com", "email_verified": True}
        self.lies: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.signing: Any = None
        self.header: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.calls: list[str] = []
        self.issuer = ""

    def discovery(self) -> dict[str, Any]:
        ends = {f"{name}_endpoint": f"{self.issuer}/{name}" for name in ("authorization", "token", "userinfo")}
        return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **ends, **self.lies.get("discovery", {})}

    def authorize(self, url: str) -> tuple[str, dict[str, str]]:
        """What the provider's page does once somebody has logged in: where they go, with which parameters."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert url.startswith(f"{self.issuer}/authorization?")
        assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
        assert (asked["code_challenge_method"], asked["scope"]) == ("S256", "openid email profile")
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return asked["redirect_uri"], {"code": code, "state": asked["state"]}

    def token(self, authorization: str | None, fields: dict[str, str]) -> tuple[int, dict[str, Any]]:
        expected = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        asked = self.codes.pop(fields.get("code", ""), None)
        if authorization != expected or asked is None or fields.get("redirect_uri") != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(fields["code_verifier"].encode()).digest()).rstrip(b"=")
        if challenge.decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": self.now,
            "exp": self.now + 300,
            "nonce": asked["nonce"],
            **self.person,
            **self.lies.get("claims", {}),
        }
        header = {"alg": "ES256", "kid": "one", **self.header}
        token = jwt.encode(header, claims, self.signing or self.key, algorithms=["ES256", "HS256"])
        return 200, {"access_token": "access-1", "token_type": "Bearer", "id_token": self.lies.get("token", token)}


@contextmanager
def serving(provider: OpenId) -> Iterator[OpenId]:
    """The provider, on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.calls.append(self.path)
            if self.path == "/.well-known/openid-configuration":
                self._answer(200, provider.discovery())
            elif self.path == "/jwks":
                self._answer(200, {"keys": [key.as_dict(private=False) for key in provider.published]})
            elif self.path == "/userinfo" and self.headers["authorization"] == "Bearer access-1":
                self._answer(200, provider.userinfo)
            else:
                self._answer(404, {})

        def do_POST(self) -> None:
            provider.calls.append(self.path)
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            fields = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(*provider.token(self.headers.get("authorization"), fields))

        def _answer(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(provider.lies.get("status", status))
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[OpenId]:
    with serving(OpenId()) as provider:
        yield provider


def forged(provider: OpenId) -> None:
    """Sign with a key that the provider does not publish."""
    provider.signing = ECKey.generate_key("P-256", {"kid": "one"})


def with_the_public_key(provider: OpenId) -> None:
    """Sign with HMAC, and the public key as its secret: whoever trusts the token's own word for it is fooled."""
    provider.header = {"alg": "HS256"}
    provider.signing = OctKey.import_key(json.dumps(provider.key.as_dict(private=False)))
