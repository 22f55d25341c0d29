"""Intake: the texts of one request, or the reason why it cannot be looked through, and what follows from that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from helicone_gw import BadRequest, Exchange, MalformedBody, PayloadTooLarge, Request, wire_format
from helicone_gw_moderation.config import ModerationConfig
from helicone_gw_moderation.plan import Plan
from helicone_gw_moderation.policy import Policy
from helicone_gw_moderation.reading import Texts, in_other_letters, of_request
from helicone_gw_moderation.realtime import OPERATIONS
from helicone_gw_moderation.report import Report
from helicone_gw_moderation.texts import IN_A_THREAD

_UPLOADING = frozenset({"audio", "images"})
"""Operations that take uploads beside JSON."""
MOST_TEXTS = 100_000
"""Texts of one request; each costs some 30 microseconds, however short."""
_WITHOUT_BODIES = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods whose bodies are not sent on."""
_GLANCE = 64 * 1024
"""Bytes of a long upload that tell whether it is text."""
_SENTENCE = 20
"""Characters of the shortest text beside the conversation that judges are given."""


def may_have_text(request: Request, policy: Policy) -> bool:
    """Whether there is anything to look through: not where something is only listed or deleted."""
    if request.operation in OPERATIONS:
        return True
    if request.method not in _WITHOUT_BODIES:
        # Of an upload there is no body yet.
        return request.method != "DELETE" or request.body is None or bool(request.body)
    return request.method == "GET" and policy.output is not None and request.operation != "models"


def for_judges(request: Request, texts: Sequence[str]) -> list[str]:
    """``texts`` of a request as judges are given them, who see the end: last what was said, before it all that has room
    for a sentence."""
    wire = wire_format(request.dialect, request.operation)
    if wire is None or request.body is None:
        return [text for text in texts if len(text) >= _SENTENCE] or list(texts)
    said = wire.prompt_text(request.body)
    known = frozenset(said)
    return [*(text for text in texts if len(text) >= _SENTENCE and text not in known), *said]


class Intake:
    """Reads the request of ``exchange``."""

    def __init__(self, exchange: Exchange, config: ModerationConfig, report: Report) -> None:
        self._exchange = exchange
        self._config = config
        self._report = report

    async def texts(self, plan: Plan, request: Request) -> Texts | None:
        """The texts of ``request``; ``None`` where it cannot be read, which is then noted.

        Raises `BadRequest` and `PayloadTooLarge` where something would be refused or redacted, `MalformedBody` for JSON
        that is none, or that parsers read differently.
        """
        found = await self._read(plan, request)
        if found is not None and (
            len(found.texts) > MOST_TEXTS or sum(map(len, found.texts)) > self._config.max_characters
        ):
            if plan.enforces:
                raise self._too_long()
            self._report.unread("request: too long")
            return None
        return found

    def refuse_unread(self, plan: Plan | None) -> None:
        """Refuse what cannot be looked through, where the configuration says so."""
        if plan is not None and plan.enforces and self._config.unread == "refuse":
            raise BadRequest(
                "The gateway's safety policy refuses requests that it, or whose answers it, cannot look through.",
                code="cannot_be_moderated",
            )

    def _unread(self, plan: Plan) -> None:
        self.refuse_unread(plan)
        self._report.unread("request")

    async def _read(self, plan: Plan, request: Request) -> Texts | None:
        content_type = request.headers.get("content-type") or ""
        wire = wire_format(request.dialect, request.operation)
        is_json = wire is not None and request.operation not in _UPLOADING
        if (is_json and request.body is None) or in_other_letters(content_type):
            # Nobody sends JSON under another name, but many a server reads it all the same.
            if plan.enforces:
                raise BadRequest(
                    "The gateway's safety policy looks through this request, so it has to be sent as application/json, "
                    "in UTF-8.",
                    status=415,
                    code="unsupported_media_type",
                )
            self._unread(plan)
            return None
        body = request.body
        if body is None:
            body = await self._exchange.read_upload(self._config.max_characters)
            if body is None and plan.enforces:
                self._exchange.through_upload(self._no_text)
        if not body:
            self._unread(plan)
            return None
        found = await self._of(plan, body, content_type, is_json=is_json or request.body is not None)
        if found is None or not found.whole:
            self._unread(plan)
        return found

    def _too_long(self) -> PayloadTooLarge:
        return PayloadTooLarge(
            f"The request has more than {self._config.max_characters} characters of text, or {MOST_TEXTS} texts, which "
            "is more than the gateway's safety policy looks through.",
            code="too_long_to_moderate",
        )

    async def _no_text(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """A long upload on its way. Raises `PayloadTooLarge` where it begins as text: of sound and pictures nothing is
        read, however long they are."""
        first = b""
        async for piece in pieces:
            if len(first) < _GLANCE:
                first += piece
                if len(first) < _GLANCE:
                    continue
                piece = first
                self._refuse_text(first)
            yield piece
        if len(first) < _GLANCE:
            self._refuse_text(first)
            yield first

    def _refuse_text(self, beginning: bytes) -> None:
        text = beginning[:_GLANCE].decode("utf-8", "ignore")
        if "\0" not in text and len(text.encode()) > len(beginning[:_GLANCE]) - 4:
            raise self._too_long()

    async def _of(self, plan: Plan, body: bytes, content_type: str, *, is_json: bool) -> Texts | None:
        try:
            if len(body) < IN_A_THREAD:
                return of_request(body, content_type, is_json=is_json)
            return await asyncio.to_thread(of_request, body, content_type, is_json=is_json)
        except MalformedBody:
            if plan.enforces:
                raise
            return None
