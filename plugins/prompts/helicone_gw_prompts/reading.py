"""Reading: prompts and their versions out of the database, each call one or two queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import RowMapping, Select, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from helicone_gw_prompts.errors import NoSuch
from helicone_gw_prompts.tables import ENVIRONMENT, PROMPT, STATE, TEMPLATE, VERSION

PRODUCTION = "production"
"""The environment of requests that name none."""

MOST = 1_000
"""Most rows of one list."""


class Prompt(Struct, frozen=True):
    """A prompt; ``created_at`` is epoch seconds."""

    id: str
    name: str
    tags: list[str]
    created_at: float


class Version(Struct, frozen=True):
    """A version of a prompt. ``body`` is JSON, ``environments`` those that are at it, sorted."""

    id: str
    prompt_id: str
    model: str
    major_version: int
    minor_version: int
    commit_message: str
    created_at: float
    body: bytes
    sha256: str
    environments: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """Major and minor version, as people write them."""
        return f"{self.major_version}.{self.minor_version}"

    def decoded(self) -> dict[str, Any]:
        """The body, anew for each caller."""
        body: dict[str, Any] = msgspec.json.decode(self.body)
        return body


class Summary(Struct, frozen=True):
    """What lists say of a prompt: how many versions it has, which number is in which environment, the newest's time."""

    prompt_id: str
    versions: int
    environments: dict[str, str]
    changed_at: float


async def changes(connection: AsyncConnection) -> int:
    """How many edits there were."""
    found: int = (await connection.execute(select(STATE.c.changes))).scalar_one()
    return found


async def signing_key(connection: AsyncConnection) -> bytes:
    """The key that signs the URLs of bodies."""
    found: bytes = (await connection.execute(select(STATE.c.signing_key))).scalar_one()
    return bytes(found)


async def prompt(connection: AsyncConnection, organization: str, id: str) -> Prompt:
    """The prompt. Raises `NoSuch`."""
    found = await connection.execute(select(PROMPT).where(_own(PROMPT, organization), PROMPT.c.id == id))
    row = found.mappings().first()
    if row is None:
        raise NoSuch(f"There is no prompt {id[:100]!r}.")
    return _prompt(row)


async def prompts(
    connection: AsyncConnection,
    organization: str,
    *,
    search: str = "",
    tags: Collection[str] = (),
    offset: int = 0,
    limit: int = MOST,
) -> list[Prompt]:
    """Prompts, newest first: those with ``search`` in name or id, and with any of ``tags``."""
    statement = select(PROMPT).where(_own(PROMPT, organization))
    if search:
        pattern = "%" + search.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        statement = statement.where(
            func.lower(PROMPT.c.name).like(pattern, escape="\\") | func.lower(PROMPT.c.id).like(pattern, escape="\\")
        )
    statement = statement.order_by(PROMPT.c.created_at.desc(), PROMPT.c.id)
    if not tags:
        statement = statement.offset(offset).limit(limit)
    found = [_prompt(row) for row in (await connection.execute(statement)).mappings()]
    if not tags:
        return found
    wanted = set(tags)
    return [each for each in found if wanted & set(each.tags)][offset : offset + limit]


async def summaries(connection: AsyncConnection, organization: str, ids: Collection[str]) -> list[Summary]:
    """What lists say of the prompts ``ids``, in no order; of those that there are not, nothing."""
    at: dict[str, dict[str, str]] = {}
    same = and_(VERSION.c.organization_id == ENVIRONMENT.c.organization_id, VERSION.c.id == ENVIRONMENT.c.version_id)
    placed = (
        select(ENVIRONMENT.c.prompt_id, ENVIRONMENT.c.environment, VERSION.c.major_version, VERSION.c.minor_version)
        .join(VERSION, same)
        .where(_own(ENVIRONMENT, organization), ENVIRONMENT.c.prompt_id.in_(ids))
        .order_by(ENVIRONMENT.c.environment)
    )
    for prompt_id, environment, major, minor in await connection.execute(placed):
        at.setdefault(prompt_id, {})[environment] = f"{major}.{minor}"
    counted = (
        select(VERSION.c.prompt_id, func.count(), func.max(VERSION.c.created_at))
        .where(_own(VERSION, organization), VERSION.c.prompt_id.in_(ids))
        .group_by(VERSION.c.prompt_id)
    )
    return [Summary(one, versions, at.get(one, {}), at_) for one, versions, at_ in await connection.execute(counted)]


async def count(connection: AsyncConnection, organization: str) -> int:
    """How many prompts there are."""
    found: int = (
        await connection.execute(select(func.count()).select_from(PROMPT).where(_own(PROMPT, organization)))
    ).scalar_one()
    return found


async def all_tags(connection: AsyncConnection, organization: str) -> list[str]:
    """Every tag of a prompt, sorted."""
    found = await connection.execute(select(PROMPT.c.tags).where(_own(PROMPT, organization)))
    return sorted({tag for (tags,) in found for tag in tags})


async def all_environments(connection: AsyncConnection, organization: str) -> list[str]:
    """Every environment that a version is in, sorted."""
    found = await connection.execute(
        select(ENVIRONMENT.c.environment).where(_own(ENVIRONMENT, organization)).distinct()
    )
    return sorted(environment for (environment,) in found)


async def version(connection: AsyncConnection, organization: str, id: str) -> Version:
    """The version of this id. Raises `NoSuch`."""
    found = await _versions(connection, organization, VERSION.c.id == id)
    if not found:
        raise NoSuch(f"There is no version {id[:100]!r} of a prompt.")
    return found[0]


async def version_in(connection: AsyncConnection, organization: str, prompt_id: str, environment: str) -> Version:
    """The version of a prompt that ``environment`` is at. Raises `NoSuch`."""
    at = select(ENVIRONMENT.c.version_id).where(
        _own(ENVIRONMENT, organization),
        ENVIRONMENT.c.prompt_id == prompt_id,
        ENVIRONMENT.c.environment == environment,
    )
    found = await _versions(connection, organization, VERSION.c.id.in_(at))
    if not found:
        await prompt(connection, organization, prompt_id)
        raise NoSuch(f"The prompt {prompt_id[:100]!r} has no version in the environment {environment[:100]!r}.")
    return found[0]


async def versions(
    connection: AsyncConnection, organization: str, prompt_id: str, major: int | None = None
) -> list[Version]:
    """The versions of a prompt, newest first, without their bodies. Raises `NoSuch`."""
    await prompt(connection, organization, prompt_id)
    condition = VERSION.c.prompt_id == prompt_id
    if major is not None:
        condition = and_(condition, VERSION.c.major_version == major)
    return await _versions(connection, organization, condition, bodies=False)


async def latest(connection: AsyncConnection, organization: str, prompt_id: str) -> Version | None:
    """The newest version of a prompt; ``None`` where there is no such prompt, or it has none."""
    found = await _versions(connection, organization, VERSION.c.prompt_id == prompt_id, limit=1)
    return found[0] if found else None


async def total_versions(connection: AsyncConnection, organization: str, prompt_id: str) -> tuple[int, int]:
    """How many versions a prompt has, and how many major ones. Raises `NoSuch`."""
    await prompt(connection, organization, prompt_id)
    found = await connection.execute(
        select(func.count(), func.count(VERSION.c.major_version.distinct())).where(
            _own(VERSION, organization), VERSION.c.prompt_id == prompt_id
        )
    )
    total, major = found.one()
    return total, major


async def templates(connection: AsyncConnection, organization: str, prompt_id: str) -> Sequence[RowMapping]:
    """The legacy templates of a prompt, newest first."""
    found = await connection.execute(
        select(TEMPLATE)
        .where(_own(TEMPLATE, organization), TEMPLATE.c.prompt_id == prompt_id)
        .order_by(TEMPLATE.c.version.desc())
        .limit(MOST)
    )
    return found.mappings().all()


async def template_prompts(connection: AsyncConnection, organization: str) -> Sequence[RowMapping]:
    """The legacy prompts: ``prompt_id``, newest ``version``, and when the first and the last version came."""
    found = await connection.execute(
        select(
            TEMPLATE.c.prompt_id,
            func.max(TEMPLATE.c.version).label("version"),
            func.min(TEMPLATE.c.created_at).label("created_at"),
            func.max(TEMPLATE.c.created_at).label("updated_at"),
        )
        .where(_own(TEMPLATE, organization))
        .group_by(TEMPLATE.c.prompt_id)
        .order_by(func.max(TEMPLATE.c.created_at).desc(), TEMPLATE.c.prompt_id)
        .limit(MOST)
    )
    return found.mappings().all()


async def _versions(
    connection: AsyncConnection, organization: str, condition: Any, limit: int = MOST, *, bodies: bool = True
) -> list[Version]:
    columns = [column for column in VERSION.columns if bodies or column is not VERSION.c.body]
    statement: Select[Any] = (
        select(*columns)
        .where(_own(VERSION, organization), condition)
        .order_by(VERSION.c.major_version.desc(), VERSION.c.minor_version.desc())
        .limit(limit)
    )
    rows = (await connection.execute(statement)).mappings().all()
    if not rows:
        return []
    found = await connection.execute(
        select(ENVIRONMENT.c.version_id, ENVIRONMENT.c.environment)
        .where(_own(ENVIRONMENT, organization), ENVIRONMENT.c.prompt_id == rows[0]["prompt_id"])
        .order_by(ENVIRONMENT.c.environment)
    )
    at: dict[str, list[str]] = {}
    for version_id, environment in found:
        at.setdefault(version_id, []).append(environment)
    return [_version(row, tuple(at.get(row["id"], ()))) for row in rows]


def _own(table: Any, organization: str) -> Any:
    return table.c.organization_id == organization


def _prompt(row: RowMapping) -> Prompt:
    return Prompt(row["id"], row["name"], list(row["tags"]), row["created_at"])


def _version(row: RowMapping, environments: tuple[str, ...]) -> Version:
    return Version(
        id=row["id"],
        prompt_id=row["prompt_id"],
        model=row["model"],
        major_version=row["major_version"],
        minor_version=row["minor_version"],
        commit_message=row["commit_message"],
        created_at=row["created_at"],
        body=bytes(row.get("body", b"")),
        sha256=row["sha256"],
        environments=environments,
    )
