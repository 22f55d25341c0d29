"""What the tests of people share: users whose hashes are cheap, and a browser that keeps cookies."""

from __future__ import annotations

from typing import Any

from argon2 import PasswordHasher

from helicone_gw.testing import Reply, RunningGateway

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"
HASH = CHEAP.hash(PASSWORD)

USERS: dict[str, Any] = {
    "ann@example.com": {"password_hash": HASH, "role": "admin", "name": "Ann"},
    "vic@example.com": {"password_hash": HASH, "role": "viewer"},
    "mia@example.com": {"password_hash": HASH, "role": "member"},
    "otto@other.example": {"password_hash": HASH, "role": "admin", "organization": "other"},
}
KEYS: dict[str, Any] = {
    "root": {"key": "hk-root-secret", "role": "admin"},
    "reader": {"key": "hk-reader-secret", "role": "viewer"},
    "stranger": {"key": "hk-stranger-secret", "role": "admin", "organization": "other"},
}


def security(**settings: Any) -> dict[str, Any]:
    """The plugin's entry in the list of plugins."""
    return {"security": settings}


class Browser:
    """A client that sends back the cookies that it was given, and the token of its session with every change."""

    def __init__(self, running: RunningGateway, **headers: str) -> None:
        self.running = running
        self.headers = headers
        self.cookies: dict[str, str] = {}
        self.token: str | None = None

    async def request(self, method: str, path: str, **more: Any) -> Reply:
        """One request; ``headers`` go before the browser's own, and one that is ``None`` is left out."""
        headers: dict[str, Any] = {**self.headers}
        if self.cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if self.token is not None and method not in ("GET", "HEAD"):
            headers["x-csrf-token"] = self.token
        headers |= more.pop("headers", {})
        reply = await self.running.request(
            method, path, headers={name: value for name, value in headers.items() if value is not None}, **more
        )
        for field in reply.headers.get_all("set-cookie"):
            name, _, rest = field.partition("=")
            value = rest.partition(";")[0]
            if value and "Max-Age=0" not in field:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return reply

    async def log_in(self, email: str = "ann@example.com", password: str = PASSWORD, **more: Any) -> Reply:
        """Log in, and remember the session's token."""
        reply = await self.request("POST", "/auth/login", json={"email": email, "password": password, **more})
        if reply.status == 200:
            self.token = reply.json()["data"]["csrf_token"]
        return reply

    async def session(self) -> dict[str, Any]:
        """What ``GET /auth/session`` says."""
        data: dict[str, Any] = (await self.request("GET", "/auth/session")).json()["data"]
        return data
