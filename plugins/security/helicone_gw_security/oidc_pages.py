"""``/auth/oidc/<provider>/start`` and ``/callback``: a login at an OpenID provider, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quart import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import AuthenticationFailed, BadRequest, GatewayError, NotFound, Unavailable, client_address
from helicone_gw_security.auth_pages import (
    back_to_login,
    bad,
    delete_cookie,
    end_old,
    good,
    is_secure,
    logged_in,
    own_address,
    read_fields,
    redirect,
    request_headers,
    set_cookie,
)
from helicone_gw_security.browsers import LOGIN_COOKIE, local_address, own_cookies
from helicone_gw_security.oidc import OidcFailed, OidcProvider
from helicone_gw_security.oidc_accounts import account, subject_of
from helicone_gw_security.oidc_states import LIFETIME
from helicone_gw_security.sessions import Origin

if TYPE_CHECKING:
    from helicone_gw import Clock, KeyRing
    from helicone_gw_security.logins import Logins
    from helicone_gw_security.oidc_states import LoginStates

MAX_PARAMETER = 4096
"""Characters of ``code`` and ``state``."""


def oidc_pages(
    name: str,
    providers: Mapping[str, OidcProvider],
    states: LoginStates,
    logins: Logins,
    ring: KeyRing,
    clock: Clock,
    log: Any,
    public_url: str | None,
) -> Blueprint:
    """The pages of the plugin instance ``name``. ``public_url`` is the gateway's address as browsers know it; the one
    that was asked, if ``None``."""
    pages = Blueprint(f"{name}-oidc", __name__, url_prefix="/auth/oidc")

    def provider_of(which: str) -> OidcProvider:
        if which not in providers:
            raise NotFound("There is no such login.")
        return providers[which]

    def return_address(which: str) -> str:
        return f"{own_address(public_url)}/auth/oidc/{which}/callback"

    @pages.get("/<which>/start")
    async def start(which: str) -> Response:
        provider = provider_of(which)
        await logins.attempts.starts(client_address())
        begun = await states.begin(which, local_address(request.args.get("next", "/")))
        try:
            url = await provider.authorization_url(
                redirect_uri=return_address(which), state=begun.state, nonce=begun.nonce, verifier=begun.verifier
            )
        except OidcFailed as problem:
            return failed(which, problem)
        answer = Response(b"", 303, {"Location": url, "Cache-Control": "no-store"})
        set_cookie(answer, LOGIN_COOKIE, begun.browser, LIFETIME, public_url)
        return answer

    @pages.get("/<which>/callback")
    async def callback(which: str) -> Response:
        provider = provider_of(which)
        state, code = request.args.get("state", ""), request.args.get("code", "")
        if not state or len(state) > MAX_PARAMETER or len(code) > MAX_PARAMETER:
            return failed(which, OidcFailed("it came back without its state"))
        begun = await states.take(
            which, state, own_cookies(request_headers(), LOGIN_COOKIE, secure=is_secure(public_url))
        )
        if begun is None:
            return failed(which, OidcFailed("nobody began it in this browser, or too long ago"))
        if not code:
            return failed(which, OidcFailed("the provider refused"))
        counted = await logins.attempts.begin(client_address())
        try:
            claims, token = await provider.claims(
                code=code, redirect_uri=return_address(which), nonce=begun.nonce, verifier=begun.verifier
            )
            found = await account(provider.config, claims, logins.users, clock.now())
        except OidcFailed as problem:
            return failed(which, problem)
        except GatewayError as problem:
            log.warning("a login was refused", provider=which, code=problem.code)
            return turned_away(problem)
        await logins.attempts.good(counted)
        user = await logins.changed_elsewhere(found.user, found.before)
        if found.kept:
            log.warning("the last administrator stays one, whatever the provider says", user=user.id, provider=which)
        await end_old(logins)
        session = await logins.of_user(user, client_address(), f"oidc:{which}", Origin(which, token, _sid(claims)))
        answer = logged_in(redirect(local_address(begun.next)), session, logins)
        delete_cookie(answer, LOGIN_COOKIE, public_url)
        return answer

    @pages.post("/<which>/backchannel")
    async def backchannel(which: str) -> Response:
        provider = provider_of(which)
        token = (await read_fields()).get("logout_token", "")
        counted = await logins.attempts.begin(client_address())
        try:
            sub, sid, until = await provider.logged_out(token)
        except OidcFailed as problem:
            log.warning("a logout failed", provider=which, problem=str(problem))
            raise BadRequest("The logout token is not valid.", code="invalid_logout_token") from None
        await logins.attempts.good(counted)
        await logins.end_there(which, None if sub is None else subject_of(provider.config, sub), sid, until)
        return good(None)

    def failed(which: str, problem: OidcFailed) -> Response:
        log.warning("a login failed", provider=which, problem=str(problem))
        return turned_away(AuthenticationFailed("The login could not be completed. Try again.", code="sso_failed"))

    def turned_away(problem: GatewayError) -> Response:
        return bad(problem) if ring.login_page is None else back_to_login(ring, problem, "/")

    @pages.errorhandler(GatewayError)
    async def refused(problem: GatewayError) -> Response:
        return bad(problem)

    @pages.errorhandler(SQLAlchemyError)
    @pages.errorhandler(OSError)
    async def away(problem: Exception) -> Response:
        return turned_away(Unavailable("The database cannot be reached at the moment.", code="database_unavailable"))

    return pages


def _sid(claims: Mapping[str, Any]) -> str | None:
    """What the provider calls the session there, if it says so."""
    sid = claims.get("sid")
    return sid if isinstance(sid, str) and 0 < len(sid) <= MAX_PARAMETER else None
