"""Settings: what is kept and for how long, and how the database, the store, the journal and the providers are."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from quart import Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from helicone_gw import Database, Measurement
from helicone_gw_dashboard.pages.plugins import operator
from helicone_gw_dashboard.site import Pages
from helicone_gw_dashboard.view import View

PAGES = Pages("settings")

SECONDS: Final = 2.0
"""How long the database may take to say how large it is."""
NO_ANSWER: Final = "The database does not answer."
MOST_UNKNOWN: Final = 20
"""Models without a price that are shown."""

KINDS: Final = (
    ("requests", "Requests, with all that belongs to them"),
    ("bodies", "Bodies of requests and answers"),
    ("rollups", "Hourly sums, from which charts are made"),
    ("summaries", "Sums of sessions and users"),
)

YAML: Final = """plugins:
  - logging:
      retention:
        bodies: 30d
        requests: 90d
        rollups: 400d"""


@PAGES.get("/settings", "Settings", role="admin")
async def settings(view: View) -> Response:
    """The gateway itself, as it runs."""
    operator(view)
    gateway = view.gateway
    (size, trouble), problem = await asyncio.gather(_size(gateway.database), gateway.store.problem())
    figures = {each.name: each.value for each in gateway.measurements() if not each.labels}
    logging = view.instances("logging")
    retention = getattr(logging[0].config, "retention", None) if logging else None
    unknown = sorted(gateway.prices.unknown.items(), key=lambda one: -one[1])
    server = gateway.config.server
    return view.render(
        "settings.html",
        kept=[(title, getattr(retention, name, None)) for name, title in KINDS] if retention else None,
        yaml=YAML,
        logging=logging[0] if logging else None,
        database=gateway.database,
        size=size,
        size_trouble=trouble,
        answers=trouble != NO_ANSWER,
        store=_store(gateway.config.store.url),
        store_problem=problem,
        stats=gateway.store.stats,
        journal=_of(figures, f"{logging[0].name}_journal_" if logging else ""),
        queue=_of(figures, f"{logging[0].name}_" if logging else ""),
        providers=list(_providers(view)),
        unknown=unknown[:MOST_UNKNOWN],
        unknown_more=max(len(unknown) - MOST_UNKNOWN, 0),
        server=server,
        active=gateway.active,
        tasks=_tasks(gateway.measurements()),
        **await view.panels(members=_members(view)),
    )


def _of(figures: dict[str, float], prefix: str) -> dict[str, float]:
    """The figures whose name begins with ``prefix``, without it."""
    return {name.removeprefix(prefix): value for name, value in figures.items() if prefix and name.startswith(prefix)}


def _store(url: str) -> str:
    """What kind of store it is: its address may hold a password."""
    scheme = url.partition(":")[0]
    return "memory of each worker" if scheme == "memory" else scheme.replace("rediss", "redis").replace("unix", "redis")


def _providers(view: View) -> Iterator[dict[str, Any]]:
    catalogue, states = view.gateway.catalogue, view.gateway.health.states()
    for provider in catalogue.all():
        if not catalogue.is_configured(provider.name):
            continue
        aside = {name: state for name, state in states.items() if name.partition("/")[0].split(" ")[0] == provider.name}
        yield {
            "name": provider.name,
            "title": provider.title,
            "dialect": provider.dialect,
            "deployments": [each.name for each in catalogue.deployments(provider.name)],
            "aside": aside,
        }


async def _members(view: View) -> Counter[str] | None:
    """How many people have each role in the caller's organization; ``None`` where nothing knows people."""
    if not view.instances("security"):
        return None
    return Counter(row["role"] for row in await view.ask("GET", "/v1/admin/users"))


def _tasks(measurements: Iterable[Measurement]) -> dict[str, tuple[float, float]]:
    """Tasks that run beside the requests, and how many failed, by whose they are."""
    known = {(each.name, each.labels.get("kind", "")): each.value for each in measurements}
    kinds = sorted(kind for name, kind in known if name == "background_tasks")
    return {kind: (known["background_tasks", kind], known.get(("background_failures", kind), 0)) for kind in kinds}


async def _size(database: Database) -> tuple[int | None, str]:
    """Bytes that the database takes on its disk, or why nobody knows. It is asked, and so known to answer."""
    question = "SELECT 1" if database.sqlite else "SELECT pg_database_size(current_database())"
    try:
        async with asyncio.timeout(SECONDS):
            async with database.connect() as connection:
                found = (await connection.execute(text(question))).scalar()
            if database.path is not None:
                return await asyncio.to_thread(_files, database.path), ""
            if database.sqlite:
                return None, "It is in memory, and gone when the gateway stops."
            return None if found is None else int(found), ""
    except (SQLAlchemyError, OSError, TimeoutError):
        return None, NO_ANSWER


def _files(path: Path) -> int:
    total = 0
    for each in (path, path.with_name(f"{path.name}-wal")):
        if each.exists():
            total += each.stat().st_size
    return total
