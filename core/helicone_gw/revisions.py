"""Revisions: the Alembic revisions of one branch, and what it takes to run them on a connection."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from helicone_gw.migrations import MigrationError, Standing, version_table


class Revisions:
    """The revision files of ``branch`` in the directory ``versions``, read at once.

    Raises `MigrationError` when they cannot be read.
    """

    def __init__(self, branch: str, versions: Path) -> None:
        self.branch = branch
        if not versions.is_dir():
            raise MigrationError(branch, None, f"no such directory: {versions}")
        self._scripts = ScriptDirectory(str(versions.parent), version_locations=[str(versions)])
        try:
            self.heads = set(self._scripts.get_heads())
        except Exception as problem:  # a revision file is a program: it may raise anything
            raise MigrationError(branch, None, f"a revision file cannot be loaded: {_brief(problem)}") from problem

    def current(self, connection: Connection) -> bool:
        """Whether nothing is left to do. Raises `MigrationError` for a database from a newer version."""
        reached = MigrationContext.configure(connection, opts=self._options()).get_current_heads()
        for revision in reached:
            try:
                self._scripts.get_revision(revision)
            except CommandError as problem:
                raise MigrationError(
                    self.branch, revision, "the database was made by a newer version, which alone knows this revision"
                ) from problem
        return set(reached) == self.heads

    def standing(self, connection: Connection) -> Standing:
        """How far the tables are. Raises `MigrationError` for a database from a newer version."""
        self.current(connection)
        reached = MigrationContext.configure(connection, opts=self._options()).get_current_heads()
        return Standing(self.branch, ", ".join(sorted(reached)) or None, ", ".join(sorted(self.heads)))

    def upgrade(self, connection: Connection) -> None:
        """Run what is pending in the connection's transaction, which the caller began, locked and will commit."""
        if self.current(connection):
            return
        running: list[str] = []
        options = self._options()
        options["fn"] = lambda reached, context: self._steps(reached, running)
        context = MigrationContext.configure(connection, opts=options)
        try:
            with Operations.context(context):
                context.run_migrations()
            if connection.dialect.name == "sqlite":
                self._check_foreign_keys(connection)
        except Exception as problem:  # whatever a revision raises: it is named and the caller rolls back
            raise MigrationError(self.branch, running[-1] if running else None, _brief(problem)) from problem

    def _options(self) -> dict[str, Any]:
        return {"version_table": version_table(self.branch)}

    def _steps(self, reached: tuple[str, ...], running: list[str]) -> Iterable[RevisionStep]:
        pending = reversed(list(self._scripts.iterate_revisions("heads", reached, implicit_base=True)))
        for revision in pending:
            running.append(revision.revision)
            yield MigrationStep.upgrade_from_script(self._scripts.revision_map, revision)

    def _check_foreign_keys(self, connection: Connection) -> None:
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(5)
        if broken:
            tables = ", ".join(sorted({str(row[0]) for row in broken}))
            raise ValueError(f"it leaves rows that refer to nothing in {tables}")


def _brief(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines()
    return f"{type(problem).__name__}: {lines[0] if lines else ''}".rstrip(": ")
