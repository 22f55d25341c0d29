"""docs/architecture.md draws the tree that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "helicone_gw"
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_every_module_of_the_core_is_in_the_tree_and_the_other_way_round() -> None:
    tree = PAGE.split("## The tree")[1].split("```")[1]
    drawn = set(re.findall(r"\b([a-z_]+\.py)\b", tree))
    there = {file.name for file in CORE.glob("*.py")} | {file.name for file in (CORE / "pipeline").glob("*.py")}
    assert there - drawn <= {"__main__.py"}
    assert drawn - there <= {"plugin.py"}
    for folder in CORE.iterdir():
        if folder.is_dir() and (folder / "__init__.py").exists():
            assert f"{folder.name}/" in tree, folder.name
