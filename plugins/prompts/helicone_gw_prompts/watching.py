"""Watching: a folder of prompts, taken over at the start and whenever one of its files changes."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError
from watchfiles import awatch

from helicone_gw import Audit, ConfigError, GatewayKey
from helicone_gw_prompts.errors import Refusal
from helicone_gw_prompts.files import read_folder
from helicone_gw_prompts.syncing import VERBS, push

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from helicone_gw_prompts.editing import Editor

MESSAGE = "From its file"
"""The commit message of versions that come from the folder."""

_AGAIN = 5_000
"""Milliseconds after which it is tried again, where the database was away."""


class WatchCounters(Struct):
    """``taken`` files made a prompt or changed one, ``refused`` are no prompts, ``failed``: the database was away."""

    taken: int = 0
    refused: int = 0
    failed: int = 0


class Watch:
    """The files of ``folder`` as prompts of ``organization``.

    A file that changed is taken over; one that did not is left alone, whatever the database says by now, so that edits
    over the API stand. While any file is broken, the others are taken over all the same, and its prompt stays as it is.
    """

    def __init__(
        self, folder: Path, organization: str, editor: Editor, log: BoundLogger, audit: Audit | None = None
    ) -> None:
        self._audit = audit
        self._folder = folder
        self._organization = organization
        self._editor = editor
        self._log = log
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._told: list[str] = []
        self._behind = False
        self.counters = WatchCounters()

    async def start(self, *, watch: bool) -> None:
        """Take the files over, and go on doing so. Raises `ConfigError` for broken ones."""
        problems = await self._take()
        if problems:
            raise ConfigError(problems)
        if watch:
            self._task = asyncio.create_task(self._watch(), name="prompts.watch")

    async def close(self) -> None:
        """Look no longer."""
        self._stop.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=2)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                # What is under way in the file system is not waited for: it comes with the next look.
                async for changes in awatch(
                    self._folder, stop_event=self._stop, rust_timeout=_AGAIN, yield_on_timeout=True, debounce=200
                ):
                    if changes or self._behind:
                        await self._look()
            except (OSError, RuntimeError) as problem:  # the folder is gone, or there are too many to watch
                self.counters.failed += 1
                self._log.error("prompts in files are not watched", problem=type(problem).__name__)
                self._behind = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), _AGAIN / 1000)

    async def _look(self) -> None:
        try:
            problems = await self._take()
        except (SQLAlchemyError, OSError) as problem:
            self._behind = True
            self.counters.failed += 1
            self._log.warning("prompts cannot be taken over from their files", problem=type(problem).__name__)
            return
        self._behind = False
        if problems and problems != self._told:
            self._log.error("prompts in files cannot be used", problems=problems)
        self._told = problems

    async def _take(self) -> list[str]:
        """Take over what changed; what is wrong with the rest."""
        bounds = self._editor.bounds
        found, problems = await asyncio.to_thread(read_folder, self._folder, bounds.max_size, bounds.max_prompts)
        try:
            done = await push(self._editor, self._organization, found.values(), message=MESSAGE, only_edited=True)
        except Refusal as refusal:
            problems = [*problems, f"{self._folder}: {refusal}"]
            done = []
        self.counters.refused += len(problems)
        for each in done:
            if each.what != "same":
                self.counters.taken += 1
                self._log.info("a prompt came from its file", prompt=each.id, version=each.version)
                if self._audit is not None:
                    nobody = GatewayKey("files", "prompts in files", "files", organization=self._organization)
                    after = {"version": each.version, "from": "its file"}
                    await self._audit(nobody, f"prompt.{VERBS[each.what]}", f"prompt:{each.id}", after=after)
        return problems
