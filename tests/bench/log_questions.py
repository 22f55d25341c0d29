"""Build a log of any size and ask it what charts and lists ask: ``python -m tests.bench.log_questions --help``.

What is told of each question is CPU, in milliseconds: of this process and, on Postgres, of the server's process that
answers; the least of several rounds, and the first one, for which nothing was in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from helicone_gw.database import Database
from helicone_gw_logging.packing import pack
from helicone_gw_logging.presence import note
from helicone_gw_logging.session_notes import note_hours
from helicone_gw_logging.spreading import note_spreads
from helicone_gw_logging.zones import note_zones
from tests.bench.test_log_questions import QUESTIONS, strew
from tests.fixtures.postgres_server import PostgresServer
from tests.plugins.logging.test_scale import DAYS, START, fill

OVER = START / 1000 + (DAYS + 1) * 86_400
"""When the last day is over (epoch seconds)."""


async def packed(url: str) -> None:
    """Pack the days and note what is noted of them and of zones, as the janitor does within the hour."""
    database, began = Database(url), time.process_time()
    for work in (pack, note):
        async for _ in work(database, OVER):
            pass
    for work in (note_spreads, note_hours):
        async for _ in work(database, OVER):
            pass
    async for _ in note_zones(database):
        pass
    await database.close()
    print(f"packed in {time.process_time() - began:.1f} s")


def server_cpu(process: int | None) -> float:
    """Seconds that a process of the server has used."""
    if process is None:
        return 0.0
    fields = Path(f"/proc/{process}/schedstat").read_text().split()
    return int(fields[0]) / 1e9


async def ask(url: str, part: str, rounds: int) -> None:
    """Ask all questions whose names contain ``part``."""
    database = Database(url)
    for name, (question, bar) in QUESTIONS.items():
        if part not in name:
            continue
        took = []
        for _ in range(rounds):
            async with database.connect() as connection:
                process = None if database.sqlite else await connection.scalar(text("SELECT pg_backend_pid()"))
                began = time.process_time() + server_cpu(process)
                await question(connection)
                took.append(1000 * (time.process_time() + server_cpu(process) - began))
        told = f"{min(took):9.1f} ms, median {statistics.median(took):9.1f}, first {took[0]:9.1f}, of {bar:.0f}"
        print(f"{name:48} {told}{' <<<' if min(took) > bar else ''}", flush=True)
    await database.close()


def main() -> None:
    """Build, and ask."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--postgres", action="store_true", help="on a server of its own, which is gone afterwards")
    options.add_argument("--url", help="a log that is there: it is asked, and nothing is built")
    options.add_argument("--only", default="", help="part of the questions' names")
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    if asked.url:
        asyncio.run(ask(asked.url, asked.only, asked.rounds))
        return
    server = PostgresServer() if asked.postgres else None
    with tempfile.TemporaryDirectory() as directory:
        try:
            if server is not None:
                server.start()
            url = f"sqlite:///{directory}/log.db" if server is None else server.make()
            took = asyncio.run(fill(url, asked.rows))
            print(f"{asked.rows:,} requests, {asked.rows / took:,.0f} written a second of CPU time of this process")
            asyncio.run(strew(url, asked.rows))
            asyncio.run(packed(url))
            if server is not None:
                server.ask("VACUUM ANALYZE", url.rsplit("/", 1)[1])
            asyncio.run(ask(url, asked.only, asked.rounds))
        finally:
            if server is not None:
                server.close()


if __name__ == "__main__":
    main()
