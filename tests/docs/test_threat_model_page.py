"""docs/threat-model.md names a test for every attack, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@cache
def in_file(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text())
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[f"{file}::{test}" for file, test in NAMED])
def test_a_test_that_is_named_is_there(file: str, test: str) -> None:
    assert (ROOT / file).is_file(), file
    assert test in in_file(file)


def test_every_attack_names_a_test() -> None:
    attacks = PAGE.split("## Attacks")[1].split("## What is not")[0]
    rows = [line for line in attacks.splitlines() if line.startswith("|") and not line.startswith(("| attack", "|---"))]
    assert len(rows) > 40
    for row in rows:
        assert row.count("|") == 4, row
        assert re.search(r"`tests/[\w/]+\.py::test_\w+`", row.split("|")[3]), row
