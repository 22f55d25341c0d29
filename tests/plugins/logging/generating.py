"""Values that a JSON Schema allows, as strategies of hypothesis: what the OpenAPI document's schemas use of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
"""Anything at all."""


def drawn(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    """So many values, the same ones every time: for what is asked over a connection, which hypothesis cannot await."""
    values: list[Any] = []

    @settings(
        max_examples=count,
        phases=[Phase.generate],
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(strategy)
    def collect(value: Any) -> None:
        values.append(value)

    collect()
    return values


_TEXTS = st.text(max_size=20) | st.sampled_from(["null", "%", "\\", "\0", "prod", "gpt-4o", "2026-01-01", "é", "'--"])
_TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)).map(lambda at: at.replace(tzinfo=UTC).isoformat())


class Generator:
    """Strategies for the schemas of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._known: dict[str, st.SearchStrategy[Any]] = {}

    def values(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        """Values that ``schema`` allows."""
        if "$ref" in schema:
            return self._of_reference(schema["$ref"])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return st.one_of(*(self.values(one) for one in schema[several]))
        type_ = schema.get("type")
        if isinstance(type_, list):
            return st.one_of(*(self.values({**schema, "type": one}) for one in type_))
        return JSON if type_ is None else getattr(self, f"_{type_}")(schema)

    def _of_reference(self, reference: str) -> st.SearchStrategy[Any]:
        if reference not in self._known:
            found: Any = self._document
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
            self._known[reference] = st.deferred(lambda: self.values(found))
        return self._known[reference]

    def _object(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        rest = schema.get("additionalProperties")
        if isinstance(rest, dict):
            return st.dictionaries(_TEXTS, self.values(rest), max_size=2)
        optional = [name for name in properties if name not in required]
        some = st.lists(st.sampled_from(optional), max_size=2, unique=True) if optional else st.just([])
        return some.flatmap(
            lambda names: st.fixed_dictionaries({name: self.values(properties[name]) for name in (*required, *names)})
        )

    def _array(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        return st.lists(self.values(schema.get("items", {})), max_size=2)

    def _string(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        if schema.get("format") == "date-time":
            return _TIMES
        return _TEXTS.filter(lambda text: len(text) >= schema.get("minLength", 0))

    def _integer(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        return st.integers(schema.get("minimum"), schema.get("maximum"))

    def _number(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        return st.integers() | st.floats(allow_nan=False, allow_infinity=False)

    def _boolean(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        return st.booleans()

    def _null(self, schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
        return st.none()
