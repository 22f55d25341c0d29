"""Whatever is in the file, the answer is a configuration or a ConfigError whose every line has a position."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from helicone_gw.config import GatewayConfig
from helicone_gw.errors import ConfigError

Check = Callable[[bytes], None]

TEXT = """\
server: {host: 127.0.0.1, port: "${PORT:-8787}", max_body: 64MiB, domains: [a.example]}
limits: {deadline: 900, idle_timeout: 1.5}
database: {url: "sqlite:///helicone.db"}
providers:
  openai: &openai {api_key: "${KEY}", headers: {x-a: "b"}}
  local: {<<: *openai, base_url: "http://127.0.0.1:1/v1", dialect: openai}
models:
  mine: {providers: [local], aliases: [m], price: {input_mtok: 0.15}, context: 1000}
plugins:
  - logging
  - cache: {backend: memory, size: 3, timeout: 1}
  - guard:
      keys: {alice: "${KEY}", bob: {pattern: x}}
      rules: [{pattern: y, action: warn}]
"""
SECRET = "sk-very-secret"
LINE = re.compile(r"[^\n]*gateway\.yaml:[1-9]\d*:[1-9]\d*: [^\n]+")


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory, load_file: Callable[..., GatewayConfig]) -> Check:
    """Load these bytes, and look at what comes of it."""
    file = tmp_path_factory.mktemp("damage") / "gateway.yaml"

    def check(data: bytes) -> None:
        file.write_bytes(data)
        problems: tuple[str, ...] | None = None
        try:
            assert isinstance(load_file(file, {"KEY": SECRET}), GatewayConfig)
        except ConfigError as error:
            problems = error.problems
        assert problems is None or problems
        for problem in problems or ():
            assert LINE.fullmatch(problem), problem
            assert SECRET not in problem

    return check


def test_the_undamaged_file_loads(load: Callable[..., GatewayConfig]) -> None:
    assert len(load(TEXT, {"KEY": SECRET}).plugins) == 3


FRAGMENTS = [
    "${",
    "}",
    "$${",
    "*openai",
    "&x",
    "!!int",
    "!a",
    "?",
    "-",
    ":",
    "{",
    "[",
    "]",
    "'",
    '"',
    "|",
    ">",
    "#",
    "<<",
    "~",
    "0o9",
    "1_0",
    ".nan",
    "${KEY}",
    "@",
    "`",
    "---",
    "...",
    "%YAML",
]
fragments = st.one_of(
    st.sampled_from([*FRAGMENTS, *(f"\n{each} " for each in FRAGMENTS), "\t", "\n", "\x00", "\x85", "\ud7ff"]),
    st.text(max_size=3),
)


@given(edits=st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), fragments), min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_damaged_text(check: Check, edits: list[tuple[int, int, str]]) -> None:
    text = TEXT
    for position, length, fragment in edits:
        text = text[:position] + fragment + text[position + length :]
    check(text.encode("utf-8", "surrogatepass"))


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
@example(b"%YAML 1.1\n---\nserver: {port: 1:30}")
@example(b"server: !!int x")
@example(b"server: !!float x")
@example(b"server: !!null {}")
@example(b"!!str\n")
@example(b"? ? a\n")
@example(b"? - a\n:\n")
@example(b"server: {port: " + b"9" * 5000 + b"}")
@example(b"server: {port: 0x" + b"f" * 9000 + b"}")
@example(b"server: {drain_timeout: 1e999}")
@example(b'server: {host: "\\ud800"}')
@example(b'"\\ud800": 1')
@example(b'"\\e[31m\\n": 1')
@example(b"server: {max_body: " + b"9" * 400 + b"KiB}")
@example(b"\xef\xbb\xbf")
@example(b"\xff\xfe")
def test_arbitrary_bytes(check: Check, data: bytes) -> None:
    check(data)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(["${KEY}", "${A}", "x"])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in items for place in places(child, (*path, key)))]


TREE = YAML(typ="safe", pure=True).load(TEXT)
PLACES = places(TREE)[1:]


@given(place=st.sampled_from(PLACES), value=values, key=st.none() | st.text(min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_wrong_values_at_any_place(check: Check, place: tuple[Any, ...], value: Any, key: str | None) -> None:
    tree = deepcopy(TREE)
    parent = tree
    for step in place[:-1]:
        parent = parent[step]
    if key is not None and isinstance(parent, dict):
        parent[key] = value
    else:
        parent[place[-1]] = value
    stream = StringIO()
    YAML(typ="safe", pure=True).dump(tree, stream)
    check(stream.getvalue().encode("utf-8", "surrogatepass"))
