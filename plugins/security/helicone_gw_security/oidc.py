"""OpenID Connect, authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636): one provider's side of it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import httpx
import msgspec

from helicone_gw import ConfigError
from helicone_gw_security.identity_config import OidcConfig, https_url

if TYPE_CHECKING:
    from helicone_gw import Clock

ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
"""How an ID token may be signed: with the provider's private key, and never with a secret that is shared."""

LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
"""What a logout token says has happened."""

LEEWAY: Final = 60.0
"""Seconds that the provider's clock may differ from ours."""

LONGEST: Final = 1 << 20
"""Bytes of an answer of the provider that are read."""

TIMEOUT: Final = 10.0
"""Seconds that one call to the provider may take."""

FRESH: Final = 3600.0
"""Seconds for which the provider's discovery document and keys are believed."""

REST: Final = 5.0
"""Seconds for which a provider that did not answer is not asked again, so that nobody waits for it in a row."""

AGAIN: Final = 60.0
"""Seconds after which the keys are asked for anew when a token was signed with one that is not among them."""


class OidcFailed(Exception):
    """The login could not be completed; the text is for the log, and holds nothing of what was exchanged."""


class OidcProvider:
    """One provider. ``http`` gives the client to call it with; every method raises `OidcFailed`."""

    def __init__(self, name: str, config: OidcConfig, http: Callable[[], httpx.AsyncClient], clock: Clock) -> None:
        self.name = name
        self.config = config
        self._http = http
        self._clock = clock
        self._described: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, Any] | None = None
        self._failed: tuple[float, str] | None = None
        self._turn = asyncio.Lock()

    async def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent to log in."""
        endpoint = await self._endpoint("authorization_endpoint")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self.config.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(self.config.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def claims(self, *, code: str, redirect_uri: str, nonce: str, verifier: str) -> tuple[Mapping[str, Any], str]:
        """What the provider says of whoever came back with ``code``: the ID token's claims, checked, and beside them
        those of its userinfo endpoint where the token has no e-mail address; and the ID token itself."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        answer = await self._json("POST", await self._endpoint("token_endpoint"), **await self._authenticated(fields))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise OidcFailed("the token endpoint gave no ID token")
        claims = await self._verified(token)
        self._check(claims, nonce)
        access = answer.get("access_token")
        if "email" not in claims and isinstance(access, str):
            claims = {**await self._userinfo(access, claims["sub"]), **claims}
        return claims, token

    async def logout_url(self, *, id_token: str | None, back: str) -> str | None:
        """Where the browser is sent to log out there, too, and be sent ``back`` (RP-Initiated Logout 1.0, section 2);
        ``None`` where the provider has no such place."""
        if "end_session_endpoint" not in await self._description():
            return None
        endpoint = await self._endpoint("end_session_endpoint")
        asked = {"client_id": self.config.client_id, "post_logout_redirect_uri": back}
        if id_token is not None:
            asked["id_token_hint"] = id_token
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def logged_out(self, token: str) -> tuple[str | None, str | None, float]:
        """Whom a logout token says to have logged out: ``sub`` and ``sid``, one of them at least (Back-Channel Logout
        1.0, section 2.6), and the latest time (epoch seconds) at which a session that it means may have begun."""
        claims = await self._verified(token, what="logout token", named=False)
        self._check_issued(claims, "logout token")
        events = claims.get("events")
        if not isinstance(events, Mapping) or not isinstance(events.get(LOGOUT_EVENT), Mapping) or "nonce" in claims:
            raise OidcFailed("the logout token is none")
        sub, sid = (each if isinstance(each := claims.get(name), str) and each else None for name in ("sub", "sid"))
        if sub is None and sid is None:
            raise OidcFailed("the logout token names nobody")
        return sub, sid, float(claims["iat"]) + LEEWAY

    async def _authenticated(self, fields: Mapping[str, str]) -> dict[str, Any]:
        """How the client proves itself at the token endpoint (RFC 6749, section 2.3.1)."""
        if self.config.client_secret is None:
            return {"data": {**fields, "client_id": self.config.client_id}}
        secret = self.config.client_secret.get_secret_value()
        methods = (await self._description()).get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in methods:
            pair = f"{quote(self.config.client_id, safe='')}:{quote(secret, safe='')}"
            basic = base64.b64encode(pair.encode()).decode()
            return {"data": dict(fields), "headers": {"authorization": f"Basic {basic}"}}
        return {"data": {**fields, "client_id": self.config.client_id, "client_secret": secret}}

    async def _verified(self, token: str, *, what: str = "ID token", named: bool = True) -> dict[str, Any]:
        """The claims of a token that the provider signed; ``named``: they must say whom they are of."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        for again in (False, True):
            keys = await self._key_set(again)
            try:
                claims = jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims
            except (JoseError, ValueError, TypeError) as problem:
                # The provider may have new keys: they are asked for once, and not too often.
                if again or not self._may_ask_again():
                    raise OidcFailed(f"the {what} is not the provider's: {type(problem).__name__}") from None
                continue
            if named and (not isinstance(claims.get("sub"), str) or not claims["sub"]):
                raise OidcFailed("the ID token names nobody")
            return dict(claims)
        raise AssertionError("unreachable")

    def _check(self, claims: Mapping[str, Any], nonce: str) -> None:
        """OpenID Connect Core 1.0, section 3.1.3.7."""
        self._check_issued(claims, "ID token")
        if claims.get("nonce") != nonce:
            raise OidcFailed("the ID token is of another login")

    def _check_issued(self, claims: Mapping[str, Any], what: str) -> None:
        """Whether a token is of this provider, for this client, and valid now."""
        now, client = self._clock.now(), self.config.client_id
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience
        if str(claims.get("iss", "")).rstrip("/") != self.config.issuer:
            raise OidcFailed(f"the {what} is another issuer's")
        if not isinstance(audiences, list) or client not in audiences:
            raise OidcFailed(f"the {what} is for another client")
        if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != client:
            raise OidcFailed(f"the {what} was given to another client")
        expires, issued = claims.get("exp"), claims.get("iat")
        if not isinstance(expires, int | float) or now >= expires + LEEWAY:
            raise OidcFailed(f"the {what} is not valid any more")
        if not isinstance(issued, int | float) or issued > now + LEEWAY:
            raise OidcFailed(f"the {what} is not valid yet")

    async def _userinfo(self, access: str, subject: str) -> dict[str, Any]:
        if "userinfo_endpoint" not in await self._description():
            return {}
        url = await self._endpoint("userinfo_endpoint")
        claims = await self._json("GET", url, headers={"authorization": f"Bearer {access}"})
        if claims.get("sub") != subject:
            raise OidcFailed("the userinfo endpoint speaks of somebody else")
        return claims

    async def _description(self) -> dict[str, Any]:
        async with self._turn:
            if self._described is None or self._clock.monotonic() >= self._described[0] + FRESH:
                found = await self._rested(f"{self.config.issuer}/.well-known/openid-configuration")
                if str(found.get("issuer", "")).rstrip("/") != self.config.issuer:
                    raise OidcFailed("the discovery document is another issuer's")
                self._described = self._clock.monotonic(), found
            return self._described[1]

    async def _endpoint(self, name: str) -> str:
        url = (await self._description()).get(name)
        try:
            if not isinstance(url, str):
                raise ValueError
            https_url(url, name, query=True)
        except ValueError:
            raise OidcFailed(f"the discovery document has no {name} that could be used") from None
        return url

    async def _key_set(self, again: bool) -> Any:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        url = await self._endpoint("jwks_uri")
        async with self._turn:
            known = self._keys
            if known is None or again or self._clock.monotonic() >= known[0] + FRESH:
                found = await self._rested(url)
                try:
                    self._keys = self._clock.monotonic(), KeySet.import_key_set(found)  # type: ignore[arg-type]
                except (JoseError, ValueError, TypeError, KeyError):
                    raise OidcFailed("the provider's keys cannot be read") from None
            assert self._keys is not None
            return self._keys[1]

    async def _rested(self, url: str) -> dict[str, Any]:
        """What the provider publishes at ``url``; asked by one login at a time, while the others wait for it."""
        if self._failed is not None and self._clock.monotonic() < self._failed[0] + REST:
            raise OidcFailed(self._failed[1])
        try:
            return await self._json("GET", url)
        except OidcFailed as problem:
            self._failed = self._clock.monotonic(), str(problem)
            raise

    def _may_ask_again(self) -> bool:
        return self._keys is not None and self._clock.monotonic() >= self._keys[0] + AGAIN

    async def _json(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """The JSON object that the provider answers with."""
        headers = {"accept": "application/json", **more.pop("headers", {})}
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._http().stream(method, url, headers=headers, timeout=TIMEOUT, **more) as answer,
            ):
                body = bytearray()
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > LONGEST:
                        raise OidcFailed("the provider's answer is too long")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as problem:
            raise OidcFailed(f"the provider does not answer: {type(problem).__name__}") from None
        if answer.status_code != 200:
            raise OidcFailed(f"the provider answers with {answer.status_code}")
        try:
            found: dict[str, Any] = msgspec.json.decode(bytes(body), type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            raise OidcFailed("the provider's answer is not JSON") from None
        return found


def check_installed() -> None:
    """Raise `ConfigError` where the library that verifies ID tokens is missing."""
    try:
        import joserfc  # noqa: F401
    except ModuleNotFoundError:
        raise ConfigError(["security.oidc needs the extra sso: pip install 'helicone-gw-security[sso]'"]) from None
