"""Legacy templates, kept as requests show them: a new version whenever a prompt's template is one that was not seen."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from helicone_gw_prompts.recent import Recent
from helicone_gw_prompts.tables import TEMPLATE

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from helicone_gw import Background, Clock, Database

MAX_PENDING = 100
"""Templates that wait to be written at once; a further one is written when it is seen again."""
_KNOWN = 10_000
_Key = tuple[str, str, str]


class TemplateCounters(Struct):
    """What became of templates: ``kept`` are new versions, ``refused`` were too large or too many."""

    kept: int = 0
    refused: int = 0
    postponed: int = 0
    failed: int = 0


class Templates:
    """Keeps templates in the background; nothing on a client's path waits for the database."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        background: Background,
        log: BoundLogger,
        *,
        max_size: int,
        max_prompts: int,
        max_versions: int,
    ) -> None:
        self._database = database
        self._clock = clock
        self._background = background
        self._log = log
        self._max_size = max_size
        self._max_prompts = max_prompts
        self._max_versions = max_versions
        self._known: Recent[_Key, int | None] = Recent(_KNOWN)
        self._pending: set[_Key] = set()
        self.counters = TemplateCounters()

    def seen(self, organization: str, prompt_id: str, template: Any) -> int | None:
        """Keep ``template`` if it is new; its version if that is known already."""
        data = msgspec.json.encode(template)
        if len(data) > self._max_size or len(prompt_id) > 255:
            self.counters.refused += 1
            return None
        key = organization, prompt_id, hashlib.sha256(data).hexdigest()
        version = self._known.get(key)
        if key in self._known or key in self._pending:
            return version
        if len(self._pending) >= MAX_PENDING:
            self.counters.postponed += 1
        else:
            self._pending.add(key)
            self._background.spawn(self._keep(key, data), "prompts.template")
        return None

    async def _keep(self, key: _Key, data: bytes) -> None:
        try:
            self._known.put(key, await self._version(key, data))
        except (SQLAlchemyError, OSError) as problem:
            self.counters.failed += 1
            self._log.warning("a template cannot be kept", problem=type(problem).__name__)
        finally:
            self._pending.discard(key)

    async def _version(self, key: _Key, data: bytes) -> int | None:
        """The template's version; ``None`` for one too many."""
        for _ in range(3):
            try:
                return await self._write(key, data)
            except IntegrityError:  # another worker was quicker
                continue
        raise OSError("other workers were quicker each time")

    async def _write(self, key: _Key, data: bytes) -> int | None:
        organization, prompt_id, sha256 = key
        own = TEMPLATE.c.organization_id == organization
        mine = own, TEMPLATE.c.prompt_id == prompt_id
        async with self._database.begin() as connection:
            same = await connection.execute(select(TEMPLATE.c.version).where(*mine, TEMPLATE.c.sha256 == sha256))
            found: int | None = same.scalar_one_or_none()
            if found is not None:
                return found
            newest, count = (
                await connection.execute(select(func.max(TEMPLATE.c.version), func.count()).where(*mine))
            ).one()
            prompts = select(func.count(TEMPLATE.c.prompt_id.distinct())).where(own)
            if count >= self._max_versions or (
                not count and (await connection.execute(prompts)).scalar_one() >= self._max_prompts
            ):
                self.counters.refused += 1
                return None
            version: int = (newest or 0) + 1
            await connection.execute(
                insert(TEMPLATE).values(
                    organization_id=organization,
                    prompt_id=prompt_id,
                    version=version,
                    sha256=sha256,
                    template=data,
                    created_at=self._clock.now(),
                )
            )
        self.counters.kept += 1
        return version
