"""Tables that come with the packages: YAML that people edit, read from a twin that says the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from helicone_gw.tables import compile_table, compile_tables, read_table

ROOT = Path(__file__).parents[2]
TABLES = sorted(
    path
    for pattern in ("core/helicone_gw/upstream", "plugins/*/helicone_gw_*/data", "plugins/*/helicone_gw_*/rules")
    for path in ROOT.glob(f"{pattern}/*.yaml")
)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table in a package ``shipped``, which is on the path while the test runs."""
    package = tmp_path / "shipped"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shipped", raising=False)
    table = package / "units.yaml"
    table.write_text("tokens: &all [in, out] # what is counted\nagain: *all\nhalf: 0.5\nzł: ☃\n", encoding="utf-8")
    return table


def test_a_twin_says_what_its_source_says(source: Path) -> None:
    written = {"tokens": ["in", "out"], "again": ["in", "out"], "half": 0.5, "zł": "☃"}
    assert read_table("shipped", "units.yaml") == written
    twin = compile_table(source)
    assert twin.name == "units.yaml.json"
    assert read_table("shipped", "units.yaml") == written


def test_a_twin_is_read_in_place_of_its_source(source: Path) -> None:
    twin = compile_table(source)
    compiled = json.loads(twin.read_text(encoding="utf-8"))
    twin.write_text(json.dumps({**compiled, "content": "of the twin"}), encoding="utf-8")
    assert read_table("shipped", "units.yaml") == "of the twin"


@pytest.mark.parametrize("damage", ["the source was edited", "the twin is cut"])
def test_a_twin_of_another_text_is_not_believed(source: Path, damage: str) -> None:
    twin = compile_table(source)
    if damage == "the source was edited":
        source.write_text("tokens: []\n", encoding="utf-8")
    else:
        twin.write_text(twin.read_text(encoding="utf-8")[:-5], encoding="utf-8")
    assert read_table("shipped", "units.yaml") == YAML(typ="safe", pure=True).load(source)


def test_what_json_cannot_hold_is_not_compiled(source: Path) -> None:
    source.write_text("1: one\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"units\.yaml: JSON cannot hold this"):
        compile_tables([str(source)])
    assert read_table("shipped", "units.yaml") == {1: "one"}


@pytest.mark.parametrize("path", TABLES, ids=lambda path: f"{path.parent.parent.name}/{path.name}")
def test_every_table_has_a_twin_of_its_newest_text(path: Path, tmp_path: Path) -> None:
    fresh = tmp_path / path.name
    fresh.write_bytes(path.read_bytes())
    twin = path.with_name(path.name + ".json")
    assert twin.exists(), "run: make tables"
    assert twin.read_bytes() == compile_table(fresh).read_bytes(), "run: make tables"
