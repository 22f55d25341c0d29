"""Operations of logging in and out (JSON; browsers send forms and are sent on), for the gateway's document."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from helicone_gw import ApiOperation


class Login(Struct, frozen=True):
    """Who logs in: by ``email`` and ``password`` (``new``: the one that takes its place), or by a gateway key."""

    email: str = ""
    password: str = ""
    organization: str = ""
    new: str = ""
    key: str = ""


class Passwords(Struct, frozen=True):
    """The password that there is, and the one that takes its place."""

    current: str
    new: str


def _one(method: str, path: str, summary: str, body: Any = None, **more: Any) -> ApiOperation:
    told = {"data": dict[str, Any], "errors": (400, 409, 413, 429), **more}
    return ApiOperation(method=method, path=path, tag="logging in", summary=summary, body=body, **told)


AUTH: Final = (
    _one("POST", "/auth/login", "Begin a session.", Login),
    _one("POST", "/auth/logout", "End the session.", data=dict[str, Any] | None),
    _one("GET", "/auth/session", "Who the caller is, and how one can log in.", role=None),
    _one("POST", "/auth/password", "Change one's password.", Passwords),
)
"""What every gateway has; the addresses that OpenID providers send browsers to are no part of an API."""
