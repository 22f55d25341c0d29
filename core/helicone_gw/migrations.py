"""Migrations: how far the tables of a branch are, as told without Alembic, which takes long to import."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

_REVISION = re.compile(r"""^revision\b[^=\n]*=\s*["']([^"'\n]+)["']\s*$""", re.MULTILINE)
_BEFORE = re.compile(r"""^down_revision\b[^=\n]*=\s*(?:None|["']([^"'\n]+)["'])\s*$""", re.MULTILINE)


class MigrationError(Exception):
    """A migration could not be run; the data is as it was.

    ``branch`` says whose tables, ``revision`` which step (``None``: none was reached).
    """

    def __init__(self, branch: str, revision: str | None, reason: str) -> None:
        step = f"migration {revision} of {branch!r}" if revision else f"the migrations of {branch!r}"
        super().__init__(f"Cannot apply {step}: {reason}. The database was left as it was.")
        self.branch = branch
        self.revision = revision


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the tables of a branch are: the revision ``reached`` (``None``: there are none), and the ``newest``."""

    branch: str
    reached: str | None
    newest: str

    @property
    def current(self) -> bool:
        """Whether nothing is left to do."""
        return self.reached == self.newest


def version_table(branch: str) -> str:
    """The table in which Alembic keeps what revision the tables of ``branch`` have."""
    return f"alembic_version_{branch}"


def newest_revision(versions: Path) -> str | None:
    """The newest of the revision files in the directory ``versions``, which are read and not run.

    ``None`` when that takes more: a file that does not say its revision in so many words, or several newest ones.
    """
    revisions: set[str] = set()
    before: set[str] = set()
    for file in versions.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        own, older = _REVISION.findall(text), _BEFORE.findall(text)
        if len(own) != 1 or len(older) != 1 or own[0] in revisions:
            return None
        revisions.add(own[0])
        before.add(older[0])
    newest = revisions - before
    return newest.pop() if len(newest) == 1 and before <= revisions | {""} else None


def reached_revision(connection: Connection, branch: str) -> str | None:
    """The revision of the tables of ``branch``; ``None`` when there are none, or Alembic has noted several."""
    table = version_table(branch)
    if not connection.dialect.has_table(connection, table):
        return None
    noted = connection.exec_driver_sql(f"SELECT version_num FROM {table}").scalars().fetchmany(2)  # noqa: S608 - a branch is a plain word
    return str(noted[0]) if len(noted) == 1 else None
