"""The README's tables are what the command prints, and the corpus is what the README says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from helicone_gw_moderation.commands import BEGIN, END, between, commands, measured
from helicone_gw_moderation.detectors import Finding
from helicone_gw_moderation.measuring.corpus import Item, load
from helicone_gw_moderation.measuring.hiding import HIDINGS
from helicone_gw_moderation.measuring.table import Tally, measure, render

CORPUS = Path(__file__).parent / "corpus"
README = Path(__file__).parents[3] / "plugins" / "moderation" / "README.md"


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return load(CORPUS)


def test_the_readme_says_what_is_measured() -> None:
    pytest.importorskip("promptbadger", reason="needs promptbadger")
    text = README.read_text("utf-8")
    assert between(text, measured(CORPUS)) == text, "helicone-gw moderation measure CORPUS --write README"


def test_the_corpus_is_of_many_languages_and_ways_of_hiding(items: list[Item]) -> None:
    assert len(items) >= 400
    groups = {item.group for item in items if item.detector == "injection"}
    assert {"en", "de", "fr", "es", "it", "pt", "pl", "ru", "zh", "ja", "ko", "ar", "hi", "tr", *HIDINGS} <= groups


def test_no_item_is_in_two_splits(items: list[Item]) -> None:
    splits: dict[str, set[str]] = {}
    for item in items:
        splits.setdefault(item.text, set()).add(item.split)
    assert [text for text, found in splits.items() if len(found) > 1] == []


def test_the_corpus_holds_no_secret_of_its_own() -> None:
    from helicone_gw_moderation.detectors.detector import build_detectors

    (secrets,) = build_detectors(("secrets",))
    for file in CORPUS.iterdir():
        assert secrets.find(file.read_text("utf-8")) == []


class Said:
    """A detector that finds the word "bad", wherever it is told to."""

    name = "secrets"
    overlap = 0

    def find(self, text: str) -> list[Finding]:
        start = text.find("bad")
        return [] if start < 0 else [Finding(start, start + 3, self.name, "secret", "bad", 0.5)]


def test_a_value_counts_as_found_when_it_is_covered() -> None:
    tallies = measure(
        [Said()],
        [
            Item("secrets", "train", True, "a bad b", "x", "bad"),
            Item("secrets", "train", True, "a bad b", "x", "bad b"),
            Item("secrets", "train", True, "a good b", "x", "good"),
            Item("secrets", "train", False, "not bad", "x"),
            Item("secrets", "train", False, "fine", "x"),
            Item("pii", "train", True, "bad", "x"),
        ],
    )
    assert tallies == {("secrets", "train", "x"): Tally(attacks=3, found=1, look_alikes=2, wrong=1)}
    assert "| secrets, train | 5 | 1/3 | 1/2 | 50 % |" in render(tallies, ())


def test_the_command_writes_between_the_markers(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    ran = CliRunner().invoke(commands(), ["measure", str(CORPUS), "--write", str(file), "--no-promptbadger"])
    assert ran.exit_code == 0
    assert file.read_text() == f"before\n{BEGIN}\n\n{ran.stdout}\n{END}\nafter\n"
    file.write_text("no markers")
    assert CliRunner().invoke(commands(), ["measure", str(CORPUS), "--write", str(file)]).exit_code == 2
