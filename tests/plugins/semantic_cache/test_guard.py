"""The guard: what two questions must have in common, and what it does to a corpus of pairs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_semantic_cache.facts import MOST, facts_of
from helicone_gw_semantic_cache.guard import CHECKS, Check, difference
from tests.plugins.semantic_cache.ngrams import cosine

CORPUS: dict[str, dict[str, list[tuple[str, str]]]] = json.loads(Path(__file__).with_name("corpus.json").read_text())
README = Path(__file__).parents[3] / "plugins" / "semantic-cache" / "README.md"


def between(one: str, other: str, checks: Any = CHECKS) -> Check | None:
    found = difference(facts_of(one), facts_of(other), checks)
    assert found == difference(facts_of(other), facts_of(one), checks), "it must not matter which came first"
    return found


@pytest.mark.parametrize(
    ("one", "other", "check"),
    [
        ("What is 17*23?", "What is 17*24?", "numbers"),
        ("Divide 10 by 2", "Divide 2 by 10", "numbers"),
        ("Convert 5 km to miles", "Convert 5 miles to km", "units"),
        ("The price in $", "The price in €", "units"),
        ("Say 👍", "Say 👎", "units"),
        ("Is Rome in Italy?", "Is Milan in Italy?", "names"),
        ("Does Paris beat Rome?", "Does Rome beat Paris?", "names"),
        ("Does it start?", "Doesn't it start?", "negations"),
        ("with sugar", "without sugar", "negations"),
        ('What does "cat" mean?', 'What does "dog" mean?', "quotes"),
        ("Fix `a == b`", "Fix `a != b`", "code"),
        ("How do I enable it?", "How do I disable it?", "poles"),
        ("flights to rome", "flights from rome", "poles"),
        ("what is my name", "what is your name", "poles"),
        ("who is the president", "who was the president", "poles"),
        ("When was it founded?", "Where was it founded?", "questions"),
        ("the capital of france", "the capital of germany", "words"),
        ("convert json to xml", "convert xml to json", "words"),
        ("best laptop", "best gaming laptop", "words"),
        ("法国的首都", "德国的首都", "names"),
    ],
)
def test_questions_that_differ_in_one_point(one: str, other: str, check: Check) -> None:
    assert between(one, other) == check


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_can_be_left_out(check: Check) -> None:
    pairs: dict[Check, tuple[str, str]] = {
        "numbers": ("7 cats", "8 cats"),
        "units": ("cats < dogs", "cats > dogs"),
        "names": ("Is Rome old", "Is rome old Rome"),
        "negations": ("cats", "not cats"),
        "quotes": ('"cats"', '"dogs"'),
        "code": ("`cats`", "`dogs`"),
        "poles": ("who is it", "who was it"),
        "questions": ("when is it", "where is it"),
        "words": ("cats", "dogs"),
    }
    one, other = pairs[check]
    others = [each for each in CHECKS if each not in (check, "words")]
    assert between(one, other, [check]) == check
    assert between(one, other, others) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I reset my password?", "Resetting my password"),
        ("which city", "which cities"),
        ("what's 2 + 2", "What is two + two?"),
    ],
)
def test_forms_of_one_word_are_one_word(one: str, other: str) -> None:
    assert between(one, other) is None


def test_another_sentence_altogether_is_left_to_the_embedding() -> None:
    one = "old doctors treat broken bones quickly"
    assert between(one, "ancient physicians mend fractured limbs swiftly") is None
    assert between(one, "old physicians treat broken bones quickly") == "words"


def test_a_text_that_was_cut_is_like_no_other() -> None:
    long = "a " * MOST
    assert between(long, long) == "words"
    assert between(long, long, []) == "words"


@given(st.text(max_size=200))
def test_a_text_is_like_itself(text: str) -> None:
    assert between(text, text) is None


@given(st.text(max_size=80), st.text(max_size=80))
def test_the_order_of_two_texts_does_not_matter(one: str, other: str) -> None:
    between(one, other)


def passing(kind: str, threshold: float, checks: Any) -> tuple[int, int]:
    """How many pairs of a kind share an answer, and how many there are."""
    pairs = [pair for pairs in CORPUS[kind].values() for pair in pairs]
    passed = [one for one, other in pairs if cosine(one, other) >= threshold and between(one, other, checks) is None]
    return len(passed), len(pairs)


THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)


def table() -> list[tuple[str, ...]]:
    """The README's table: paraphrases found, and wrong answers given, by threshold, without the guard and with it."""
    rows = []
    for threshold in THRESHOLDS:
        cells = [f"{threshold:.1f}"]
        for checks in ((), [check for check in CHECKS if check != "words"], CHECKS):
            same, other, unseen = (passing(kind, threshold, checks) for kind in ("same", "other", "unseen"))
            cells.append(f"{same[0]} of {same[1]}, {other[0] + unseen[0]} of {other[1] + unseen[1]}")
        rows.append(tuple(cells))
    return rows


def test_the_readme_says_what_the_guard_does_to_the_corpus() -> None:
    shown = re.findall(r"^\| (\d\.\d) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", README.read_text(), re.MULTILINE)
    assert [tuple(cell.strip() for cell in row) for row in shown] == table()


def test_no_pair_of_the_corpus_that_the_guard_should_see_passes_it() -> None:
    wrong = [pair for pairs in CORPUS["other"].values() for pair in pairs if between(*pair) is None]
    assert wrong == []


def test_the_corpus_also_has_pairs_that_the_guard_cannot_see() -> None:
    assert all(between(*pair) is None for pairs in CORPUS["unseen"].values() for pair in pairs)
