"""docs/architecture.md draws the tree that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "helicone_gw"
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def test_every_module_of_the_core_is_in_the_tree_and_the_other_way_round() -> None:
    tree = PAGE.split("## The tree")[1].split("```")[1]
    drawn = set(re.findall(r"\b([a-z_0-9]+\.py)\b", tree))
    whole = (".", "pipeline", "engines", "engines/http1", "upstream/http1")
    there = {file.name for folder in whole for file in (CORE / folder).glob("*.py")} - {"__main__.py"}
    assert there - drawn == set()
    assert drawn - {file.name for file in CORE.parent.rglob("*.py")} == set()
    for folder in CORE.iterdir():
        if folder.is_dir() and (folder / "__init__.py").exists():
            assert f"{folder.name}/" in tree, folder.name
