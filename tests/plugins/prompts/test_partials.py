"""Partials: messages of other prompts in a prompt's messages, within bounds."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from helicone_gw import BadRequest
from helicone_gw_prompts.errors import NoSuch
from helicone_gw_prompts.partials import MOST, Partials
from helicone_gw_prompts.reading import Version
from helicone_gw_prompts.template import Partial


def version(prompt: str, *contents: Any) -> Version:
    body = {"messages": [{"role": "user", "content": content} for content in contents]}
    return Version(f"v-{prompt}", prompt, "", 1, 0, "", 0.0, msgspec.json.encode(body), "")


class Shelf:
    """Prompts by id, and by environment where one is named."""

    def __init__(self, **prompts: Version) -> None:
        self.prompts = prompts
        self.asked: list[tuple[str, str | None]] = []

    async def find(self, tag: Partial) -> Version:
        self.asked.append((tag.prompt, tag.environment))
        if tag.prompt not in self.prompts:
            raise NoSuch(f"There is no prompt {tag.prompt!r}.")
        return self.prompts[tag.prompt]

    async def put(self, *contents: Any, max_nesting: int = 4, max_size: int = 10_000) -> list[Any]:
        prompt = version("top", *contents)
        partials = Partials(self.find, max_nesting, max_size)
        return [message["content"] for message in await partials.put_into(prompt.decoded()["messages"], prompt)]


async def test_a_partial_is_the_text_of_the_message_that_it_names() -> None:
    shelf = Shelf(a=version("a", "zero", "one {{hc:x:string}}"))
    assert await shelf.put("<{{hcp:a:1}}|{{ hcp:a:0:staging }}|{{hcp:a:1}}>") == [
        "<one {{hc:x:string}}|zero|one {{hc:x:string}}>"
    ]
    assert shelf.asked == [("a", None), ("a", "staging")]


async def test_parts_are_joined_with_blanks_and_what_is_no_text_is_left_out() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url"}, {"type": "text", "text": "b"}]
    shelf = Shelf(a=version("a", parts, None))
    assert await shelf.put([{"type": "text", "text": "{{hcp:a:0}}"}, {"type": "x"}], "{{hcp:a:1}}") == [
        [{"type": "text", "text": "a b"}, {"type": "x"}],
        "",
    ]


async def test_partials_may_hold_partials() -> None:
    shelf = Shelf(a=version("a", "[{{hcp:b:0}}]"), b=version("b", "B"))
    assert await shelf.put("{{hcp:a:0}}", max_nesting=2) == ["[B]"]
    with pytest.raises(BadRequest, match=r"more than 1 deep in one another: top > a > b"):
        await shelf.put("{{hcp:a:0}}", max_nesting=1)


async def test_a_prompt_that_holds_itself_is_refused_with_the_way_round() -> None:
    shelf = Shelf(a=version("a", "{{hcp:b:0}}"), b=version("b", "{{hcp:a:0}}"), top=version("top", "x"))
    with pytest.raises(BadRequest, match="top > a > b > a"):
        await shelf.put("{{hcp:a:0}}")
    with pytest.raises(BadRequest, match="top > top"):
        await shelf.put("{{hcp:top:0}}")


async def test_what_is_not_there_is_told_with_the_tag() -> None:
    shelf = Shelf(a=version("a", "x"))
    with pytest.raises(BadRequest, match=r"{{hcp:b:0}}: There is no prompt 'b'"):
        await shelf.put("{{hcp:b:0}}")
    with pytest.raises(BadRequest, match=r"{{hcp:a:1}}: that prompt has 1 messages"):
        await shelf.put("{{hcp:a:1}}")


async def test_partials_that_grow_are_stopped_before_they_have() -> None:
    """Each holds the next ten times: what would be a text of 10**8 letters is refused on the way."""
    names = "abcdefgh"
    shelf = Shelf(**{each: version(each, f"{{{{hcp:{after}:0}}}}" * 10) for each, after in pairwise(names)})
    shelf.prompts["h"] = version("h", "x")
    with pytest.raises(BadRequest, match="too large"):
        await shelf.put("{{hcp:a:0}}", max_nesting=20)
    many = "".join(f"{{{{ hcp:h:0{' ' * number}}}}}" for number in range(MOST + 1))
    with pytest.raises(BadRequest, match="partials"):
        await shelf.put(many, max_size=10_000_000)
