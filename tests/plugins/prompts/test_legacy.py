"""Legacy templates: the inputs that a client marked, as Helicone's @helicone/prompts marks and reads them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_prompts.legacy import MAX_INPUTS, read_marks


def mark(key: str, value: str) -> str:
    return f'<helicone-prompt-input key="{key}" >{value}</helicone-prompt-input>'


def chat(*contents: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 7, "messages": [{"role": "user", "content": each} for each in contents]}


def test_tags_go_and_contents_stay() -> None:
    text = f"The scene is {mark('scene', 'Harry Potter')}.\n{mark('name', ' justin ')}  test"
    marked = read_marks(chat(text))
    assert marked.body == chat("The scene is Harry Potter.\n justin   test")
    assert marked.template == chat(
        'The scene is <helicone-prompt-input key="scene" />.\n<helicone-prompt-input key="name" />  test'
    )
    assert marked.inputs == {"scene": "Harry Potter", "name": "justin"}
    assert marked.auto_inputs == []


def test_messages_without_marks_are_inputs_by_themselves() -> None:
    marked = read_marks(chat("before", mark("a", "1"), [{"type": "text", "text": "after"}]))
    assert marked.auto_inputs == [
        chat("before")["messages"][0],
        chat([{"type": "text", "text": "after"}])["messages"][0],
    ]
    assert marked.template["messages"][0] == "<helicone-auto-prompt-input idx=0 />"
    assert marked.template["messages"][1]["content"] == '<helicone-prompt-input key="a" />'
    assert marked.template["messages"][2] == "<helicone-auto-prompt-input idx=1 />"
    assert marked.body == chat("before", "1", [{"type": "text", "text": "after"}])


def test_static_texts_are_part_of_the_template() -> None:
    text = f"<helicone-prompt-static>You are a\nhelper.</helicone-prompt-static> {mark('who', 'x')}"
    marked = read_marks(chat(text, "<helicone-prompt-static>s</helicone-prompt-static>"))
    assert marked.body == chat("You are a\nhelper. x", "s")
    assert "<helicone-prompt-static>" in marked.template["messages"][0]["content"]
    assert marked.template["messages"][1]["content"] == "<helicone-prompt-static>s</helicone-prompt-static>"
    assert marked.auto_inputs == []


def test_marks_anywhere_in_the_body() -> None:
    marked = read_marks({"system": mark("a", "1"), "x": [{"y": {"z": mark("b", "2")}}], "n": 1.5, "t": None})
    assert marked.body == {"system": "1", "x": [{"y": {"z": "2"}}], "n": 1.5, "t": None}
    assert marked.inputs == {"a": "1", "b": "2"}


def test_what_is_not_closed_is_text() -> None:
    text = '<helicone-prompt-input key="a">open <helicone-prompt-static>too'
    assert read_marks(chat(text)).body == chat(text)


def test_many_openings_and_many_inputs_are_bounded_work() -> None:
    """Neither a text of openings alone nor one of pairs takes the square of its length; inputs are counted."""
    openings = '<helicone-prompt-input key="a">' * 50_000
    assert read_marks([openings]).body == [openings]
    marked = read_marks(["".join(mark(str(number), "v") for number in range(MAX_INPUTS + 10))])
    assert marked.body == ["v" * (MAX_INPUTS + 10)]
    assert len(marked.inputs) == MAX_INPUTS


TEXTS = st.lists(
    st.one_of(
        st.text(alphabet="a<> \n", max_size=5), st.builds(mark, st.just("k"), st.text(alphabet="xy \n", max_size=4))
    ),
    max_size=5,
).map("".join)


NESTED = st.recursive(
    TEXTS | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)


@given(NESTED)
def test_nothing_but_tags_changes(value: Any) -> None:
    marked = read_marks(value)
    assert "helicone-prompt-input" not in str(marked.body)
    assert read_marks(marked.body).body == marked.body
