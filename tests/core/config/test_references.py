"""References: ${VAR}, ${VAR:-default}, ${file:/path}, $${."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.config.references import MAX_FILE, Resolver, redact

ENVIRON = {"NAME": "value", "EMPTY": "", "NESTED": "${NAME}", "TRICKY": 'a"b: {c}\n#'}


@pytest.fixture
def resolver(tmp_path: Path) -> Resolver:
    return Resolver(ENVIRON, tmp_path)


FORMS = "a reference is ${VAR}, ${VAR:-default}, ${file:/path} or ${command:program}; a literal ${ is written $${"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${NAME}", "value"),
        ("a ${NAME} b ${NAME}c", "a value b valuec"),
        ("${EMPTY}", ""),
        ("${EMPTY:-other}", "other"),
        ("${UNSET:-other}", "other"),
        ("${UNSET:-}", ""),
        ("${NAME:-other}", "value"),
        ("${UNSET:-${NAME}}", "value"),
        ("${UNSET:-${EMPTY:-${ALSO_UNSET:-deep}}}", "deep"),
        ("${UNSET:-a:-b}", "a:-b"),
        ("${file:-x}", "x"),
        ("$${NAME}", "${NAME}"),
        ("$$ and $ and $NAME", "$$ and $ and $NAME"),
        ("${TRICKY}", ENVIRON["TRICKY"]),
        ("}{", "}{"),
    ],
)
def test_text_with_its_references_replaced(resolver: Resolver, text: str, expected: str) -> None:
    resolved = resolver.resolve(text)
    assert resolved.problems == ()
    assert resolved.text == expected


def test_what_a_variable_holds_is_not_looked_at_again(resolver: Resolver) -> None:
    assert resolver.resolve("${NESTED}").text == "${NAME}"


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_file_without_its_last_line_break(resolver: Resolver, tmp_path: Path, ending: str) -> None:
    (tmp_path / "key").write_bytes(f" two\nlines {ending}".encode())
    assert resolver.resolve(f"${{file:{tmp_path}/key}}").text == " two\nlines "
    assert resolver.resolve("<${file:key}>").text == "< two\nlines >", "a relative path starts at the directory"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${UNSET}", "environment variable UNSET is not set (${UNSET:-} would do without)"),
        ("${UNSET:-${ALSO}}", "environment variable ALSO is not set (${ALSO:-} would do without)"),
        ("${NAME", "${ without its }; a literal ${ is written $${"),
        ("${}", FORMS),
        ("${a-b}", FORMS),
        ("${file:}", FORMS),
        ("${file:/no/such/file}", "cannot read /no/such/file: No such file or directory"),
        ("${UNSET:-" * 9 + "}" * 9, "defaults nest deeper than 8"),
    ],
)
def test_what_cannot_be_resolved(resolver: Resolver, text: str, problem: str) -> None:
    assert resolver.resolve(text).problems == (problem,)


def test_every_problem_of_a_text_is_told(resolver: Resolver) -> None:
    assert len(resolver.resolve("${A} ${B} ${NAME}").problems) == 2


def test_files_that_are_no_secrets(resolver: Resolver, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (MAX_FILE + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "is larger than 64 KiB" in resolver.resolve("${file:large}").problems[0]
    assert "is not UTF-8 text" in resolver.resolve("${file:binary}").problems[0]
    assert "cannot read" in resolver.resolve(f"${{file:{tmp_path}}}").problems[0]
    assert resolver.resolve("${file:nul\x00byte}").problems


def test_values_come_with_the_reference_that_gave_them(resolver: Resolver, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    resolved = resolver.resolve("${NAME} ${UNSET:-literal} ${file:key}")
    assert resolved.values == (("value", "${NAME}"), ("sk-1", "${file:key}"))


@pytest.mark.parametrize(
    ("message", "value", "expected"),
    [
        ("bad key sk-123, really sk-123!", "sk-123", "bad key ${KEY}, really ${KEY}!"),
        ("should be at least 10", "0", "should be at least 10"),
        ("0 is too small", "0", "${KEY} is too small"),
        ("unknown tag 'ab'", "ab", "unknown tag '${KEY}'"),
        ("got 'line\\nbreak'", "line\nbreak", "got '${KEY}'"),
        ("nothing", "", "nothing"),
    ],
)
def test_messages_show_the_reference_in_place_of_its_value(message: str, value: str, expected: str) -> None:
    assert redact(message, ((value, "${KEY}"),)) == expected


def test_the_longest_value_is_replaced_first() -> None:
    assert redact("secret-long", (("secret", "${A}"), ("secret-long", "${B}"))) == "${B}"


@given(st.text(alphabet="${}:-ABfile/ \\", max_size=40))
def test_no_text_makes_it_raise(text: str) -> None:
    resolved = Resolver({"A": "1", "B": ""}, Path("/nonexistent")).resolve(text)
    assert isinstance(resolved.text, str)


@given(st.text(max_size=40))
def test_escaped_text_comes_out_as_it_was_meant(text: str) -> None:
    if "$${" in text or text.endswith("$"):
        return
    assert Resolver({}, Path()).resolve(text.replace("${", "$${")).text == text
