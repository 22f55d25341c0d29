"""``/auth``: log in and out, who one is, and a new password; for programs in JSON, for browsers as HTML forms.

``POST /auth/login`` takes ``email`` and ``password`` (and ``organization``; and ``new`` in the place of a password that
somebody else set), or ``key``; ``POST /auth/logout``;
``GET /auth/session``; ``POST /auth/password`` takes ``current`` and ``new``. JSON is answered with
``{"data": ..., "error": null}``; a form with a redirect, to ``next`` or, when it failed, back to the login page with
``?error=<code>``.
"""

from __future__ import annotations

import html
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec
from quart import Blueprint, Response, request
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import (
    AuthenticationFailed,
    BadRequest,
    GatewayError,
    GatewayKey,
    Headers,
    PermissionDenied,
    Unavailable,
    caller,
    client_address,
    path_prefix,
)
from helicone_gw_security.browsers import SESSION_COOKIE, cookie_name, cross_site, local_address, own_cookies

if TYPE_CHECKING:
    from helicone_gw import KeyRing
    from helicone_gw_security.logins import Logins
    from helicone_gw_security.sessions import Session

MAX_BODY: Final = 64 * 1024
"""Bytes of a body that these pages read."""

_FAILURES = (SQLAlchemyError, OSError)


async def _nowhere(session: Session) -> str | None:
    return None


def auth_pages(
    name: str,
    logins: Logins,
    ring: KeyRing,
    providers: Sequence[Mapping[str, str]],
    farewell: Callable[[Session], Awaitable[str | None]] = _nowhere,
) -> Blueprint:
    """The pages of the plugin instance ``name``. ``providers`` are the OpenID providers, by ``name`` and ``label``;
    ``farewell`` says where else whoever had a session logs out, in their browser."""
    pages = Blueprint(f"{name}-auth", __name__, url_prefix="/auth")

    @pages.post("/login")
    async def login() -> Response:
        if cross_site(request_headers()):
            raise PermissionDenied("A page of another site may not log anybody in.", code="cross_site_request")
        fields = await read_fields()
        email, key = fields.get("email", ""), fields.get("key", "")
        try:
            if key:
                session = await logins.with_key(key, client_address())
            elif email:
                organization = fields.get("organization") or None
                password, new = fields.get("password", ""), fields.get("new") or None
                session = await logins.with_password(email, password, organization, client_address(), new)
            else:
                raise BadRequest("A login has an email and a password, or a key.")
        except GatewayError as problem:
            if is_form() and ring.login_page is not None:
                return back_to_login(ring, problem, fields.get("next", "/"))
            raise
        await end_old(logins)
        if is_form():
            return logged_in(redirect(local_address(fields.get("next", "/"))), session, logins)
        return logged_in(good(_described(session.key, session)), session, logins)

    @pages.post("/logout")
    async def logout() -> Response:
        session = await logins.sessions.of_cookies(session_cookies(logins))
        if session is not None:
            await logins.end(session)
        elsewhere = None if session is None else await farewell(session)
        if elsewhere is not None:
            answer = on_to(elsewhere) if is_form() else good({"logout_url": elsewhere})
        else:
            answer = redirect(ring.login_page or "/") if is_form() else good(None)
        delete_cookie(answer, SESSION_COOKIE, logins.public_url)
        answer.headers["Clear-Site-Data"] = '"cache"'
        return answer

    @pages.get("/session")
    async def session() -> Response:
        methods = {**await logins.methods(), "oidc": list(providers)}
        try:
            key = caller(request.scope)
        except AuthenticationFailed:
            return good({"authenticated": False, "open": False, "methods": methods})
        found = None
        if key is not None:
            found = await logins.sessions.of_cookies(session_cookies(logins))
            if found is not None and found.key.id != key.id:
                found = None  # a key in a header goes before the cookie
        return good({**_described(key, found), "methods": methods})

    @pages.post("/password")
    async def password() -> Response:
        key = caller(request.scope)
        fields = await read_fields()
        if key is None:
            raise PermissionDenied("There is no password that could be changed here.", code="no_password")
        user = await logins.change_password(key, fields.get("current", ""), fields.get("new", ""), client_address())
        fresh = await logins.of_user(user, client_address(), "password")
        answer = redirect(local_address(fields.get("next", "/"))) if is_form() else good(_described(key, fresh))
        return logged_in(answer, fresh, logins)

    @pages.errorhandler(GatewayError)
    async def refused(problem: GatewayError) -> Response:
        return bad(problem)

    @pages.errorhandler(SQLAlchemyError)
    @pages.errorhandler(OSError)
    async def away(problem: Exception) -> Response:
        return bad(Unavailable("The database cannot be reached at the moment.", code="database_unavailable"))

    return pages


def _described(key: GatewayKey | None, session: Session | None) -> dict[str, Any]:
    """Who is asking, as ``GET /auth/session`` says it."""
    if key is None:
        return {
            "authenticated": True,
            "open": True,
            "user": None,
            "role": "admin",
            "organization": "default",
            "csrf_token": None,
            "expires_at": None,
        }
    kind = "user" if key.id.startswith("user:") else "key"
    return {
        "authenticated": True,
        "open": False,
        "user": {"id": key.id.removeprefix("user:"), "name": key.name, "kind": kind},
        "role": key.role,
        "organization": key.organization,
        "csrf_token": None if session is None else session.csrf_token,
        "expires_at": None if session is None else session.expires_at,
    }


async def read_fields() -> dict[str, str]:
    """The fields of the body, a form or a JSON object of texts. Raises `BadRequest`."""
    if (request.content_length or 0) > MAX_BODY:
        raise BadRequest("The body is too large.", status=413)
    body = bytes(await request.get_data(as_text=False))  # type: ignore[arg-type]
    if len(body) > MAX_BODY:
        raise BadRequest("The body is too large.", status=413)
    if is_form():
        fields = {name: value for name, value in (await request.form).items() if isinstance(value, str)}
    else:
        try:
            decoded = msgspec.json.decode(body or b"{}", type=dict[str, str | None])
        except (msgspec.DecodeError, RecursionError):
            raise BadRequest("The body should be a JSON object of texts.") from None
        fields = {name: value for name, value in decoded.items() if value is not None}
    if any("\0" in value for value in fields.values()):  # Postgres has it in no text
        raise BadRequest("A text has a NUL character.")
    return fields


def is_form() -> bool:
    """Whether the body is an HTML form's."""
    return request.mimetype == "application/x-www-form-urlencoded"


def is_secure(public_url: str | None = None) -> bool:
    """Whether the browser sees https: then its cookie must never go over plain http. ``public_url`` is the gateway's
    address as browsers know it, if that is configured.

    What a proxy says of that is believed from anybody, for it can only make the cookie stricter.
    """
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
    return request.scheme == "https" or forwarded in ("https", "wss") or (public_url or "").startswith("https:")


def logged_in(answer: Response, session: Session, logins: Logins) -> Response:
    """``answer``, with the session's cookie."""
    set_cookie(answer, SESSION_COOKIE, session.secret, int(logins.sessions.lifetime), logins.public_url)
    return answer


def set_cookie(answer: Response, name: str, value: str, max_age: int, public_url: str | None) -> None:
    """Have the browser keep our cookie ``name`` for ``max_age`` seconds, for this gateway and no script."""
    secure, prefix = is_secure(public_url), path_prefix(request.scope)
    answer.set_cookie(
        cookie_name(name, secure=secure, prefix=prefix),
        value,
        max_age=max_age,
        path=f"{prefix}/",
        secure=secure,
        httponly=True,
        samesite="Lax",
    )


def delete_cookie(answer: Response, name: str, public_url: str | None) -> None:
    """Have the browser forget our cookie ``name``."""
    secure, prefix = is_secure(public_url), path_prefix(request.scope)
    named = cookie_name(name, secure=secure, prefix=prefix)
    answer.delete_cookie(named, path=f"{prefix}/", httponly=True, samesite="Lax", secure=secure)


def session_cookies(logins: Logins) -> list[str]:
    """The values of the cookies that may be a session's."""
    return own_cookies(request_headers(), SESSION_COOKIE, secure=is_secure(logins.public_url))


async def end_old(logins: Logins) -> None:
    """End the session that the browser had before: whoever planted it knows it."""
    for old in session_cookies(logins)[:1]:
        await logins.sessions.end(old)


def redirect(location: str) -> Response:
    """Go there, with GET."""
    return Response(b"", 303, {"Location": path_prefix(request.scope) + location, "Cache-Control": "no-store"})


def on_to(url: str) -> Response:
    """Go to another site. Not by a redirect: browsers take one for a part of the form, which may lead to us alone."""
    escaped = html.escape(url)
    page = f'<!doctype html><title>Logging out</title><p><a href="{escaped}">Log out there, too</a></p>'
    headers = {"Refresh": f"0; url={url}", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(page, 200, headers, content_type="text/html; charset=utf-8")


def own_address(public_url: str | None) -> str:
    """The address of the gateway's pages as browsers know it, without a slash at its end."""
    if public_url is not None:
        return public_url
    return f"{'https' if is_secure() else 'http'}://{request.host}{path_prefix(request.scope)}"


def back_to_login(ring: KeyRing, problem: GatewayError, next_: str) -> Response:
    """To the login page, which is told what went wrong."""
    fields = {"error": problem.code}
    if (wanted := local_address(next_)) != "/":
        fields["next"] = wanted
    return redirect(f"{ring.login_page}?{urlencode(fields, safe='/')}")


def good(data: Any) -> Response:
    """An answer with ``data``."""
    body = msgspec.json.encode({"data": data, "error": None})
    return Response(body, 200, {"Cache-Control": "no-store"}, content_type="application/json")


def bad(problem: GatewayError) -> Response:
    """An answer that says what went wrong, and its code."""
    body = msgspec.json.encode({"data": None, "error": problem.message, "code": problem.code})
    headers = {"Cache-Control": "no-store", **problem.headers}
    return Response(body, problem.status, headers, content_type="application/json")


def request_headers() -> Headers:
    """The request's header fields."""
    return Headers.of_lower_case(request.scope["headers"])
