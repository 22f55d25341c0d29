"""Facts: what is seen in the letters of a text, in many scripts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_semantic_cache.facts import MOST, facts_of


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("What is 17 * 23?", ("17", "23")),
        ("two eggs and 3 onions", ("2", "3")),
        ("1,000 or 1000", ("1000", "1000")),
        ("1,234,567.50", ("1234567.5",)),
        ("1.234.567,5", ("1234567.5",)),
        ("3,5 und 3.5", ("3.5", "3.5")),
        ("1.000", ("1.000",)),  # one, or a thousand: nobody can tell, so it is neither
        ("007", ("7",)),
        ("٣ و ٤", ("3", "4")),
        ("三加五", ()),
        ("zwölf Äpfel", ("12",)),
        ("version 1.2.3", ()),  # code
    ],
)
def test_figures_and_words_for_them_are_one_number(text: str, numbers: tuple[str, ...]) -> None:
    assert facts_of(text).numbers == numbers


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("5 km to miles", ("km", "mi")),
        ("5 kilometers in miles", ("km", "mi")),
        ("10 € or 10 euros", ("eur", "eur")),
        ("50 % and 50 percent", ("pct", "pct")),
        ("my min, mi casa, 5 m", ("m",)),
        ("8-3 and well-known", ("-",)),
        ("a < b", ("<",)),
        ("👍", ("👍",)),
    ],
)
def test_units_and_signs_have_one_name_each(text: str, units: tuple[str, ...]) -> None:
    assert facts_of(text).units == units


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Is Paris in France?", {"paris", "france"}),
        ("Paris is where?", set()),  # begins a sentence, as any word may
        ("NASA. Is it old?", {"nasa"}),
        ("What does NASA do? Ask Anna's brother.", {"nasa", "anna"}),
        ("I think I'm lost", set()),
        ("L'Allemagne et l'Italie", {"allemagne", "italie"}),
        ("столица Франции", {"франции"}),
        ("ما هي عاصمة فرنسا؟", {"عاصمة", "فرنسا"}),  # no capitals: every word may be a name
        ("法国的首都", {"法", "国", "首", "都"}),
        ("भारत की राजधानी", {"भारत", "राजधानी"}),
    ],
)
def test_names_are_what_is_written_like_one(text: str, names: set[str]) -> None:
    assert facts_of(text).names == names


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Is it safe?", 0),
        ("Is it not safe?", 1),
        ("isn't it safe, isn’t it?", 2),
        ("I cannot go without shoes", 2),
        ("nicht ohne", 2),
        ("Ce n'est pas possible", 2),
        ("Это нельзя", 1),
        ("不可以", 1),
        ("食べなくてもいい", 0),  # seen as other characters, not as a negation
        ("Notable knots", 0),
    ],
)
def test_negations_are_counted(text: str, count: int) -> None:
    assert facts_of(text).negations == count


@pytest.mark.parametrize(
    ("text", "quotes"),
    [
        ('say "hello there"', ("hello there",)),
        ("say 'hello', don't shout", ("hello",)),
        ("“a” «b» „c“ 「d」", ("a", "b", "c", "d")),
        ("it's Anna's", ()),
    ],
)
def test_quotations_are_kept_as_they_are(text: str, quotes: tuple[str, ...]) -> None:
    assert facts_of(text).quotes == quotes


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Fix `a == b`.", ("a == b",)),
        ("```\nx = 1\n``` please", ("\nx = 1\n",)),
        ("open /etc/hosts, then ~/x", ("/etc/hosts", "~/x")),
        ("see https://example.com/a?b=c.", ("https://example.com/a?b=c",)),
        ("mail me@example.com", ("me@example.com",)),
        ("run --force -v", ("--force", "-v")),
        ("call foo_bar and fooBar and foo()", ("foo_bar", "fooBar", "foo")),
        ("std::sort in C++ or C#", ("std::sort", "C++", "C#")),
        ("Python 3.12.1", ("3.12.1",)),
        ("Good. Next", ()),
    ],
)
def test_what_no_sentence_contains_is_code(text: str, code: tuple[str, ...]) -> None:
    assert facts_of(text).code == code


def test_how_and_its_degree_are_one_question() -> None:
    assert facts_of("How many are there?").questions == {"how many"}
    assert facts_of("How do I go, and when?").questions == {"how", "when"}


def test_synonyms_of_an_end_of_a_scale_are_one_word() -> None:
    assert facts_of("enable it").meaning == facts_of("activate it").meaning != facts_of("disable it").meaning


def test_function_words_mean_nothing_alone() -> None:
    assert facts_of("Could you please tell me what the capital of France is?").meaning == ("capital", "france")


def test_a_long_text_is_cut() -> None:
    assert facts_of("a" * (MOST + 1)).cut
    assert not facts_of("a" * MOST).cut


@given(st.text(max_size=300))
def test_every_text_can_be_read(text: str) -> None:
    facts = facts_of(text)
    assert not facts.cut
    assert facts == facts_of(text)


@given(st.text(alphabet="`'\"“”„«»「」『』:/.@-_#() \nab1", max_size=400))
def test_quotation_marks_and_code_that_nothing_closes_do_no_harm(text: str) -> None:
    facts_of(text)
