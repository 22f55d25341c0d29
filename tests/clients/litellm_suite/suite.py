"""litellm in an environment and a process of its own: how it is installed, and how a test makes it call."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "litellm-suite"
LOCK = HERE / "requirements.lock"

UNREACHABLE = ("error sending request for url", "because the network was disabled")
"""What uv says when it got no answer from the package index, or must not ask it. An answer that refuses is no such."""


class IndexUnreachable(Exception):
    """litellm is not installed, and there is no package index to install it from."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one call: a unary answer or a stream's chunks as dictionaries, the answer's headers, the error.

    The error has ``type`` (the exception's name), ``status`` and ``message``.
    """

    answers: list[dict[str, Any]]
    headers: dict[str, str]
    error: dict[str, Any] | None

    @property
    def choices(self) -> list[dict[str, Any]]:
        """The choices of the answer, or of every chunk."""
        return [choice for answer in self.answers for choice in answer["choices"]]

    @property
    def text(self) -> str:
        """The whole text, of a chat or of a completion."""
        texts = [(choice.get("message") or choice.get("delta") or {}).get("content") for choice in self.choices]
        return "".join(text or choice.get("text") or "" for text, choice in zip(texts, self.choices, strict=True))

    @property
    def finish_reasons(self) -> list[str]:
        """Why it ended, once per choice."""
        return [choice["finish_reason"] for choice in self.choices if choice["finish_reason"]]

    @property
    def usage(self) -> tuple[int, int] | None:
        """Tokens of the prompt and of the completion, as the last answer or chunk that has them says."""
        for answer in reversed(self.answers):
            if usage := answer.get("usage"):
                return usage["prompt_tokens"], usage["completion_tokens"]
        return None


@dataclass(frozen=True, slots=True)
class Litellm:
    """The process that has imported litellm; one call at a time."""

    worker: subprocess.Popen[str]
    log: Path

    async def call(self, function: str, /, *, settings: dict[str, Any] | None = None, **arguments: Any) -> Outcome:
        """Call ``litellm.<function>`` with ``settings`` in its module, and read the stream if it is one.

        Raises `RuntimeError` with what the process printed when it has ended.
        """
        line = json.dumps({"function": function, "arguments": arguments, "settings": settings or {}})
        return Outcome(**json.loads(await asyncio.to_thread(self._exchange, line)))

    def _exchange(self, line: str) -> str:
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        self.worker.stdin.write(line + "\n")
        self.worker.stdin.flush()
        answer = self.worker.stdout.readline()
        if not answer:
            raise RuntimeError(f"litellm's process ended:\n{self.log.read_text(errors='replace')[-4000:]}")
        return answer


@contextmanager
def started(directory: Path) -> Iterator[Litellm]:
    """Run litellm until the end of the block; what it prints is in ``directory``. Raises what `prepare` raises."""
    # The price list that comes with litellm; otherwise importing it fetches the newest one.
    environment = _environment() | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "127.0.0.1"}
    log = directory / "litellm.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [prepare(), HERE / "worker.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            cwd=directory,
        ) as worker,
    ):
        try:
            yield Litellm(worker, log)
        finally:
            worker.kill()


def prepare(locked: Path = LOCK, cache: Path = CACHE) -> Path:
    """Make the environment of a lock under ``.cache``, once for each version of it, and return its Python.

    Raises `IndexUnreachable`, and `subprocess.CalledProcessError` with what a step printed.
    """
    stamp = hashlib.sha256(locked.read_bytes() + sys.version.encode()).hexdigest()[:16]
    home = cache / stamp
    home.mkdir(parents=True, exist_ok=True)
    python = home / "venv" / "bin" / "python"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = home / "done"
        if not done.exists():
            uv = [sys.executable, "-m", "uv"]
            _step([*uv, "venv", "--clear", "--python", sys.executable, home / "venv"])
            _step([*uv, "pip", "sync", "--python", python, "--require-hashes", locked])
            done.touch()
    return python


def _step(command: list[Any]) -> None:
    finished = subprocess.run(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if not finished.returncode:
        return
    if any(sign in finished.stdout for sign in UNREACHABLE):
        raise IndexUnreachable
    error = subprocess.CalledProcessError(finished.returncode, command, finished.stdout)
    error.add_note(finished.stdout[-4000:])
    raise error


def _environment() -> dict[str, str]:
    """This process's environment without what would bend another Python's or litellm's behaviour."""
    bending = ("PYTEST_", "PYTHON", "VIRTUAL_ENV", "OPENAI_", "LITELLM_", "HELICONE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(bending)}
