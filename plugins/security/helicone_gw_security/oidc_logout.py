"""Where people log out, too: at the OpenID provider that they logged in at (OpenID Connect RP-Initiated Logout 1.0)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from helicone_gw_security.auth_pages import own_address
from helicone_gw_security.oidc import OidcFailed, OidcProvider

if TYPE_CHECKING:
    from helicone_gw import KeyRing
    from helicone_gw_security.sessions import Session


def farewell(
    providers: Mapping[str, OidcProvider], ring: KeyRing, log: Any, public_url: str | None
) -> Callable[[Session], Awaitable[str | None]]:
    """What says where the browser of a session goes after it ended here; ``None``: nowhere else."""

    async def elsewhere(session: Session) -> str | None:
        provider = providers.get(session.provider or "")
        if provider is None or not provider.config.logout:
            return None
        back = f"{own_address(public_url)}{ring.login_page or '/'}"
        try:
            return await provider.logout_url(id_token=session.id_token, back=back)
        except OidcFailed as problem:
            log.warning("a logout ended here alone", provider=provider.name, problem=str(problem))
            return None

    return elsewhere
