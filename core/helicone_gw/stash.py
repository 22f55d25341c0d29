"""Stash: a plugin's private, typed state on an exchange."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")
D = TypeVar("D")


class StashKey(Generic[T]):
    """A typed key, private to whoever created it: two keys are equal only if they are the same object.

    >>> tries: StashKey[int] = StashKey("tries")
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"StashKey({self.name!r})"


class Stash:
    """A mapping from `StashKey` to a value of that key's type; lives as long as its exchange."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[StashKey[Any], object] = {}

    def __setitem__(self, key: StashKey[T], value: T) -> None:
        self._values[key] = value

    def __getitem__(self, key: StashKey[T]) -> T:
        value: Any = self._values[key]  # the key says what it is
        return value  # type: ignore[no-any-return]

    def __delitem__(self, key: StashKey[T]) -> None:
        del self._values[key]

    def __contains__(self, key: StashKey[Any]) -> bool:
        return key in self._values

    @overload
    def get(self, key: StashKey[T]) -> T | None: ...
    @overload
    def get(self, key: StashKey[T], default: D) -> T | D: ...
    def get(self, key: StashKey[T], default: D | None = None) -> T | D | None:
        """The value of ``key``, or ``default``."""
        value: Any = self._values.get(key, default)
        return value  # type: ignore[no-any-return]
