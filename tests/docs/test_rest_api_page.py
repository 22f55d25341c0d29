"""The page on the REST API has every route, with its role and in the words of the program."""

from __future__ import annotations

import re
from pathlib import Path

from helicone_gw_logging.api.blueprint import MODULES

PAGE = (Path(__file__).parents[2] / "docs" / "rest-api.md").read_text(encoding="utf-8")


def test_every_route_is_there_as_it_is() -> None:
    told = set(re.findall(r"^\| `(\w+) (\S+)` \| (\w+) \| (.+) \|$", PAGE, re.MULTILINE))
    assert told == {
        (each.method, each.path, each.role, (each.handler.__doc__ or "").partition("\n")[0].strip().replace("``", "`"))
        for module in MODULES
        for each in module.operations
    }
