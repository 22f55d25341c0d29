"""What pages offer to be copied can be run as it is."""

from __future__ import annotations

import ast
import json
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw_dashboard.snippets import SDKS, curl, python, snippet

URL = "http://127.0.0.1:8787/v1/chat/completions"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.dictionaries(TEXT, st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT, max_size=3), max_size=4)


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("name", [name for name, _ in SDKS])
def test_every_sdk_has_a_snippet_for_this_gateway(name: str, keyed: bool) -> None:
    code = snippet(name, "http://gateway.example:1", keyed=keyed)
    assert "http://gateway.example:1" in code
    assert ("HELICONE_GW_KEY" in code) == keyed
    if "python" in name or name == "litellm":
        ast.parse(code)
        assert not keyed or "import os" in code
    if name == "curl":
        words = shlex.split(code)
        assert json.loads(words[words.index("-d") + 1])["model"] == "demo"


@given(JSON, st.booleans())
def test_a_request_as_curl_has_its_body_whatever_is_in_it(body: dict[str, Any], keyed: bool) -> None:
    words = shlex.split(curl(URL, body, keyed=keyed).replace("\\\n", ""))
    assert json.loads(words[words.index("-d") + 1]) == body
    assert words[:2] == ["curl", URL]


@given(JSON, st.booleans())
def test_a_request_as_python_has_its_body_whatever_is_in_it(body: dict[str, Any], keyed: bool) -> None:
    calls = [node for node in ast.walk(ast.parse(python(URL, body, keyed=keyed))) if isinstance(node, ast.Call)]
    (post,) = [call for call in calls if ast.unparse(call.func) == "httpx.post"]
    assert ast.literal_eval(post.args[0]) == URL
    given_ = {word.arg: word.value for word in post.keywords}
    assert ast.literal_eval(given_["json"]) == body
    assert ("headers" in given_) == keyed
