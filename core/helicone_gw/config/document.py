"""YAML text to a tree of values in which every key and value knows its position and its references are resolved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from helicone_gw.config.problems import START, Path, Position, Problems, printable
from helicone_gw.config.references import Resolver

MAX_DEPTH = 50
"""How deeply values may nest; deeper is an error."""

MAX_VALUES = 100_000
"""How many values a file may amount to once its aliases are followed; more is an error."""

Scalar = str | int | float | bool | None
_TAG = "tag:yaml.org,2002:"


@dataclass(slots=True)
class Node:
    """A value and where it stands.

    ``key`` is the position of its key, or the value's own where it has none. ``values`` are the (value, reference)
    pairs that went into a scalar. ``broken`` means that a problem has been told already.
    """

    value: dict[str, Node] | list[Node] | Scalar
    position: Position
    key: Position
    values: tuple[tuple[str, str], ...] = ()
    broken: bool = False

    @property
    def plain(self) -> Any:
        """The value as plain dictionaries, lists and scalars."""
        if isinstance(self.value, dict):
            return {name: child.plain for name, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain for child in self.value]
        return self.value

    @property
    def start(self) -> Position:
        """Where to point at: a scalar itself, the key of anything larger or empty."""
        return self.key if isinstance(self.value, dict | list) or self.value is None else self.position

    def child(self, step: str | int) -> Node | None:
        """The value under a key or index, or ``None``."""
        if isinstance(self.value, dict) and isinstance(step, str):
            return self.value.get(step)
        if isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]
        return None

    def walk(self) -> Iterator[Node]:
        """This node and everything in it."""
        yield self
        if isinstance(self.value, dict):
            children = list(self.value.values())
        else:
            children = self.value if isinstance(self.value, list) else []
        for child in children:
            yield from child.walk()


def parse(text: str, problems: Problems, resolver: Resolver) -> Node:
    """The tree of the one document in ``text``.

    Duplicate keys, tags, unresolved references and the like go to ``problems`` and leave broken nodes behind. Raises
    `ConfigError` at once for text that is not YAML, or holds nothing.
    """
    yaml = YAML(typ="rt", pure=True)
    yaml.max_depth = MAX_DEPTH
    yaml.composer.warn_double_anchors = False  # defining an anchor anew is legal
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = _position(mark) if mark is not None else START
        parts = [part for part in (error.context, error.problem) if part]
        problems.add(position, (), f"not valid YAML: {', '.join(parts)}{_hint(text, position)}")
        problems.fail()
    except ReaderError as error:
        before = text[: error.position]
        position = Position(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        problems.add(position, (), "not valid YAML: a character that YAML does not allow")
        problems.fail()
    except (YAMLError, RecursionError, ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
        # The parser trips over some broken input itself; it says no position then.
        problems.add(START, (), f"not valid YAML: the parser stopped with {type(error).__name__}")
        problems.fail()
    if root is None:
        problems.add(START, (), "the file is empty: it should have sections such as server, providers and plugins")
        problems.fail()
    return _Builder(problems, resolver).node(root, (), None)


def _hint(text: str, position: Position) -> str:
    lines = text.splitlines()
    near = lines[max(position.line - 2, 0) : position.line]
    if any("${" in line for line in near):
        return ' (inside { } and [ ], a reference needs quotes: "${VAR}")'
    if any("\t" in line for line in near):
        return " (indent with spaces, not with tabs)"
    return ""


def _position(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)


class _Builder:
    def __init__(self, problems: Problems, resolver: Resolver) -> None:
        self._problems = problems
        self._resolver = resolver
        self._count = 0
        self._open: set[int] = set()

    def node(self, source: Any, path: Path, key: Position | None) -> Node:
        position = _position(source.start_mark)
        node = Node(None, position, key or position)
        self._count += 1
        if self._count > MAX_VALUES:
            self._problems.add(node.key, path, f"more than {MAX_VALUES} values, aliases followed")
            self._problems.fail()
        if id(source) in self._open:
            return self._broken(node, path, "an alias inside of what it stands for")
        if len(path) > MAX_DEPTH:
            return self._broken(node, path[:MAX_DEPTH], f"values nest deeper than {MAX_DEPTH}, aliases followed")
        tag = str(source.tag)
        self._open.add(id(source))
        try:
            if isinstance(source, ScalarNode):
                self._scalar(node, source, tag, path)
            elif isinstance(source, MappingNode) and tag == _TAG + "map":
                node.value = self._mapping(source, path)
            elif isinstance(source, SequenceNode) and tag == _TAG + "seq":
                node.value = [self.node(item, (*path, index), None) for index, item in enumerate(source.value)]
            else:
                return self._broken(node, path, f"the tag {printable(tag)} is not supported here")
        finally:
            self._open.discard(id(source))
        return node

    def _broken(self, node: Node, path: Path, message: str) -> Node:
        self._problems.add(node.position, path, message)
        node.broken = True
        return node

    def _mapping(self, source: MappingNode, path: Path) -> dict[str, Node]:
        children: dict[str, Node] = {}
        merged: list[Node] = []
        for key, value in source.value:
            position = _position(key.start_mark)
            if str(key.tag) == _TAG + "merge":
                merged.extend(self._merge(value, path, position))
            elif not isinstance(key, ScalarNode) or not key.value:
                self._problems.add(position, path, "a key should be plain text")
            elif key.value in children:
                first = children[key.value].key.line
                self._problems.add(position, (*path, key.value), f"duplicate key (first on line {first})")
            else:
                children[key.value] = self.node(value, (*path, key.value), position)
        for node in merged:
            if isinstance(node.value, dict):
                for name, child in node.value.items():
                    children.setdefault(name, child)
        return children

    def _merge(self, source: Any, path: Path, position: Position) -> Sequence[Node]:
        sources = source.value if isinstance(source, SequenceNode) else [source]
        nodes = [self.node(each, path, position) for each in sources]
        for node in nodes:
            if not isinstance(node.value, dict) and not node.broken:
                self._broken(node, path, "<< merges a mapping, or a list of mappings")
        return nodes

    def _scalar(self, node: Node, source: ScalarNode, tag: str, path: Path) -> None:
        text: str = source.value
        try:
            match tag.removeprefix(_TAG):
                case "str":
                    resolved = self._resolver.resolve(text)
                    node.value, node.values = resolved.text, resolved.values
                    for problem in resolved.problems:
                        self._broken(node, path, problem)
                case "null":
                    node.value = None
                case "bool":
                    node.value = text.lower() in ("true", "yes", "on")
                case "int":
                    node.value = _integer(text.replace("_", ""))
                case "float":
                    node.value = _float(text.replace("_", "").lower())
                case "timestamp":
                    node.value = text  # no field is a date, but an API version may look like one
                case _:
                    self._broken(node, path, f"the tag {printable(tag)} is not supported here")
        except ValueError:
            self._broken(node, path, "a number that cannot be read; put it in quotes if it is text")


def _integer(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return int(text)  # leading zeros are decimal in YAML 1.2


def _float(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))
