"""Guard: refuses requests that name what is another organisation's at a provider whose key they share."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from helicone_gw import BadRequest, GatewayError, NotFound, PermissionDenied, Permits
from helicone_gw_security.objects import OVERLAP, in_path, is_batch, references, referred, uploaded
from helicone_gw_security.own_keys import own_providers, with_own_key

if TYPE_CHECKING:
    from helicone_gw import Exchange, Request
    from helicone_gw_security.ledger import Ledger
    from helicone_gw_security.objects_config import ObjectsConfig

MAX_READ: Final = 1 << 20
"""Bytes of a JSON body that are read before it is sent on; a longer one is looked through while it passes."""

MOST_UPLOADED: Final = 2000
"""Ids that an upload may name; with more it cannot be looked through, and is refused."""

_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']*)", re.IGNORECASE)
# In all of these an id is written as in ASCII, in one byte a letter or with NULs between.
_LIKE_ASCII = re.compile(
    r"(?:utf-?(?:8|16|32)(?:-?[bl]e)?|(?:us-)?ascii|iso-8859-1|latin-?1|windows-1252)?", re.IGNORECASE
)
# Some parsers decode a part of a form before anybody sees it (Go's, quoted-printable).
_ENCODED_PART = re.compile(
    rb"^content-transfer-encoding:[ \t]*(?:quoted-printable|base64)", re.IGNORECASE | re.MULTILINE
)


class Guard:
    """Looks at requests once nobody changes them any more. ``at`` names the provider at an address."""

    def __init__(self, config: ObjectsConfig, ledger: Ledger, at: Callable[[str], str]) -> None:
        self._config = config
        self._at = at
        self._ledger = ledger
        self.refused = 0
        """Requests that named what is not their organisation's."""

    async def check(self, exchange: Exchange) -> None:
        """Raise `NotFound` for what is another's, `PermissionDenied` and `BadRequest` for what cannot be looked
        through, `Unavailable` while the database does not say."""
        request = exchange.request
        self._readable(exchange, request.headers.get("content-type") or "")
        texts = [request.helicone.fallbacks_raw.encode()] if request.helicone.fallbacks_raw else []
        if request.body is None:
            texts += await self._uploaded(exchange, request)
        await self._refuse(exchange, request, texts)

    async def _refuse(self, exchange: Exchange, request: Request, texts: Sequence[bytes]) -> None:
        own = own_providers(exchange, self._at)
        if request.operation == "responses.other" and request.method == "GET" and not in_path(request):
            # A WebSocket whose messages name responses, conversations and files.
            self._keep_to(
                exchange,
                own,
                PermissionDenied(
                    "Other organisations use this provider's key, and what a WebSocket says is not looked through: "
                    "use POST instead, or a provider's key of your own.",
                    code="websocket_not_isolated",
                ),
            )
            return
        named = references(request, *texts)
        if not named:
            return
        # What only looks like an id, as words do, is not waited for.
        owners = dict(await self._ledger.owners(named.certain, wait=self._config.unknown == "refuse"))
        if named.mentioned:
            owners |= await self._ledger.owners(named.mentioned)
        for name in named.certain | named.mentioned:
            here = owners.get(name)
            if here is None:
                if name in named.certain and not self._config.may_use_unknown(exchange.organization):
                    self._keep_to(exchange, own, _nothing(name))
                continue
            mine = {provider for provider, organization in here.items() if organization == exchange.organization}
            if len(mine) < len(here):
                self._keep_to(exchange, own | mine, _nothing(name))

    def _keep_to(self, exchange: Exchange, providers: set[str], refusal: GatewayError) -> None:
        """Let only ``providers`` be asked: those at which the caller has a key, or an object, of its own.

        Raises ``refusal`` where there is none.
        """
        permits = exchange.permits or Permits()
        left = tuple(sorted(provider for provider in providers if permits.allows_provider(provider)))
        if not left:
            self.refused += 1
            raise refusal
        exchange.permits = replace(permits, providers=left)

    async def _uploaded(self, exchange: Exchange, request: Request) -> Sequence[bytes]:
        """The body of a request that nobody reads, if it is short JSON; any other is looked through while it passes."""
        if "content-encoding" in request.headers:
            self._keep_to(
                exchange,
                own_providers(exchange, self._at),
                BadRequest(
                    "Other organisations use this provider's key, and a compressed upload cannot be looked through.",
                    status=415,
                    code="unsupported_content_encoding",
                ),
            )
        content_type = (request.headers.get("content-type") or "json").lower()
        if "json" in content_type:
            text = await exchange.read_upload(MAX_READ)
            if text is not None:
                return [text]
        form = "x-www-form-urlencoded" in content_type
        exchange.through_upload(lambda pieces: self._looked_through(exchange, pieces, form))
        return ()

    def _readable(self, exchange: Exchange, content_type: str) -> None:
        """Refuse a body in letters that are none of ASCII's, such as UTF-7."""
        if "charset" not in content_type.lower() or all(map(_LIKE_ASCII.fullmatch, _CHARSET.findall(content_type))):
            return
        self._keep_to(
            exchange,
            own_providers(exchange, self._at),
            BadRequest(
                "Other organisations use this provider's key, and what is not in UTF-8 cannot be looked through.",
                status=415,
                code="unsupported_charset",
            ),
        )

    async def _looked_through(
        self, exchange: Exchange, pieces: AsyncIterator[bytes], form: bool
    ) -> AsyncIterator[bytes]:
        tail, known, unknown, batch = b"", set[str](), set[str](), False
        allowed = self._config.may_use_unknown(exchange.organization) or with_own_key(exchange)
        async for piece in pieces:
            window = tail + piece
            if _ENCODED_PART.search(window) is not None and not with_own_key(exchange):
                raise BadRequest(
                    "Other organisations use this provider's key, and a part in a transfer encoding cannot be looked "
                    "through.",
                    status=415,
                    code="unsupported_transfer_encoding",
                )
            fresh = uploaded(window, form=form) - known
            if fresh and not with_own_key(exchange):
                known |= fresh
                if len(known) > MOST_UPLOADED:
                    raise BadRequest(f"An upload may name {MOST_UPLOADED} objects at most.", code="too_many_objects")
                owners = await self._ledger.owners(fresh)
                unknown |= (referred(window) & fresh) - owners.keys()
                for name, here in owners.items():
                    if exchange.organization not in here.values():
                        self.refused += 1
                        raise _nothing(name)
            batch = batch or is_batch(window)
            if batch and unknown and not allowed:
                self.refused += 1
                raise _nothing(min(unknown))
            tail = window[-OVERLAP:]
            yield piece


def _nothing(name: str) -> NotFound:
    return NotFound(f"There is nothing here by the id {name[:200]!r}.", code="object_not_found")
