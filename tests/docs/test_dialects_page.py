"""docs/dialects.md says what translation does: every cell is tried, and the page is made of the outcome."""

from __future__ import annotations

from pathlib import Path

from tests.docs.dialects_matrix import page

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"


def test_the_page_is_what_translation_does() -> None:
    assert PAGE.read_text() == page(), "python -m tests.docs.dialects_matrix > docs/dialects.md"
