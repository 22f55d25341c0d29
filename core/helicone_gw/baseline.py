"""Baseline: what all revisions of a branch make of an empty SQLite database, as one script that is run in their place.

A first start would spend a fifth of its time on importing Alembic and running one revision after the other. The script
comes with the package, compiled from the revisions (`make tables`); one of other revisions is not believed.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_RANDOM = re.compile(r"random_bytes\((\d+)\)")


@dataclass(frozen=True, slots=True)
class Baseline:
    """The script of a branch. ``source`` is the `digest` of its revisions, ``statements`` are in order.

    What a revision drew at random, such as a key, is there as ``random_bytes(LENGTH)``; each `script` draws it anew.
    """

    branch: str
    source: str
    statements: Sequence[str]

    def script(self) -> str:
        """A transaction that makes everything; SQLite refuses it where some of that is there already."""
        drawn = _RANDOM.sub(lambda found: f"X'{secrets.token_hex(int(found[1]))}'", ";\n".join(self.statements))
        return f"BEGIN IMMEDIATE;\n{drawn};\nCOMMIT;"


def baseline_file(versions: Path) -> Path:
    """Where the baseline of the revisions in the directory ``versions`` is kept."""
    return versions.with_name("baseline.json")


def read_baseline(branch: str, versions: Path) -> Baseline | None:
    """The baseline of the revisions in the directory ``versions``; ``None`` where there is none of these very ones."""
    try:
        found = Baseline(**json.loads(baseline_file(versions).read_bytes()))
        return found if (found.branch, found.source) == (branch, digest(versions)) else None
    except (OSError, ValueError, TypeError):
        return None


def digest(versions: Path) -> str:
    """A hash of the names and texts of the revisions in the directory ``versions``."""
    made = hashlib.sha256()
    for file in sorted(versions.glob("*.py")):
        text = file.read_bytes()
        made.update(f"{file.name} {len(text)}\n".encode())
        made.update(text)
    return made.hexdigest()
