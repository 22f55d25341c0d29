"""Files: prompts as YAML, every problem at its line and column, and written as they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_prompts.body import BodyError, check_body
from helicone_gw_prompts.files import FileError, PromptFile, read_folder, read_text, write_text

WELCOME = """\
id: welcome
name: Welcome
tags: [b, a]
prompt:
  model: gpt-4o-mini
  messages:
    - role: system
      content: |
        Hi {{hc:customer:string}}.
        Bye.
  temperature: 0.2
"""


def read(text: str, name: str = "welcome.yaml") -> PromptFile:
    return read_text(Path(name), text, 10_000)


def test_a_file_and_its_defaults() -> None:
    assert read(WELCOME) == PromptFile(
        "welcome",
        "Welcome",
        ["a", "b"],
        ["production"],
        {
            "model": "gpt-4o-mini",
            "messages": [{"role": "system", "content": "Hi {{hc:customer:string}}.\nBye.\n"}],
            "temperature": 0.2,
        },
    )
    assert read("prompt: {}", "dir/some-name.yml") == PromptFile("some-name", "some-name", [], ["production"], {})
    assert read("prompt: {}\nenvironments: []").environments == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[]", "w.yaml:1:1: not a mapping with `prompt`"),
        ("", "w.yaml:1:1: not a mapping with `prompt`"),
        ("name: x", "w.yaml:1:1: the prompt: `prompt` is missing"),
        ("prompt: {}\nnmae: x", "w.yaml:2:1: nmae: there is no such setting"),
        ("prompt: {}\nid: a b", "w.yaml:2:1: id: 'a b' is no id"),
        ("prompt: {}\ntags: a", "w.yaml:2:1: tags: not a list"),
        ("prompt: {}\ntags: [a, 1]", "w.yaml:2:11: tags[1]: not a text"),
        ("prompt: {}\nenvironments:\n  - ok\n  - a b", "w.yaml:4:5: environments[1]: 'a b' is no environment"),
        ("prompt:\n  model: 1", "w.yaml:2:3: prompt.model: not a text"),
        ("prompt:\n  messages:\n    - role: user\n    - text: x", "w.yaml:4:7: prompt.messages[1].role: not a text"),
        ("prompt:\n  messages:\n    - x", "w.yaml:3:7: prompt.messages[0]: not an object"),
        ("prompt:\n  at: 2026-01-01", "w.yaml:2:3: prompt.at: 2026-01-01 is nothing that JSON has"),
        ("prompt:\n  x: {1: 2}", "w.yaml:2:3: prompt.x: the key 1 is no text"),
        ("prompt: {}\nprompt: {}", 'w.yaml:2:1: found duplicate key "prompt"'),
        ("prompt:\n  a: [1,\n", "w.yaml:3:1:"),
        ("prompt: {x: !!set {a}}", "prompt.x"),
        (
            "a: &a [x]\nprompt:\n" + "".join(f"  b{n}: &b{n} [*{'a' if not n else f'b{n - 1}'}]\n" for n in range(3)),
            "a: there is no",
        ),
    ],
)
def test_problems_have_a_place(text: str, told: str) -> None:
    with pytest.raises(FileError) as raised:
        read(text, "w.yaml")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        ('"Hi {{hc:name}}"', 4, 20),
        ("|\n        Hi {{hc:ok:string}}\n        and {{hc:ok:string}} {{hc:name}}", 6, 30),
        (">-\n        {{ hc:ok:string }}\n\n        {{hcp:name}}", 7, 9),
        ("plain {{hc:name}}", 4, 22),
        ("\n        [{type: text, text: '{{hc:a:b}} {{hc:name'}]", 5, 41),
    ],
)
def test_a_broken_tag_has_the_place_where_it_stands_in_the_file(content: str, line: int, column: int) -> None:
    text = f"prompt:\n  messages:\n    - role: user\n      content: {content}\n"
    with pytest.raises(FileError) as raised:
        read(text, "w.yaml")
    assert str(raised.value).startswith(f"w.yaml:{line}:{column}: prompt.messages[0].content"), raised.value
    assert text.splitlines()[line - 1][column - 1 :].startswith("{{hc")


def test_aliases_that_grow_are_stopped() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(FileError, match="too many values"):
        read("\n".join(["prompt:", *(f"  {line}" for line in lines)]))


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    [
        "a\nb",
        " a\n",
        "a \n b\n\n",
        "\n",
        "yes",
        "1.0",
        "null",
        "2026-01-01",
        "a: b",
        "# x",
        "{{hc:a:b}}\n",
        "\ta\nb",
        "é\u2028x\ny",
    ]
)
NAMES = TEXTS.filter(lambda text: text and "\0" not in text)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@given(NAMES, st.lists(NAMES, max_size=3, unique=True), TEXTS, VALUES)
def test_what_is_written_is_read_as_the_same(name: str, tags: list[str], content: str, value: Any) -> None:
    body = {"messages": [{"role": "user", "content": content}], "x": value}
    prompt = PromptFile("an-id", name, sorted(tags), ["a", "b"], body)
    try:
        check_body(body, 10_000)
    except BodyError:
        return  # a broken tag
    assert read(write_text(prompt)) == prompt


def test_texts_of_several_lines_are_blocks() -> None:
    assert "content: |\n        Hi {{hc:customer:string}}.\n" in write_text(read(WELCOME))


def test_a_folder_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name, text in {
        "a.yaml": "prompt: {}",
        "sub/b.yml": "prompt: {}",
        "c.yaml": "id: a\nprompt: {}",
        "d.yaml": "prompt: [",
        "e.yaml": "prompt: {x: '" + "y" * 120_000 + "'}",
        "notes.txt": "no prompt",
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "f.yaml").write_bytes(b"prompt: {}\nname: \xff\n")
    found, problems = read_folder(tmp_path, 10_000, 10)
    assert sorted(prompt.id for prompt in found.values()) == ["a", "b"]
    assert [problem.removeprefix(f"{tmp_path}/") for problem in problems] == [
        f"c.yaml:1:1: the id 'a' is that of {tmp_path}/a.yaml, too",
        "d.yaml:1:10: expected the node content, but found '<stream end>'",
        "e.yaml:1:1: too large: 120,015 bytes",
        "f.yaml:2:1: not UTF-8",
    ]
    assert read_folder(tmp_path, 10_000, 2)[1] == [f"{tmp_path}: 6 prompts, and at most 2 are read"]
    assert read_folder(tmp_path / "none", 10_000, 2)[1] == [f"{tmp_path / 'none'}: there is no such folder"]
