"""docs/hooks.md says what the hooks are."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from helicone_gw import hookspecs

PAGE = Path(__file__).parents[2] / "docs" / "hooks.md"


def test_headings_are_the_live_signatures_in_their_order() -> None:
    expected = []
    for name, function in vars(hookspecs).items():
        if not hasattr(function, "helicone_gw_spec"):
            continue
        signature = inspect.signature(function)
        kind = "async def" if inspect.iscoroutinefunction(function) else "def"
        expected.append(f"{kind} {name}({', '.join(signature.parameters)}) -> {signature.return_annotation}")
    assert re.findall(r"^## `(.+)`$", PAGE.read_text(), re.MULTILINE) == expected


def test_every_hook_says_when_it_runs_what_it_returns_and_raises() -> None:
    sections = PAGE.read_text().split("\n## ")[1:]
    for section in sections:
        for word in ("**Runs**", "**Returns**", "**Raises**"):
            assert word in section, section.splitlines()[0]
