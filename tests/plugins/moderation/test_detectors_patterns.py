"""Users' expressions: bounded in both engines, and the same in both."""

from __future__ import annotations

import re
from typing import Any

import pytest

from helicone_gw_moderation.detectors.patterns import (
    SPAN,
    Pattern,
    Unbounded,
    compile_pattern,
    find_patterns,
)

ENGINES = [pytest.param(True, id="re2"), pytest.param(False, id="re")]


def spans(source: str, text: str, use_re2: bool) -> list[tuple[int, int]]:
    pattern = Pattern("it", "keyword", 1.0, compile_pattern(source, use_re2=use_re2))
    return [(finding.start, finding.end) for finding in find_patterns([pattern], text, "keywords")]


@pytest.mark.parametrize("use_re2", ENGINES)
def test_every_place_where_it_matches(use_re2: bool) -> None:
    if use_re2:
        pytest.importorskip("re2", reason="needs google-re2")
    assert spans(r"\bab\b", "ab éab ab", use_re2)[-1] == (7, 9)
    assert spans("aba", "ababa", use_re2) == [(0, 3), (2, 5)]
    assert spans("^x", "x\nx yx", use_re2) == [(0, 1), (2, 3)]
    assert spans("x*", "yyy", use_re2) == []
    assert spans("ä+b", "öäb", use_re2) == [(1, 3)]
    text = "." * (2 * SPAN - 3) + "needle" + "." * SPAN
    assert spans("needle", text, use_re2) == [(2 * SPAN - 3, 2 * SPAN + 3)]


@pytest.mark.parametrize("use_re2", ENGINES)
def test_a_match_is_not_longer_than_the_span(use_re2: bool) -> None:
    if use_re2:
        pytest.importorskip("re2", reason="needs google-re2")
    assert spans("<[a-z]+>", f"<{'a' * (SPAN - 2)}>", use_re2) == [(0, SPAN)]
    assert spans("<[a-z]+>", f"<{'a' * (SPAN - 1)}>", use_re2) == []


@pytest.mark.parametrize(
    "source",
    [
        "(a+)+b",
        "(a|a)*b",
        "(?:a?){40}a{40}",
        r"(a)\1",
        "a*a*b",
        r"\w+@\w+",
        "(?:(?:a{1,9}){1,9}){1,9}",
        "(?=a*a*)x",
    ],
)
def test_what_could_take_long_is_refused_without_re2_and_compiled_with_it(source: str) -> None:
    with pytest.raises(Unbounded):
        compile_pattern(source, use_re2=False)
    if "\\1" not in source and "?=" not in source and "{40}" not in source:
        pytest.importorskip("re2", reason="needs google-re2")
        compile_pattern(source, use_re2=True)


@pytest.mark.parametrize(
    "source", [r"TICKET-\d{4,8}", "[a-z]+ed", "colou?r|gr[ae]y", "a{1,20}b{1,20}", "(?i)secret", "a*+b*+"]
)
def test_what_cannot_take_long_is_accepted_without_re2(source: str) -> None:
    compile_pattern(source, use_re2=False)


@pytest.mark.parametrize("use_re2", ENGINES)
def test_what_is_no_expression_is_refused(use_re2: bool) -> None:
    if use_re2:
        pytest.importorskip("re2", reason="needs google-re2")
    with pytest.raises(ValueError, match=r".+"):
        compile_pattern("(", use_re2=use_re2)


class Counting:
    """An expression that counts the characters that it is given to search, as a measure of the work."""

    def __init__(self, source: str) -> None:
        self.expression = re.compile(source)
        self.work = 0

    def search(self, text: str, at: int) -> Any:
        match = self.expression.search(text, at)
        self.work += (match.end() if match else len(text)) - at
        return match

    def match(self, text: str, at: int) -> Any:
        match = self.expression.match(text, at)
        self.work += (match.end() if match else len(text)) - at
        return match


@pytest.mark.parametrize(("source", "unit"), [("a+b", "a"), ("ab?", "ab"), ("[a-z]+", "abc")])
def test_the_work_grows_with_the_text_and_no_faster(source: str, unit: str) -> None:
    work = []
    for size in (8192, 16384):
        counting = Counting(source)
        list(find_patterns([Pattern("it", "keyword", 1.0, counting)], unit * (size // len(unit)), "keywords"))
        work.append(counting.work)
    assert work[1] <= 2.3 * work[0]
    assert work[1] <= 16384 * 3 * SPAN
