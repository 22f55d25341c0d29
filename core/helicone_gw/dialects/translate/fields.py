"""Fields: a JSON object of a request being read, every field checked, and what nobody took reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from helicone_gw.dialects._json import describe
from helicone_gw.dialects.translate.loss import Loss
from helicone_gw.errors import MalformedBody


class Fields:
    """One object at ``path`` of a request. A field that is null counts as absent, as every dialect has it.

    Every method takes a field: it returns its value or ``None``, and raises `MalformedBody`, naming the field, when
    it has another type.
    """

    __slots__ = ("_taken", "path", "value")

    def __init__(self, value: Any, path: str = "") -> None:
        if not isinstance(value, Mapping):
            malformed(path, "an object", value)
        self.value = value
        self.path = path
        self._taken: set[str] = set()

    def at(self, name: str | int) -> str:
        """The dotted path of the field ``name``."""
        return f"{self.path}.{name}" if self.path else str(name)

    def any(self, *names: str) -> Any:
        """The first of ``names`` that is there, of any type."""
        if len(names) == 1:
            self._taken.add(names[0])
            return self.value.get(names[0])
        self._taken.update(names)
        return next((self.value[name] for name in names if self.value.get(name) is not None), None)

    def text(self, name: str) -> str | None:
        """A string."""
        value = self.any(name)
        if value is not None and not isinstance(value, str):
            malformed(self.at(name), "a string", value)
        return value

    def needed(self, name: str) -> str:
        """A string that must be there."""
        value = self.text(name)
        if value is None:
            malformed(self.at(name), "a string", None)
        return value

    def number(self, name: str) -> float | None:
        """A number."""
        value = self.any(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            malformed(self.at(name), "a number", value)
        return value

    def whole(self, name: str) -> int | None:
        """A whole number; ``3.0`` is one."""
        value = self.number(name)
        if value is None:
            return None
        if value != int(value):
            malformed(self.at(name), "a whole number", value)
        return int(value)

    def flag(self, name: str) -> bool | None:
        """A boolean."""
        value = self.any(name)
        if value is not None and not isinstance(value, bool):
            malformed(self.at(name), "true or false", value)
        return value

    def object(self, name: str) -> Fields | None:
        """An object, to be read on."""
        value = self.any(name)
        return None if value is None else Fields(value, self.at(name))

    def mapping(self, name: str) -> dict[str, Any] | None:
        """An object as it is."""
        value = self.any(name)
        if value is not None and not isinstance(value, dict):
            malformed(self.at(name), "an object", value)
        return value

    def array(self, name: str) -> list[Any]:
        """An array; an empty one where there is none."""
        value = self.any(name)
        if value is None:
            return []
        if not isinstance(value, list):
            malformed(self.at(name), "an array", value)
        return value

    def objects(self, name: str) -> Iterator[Fields]:
        """The objects of an array, to be read on."""
        for index, value in enumerate(self.array(name)):
            yield Fields(value, f"{self.at(name)}.{index}")

    def texts(self, name: str) -> tuple[str, ...]:
        """A string or an array of strings."""
        value = self.any(name)
        if value is None:
            return ()
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
            malformed(self.at(name), "a string or an array of strings", value)
        return tuple(values)

    def ignore(self, *names: str) -> None:
        """Take fields that mean nothing elsewhere: leaving them out loses nothing."""
        self._taken.update(names)

    def rest(self) -> dict[str, Any]:
        """The fields that nobody took, null ones left out."""
        return {name: value for name, value in self.value.items() if name not in self._taken and value is not None}

    def lose(self, loss: Loss) -> None:
        """Note every field that nobody took."""
        for name in self.rest():
            loss.note(self.at(name))


def malformed(path: str, expected: str, given: Any) -> NoReturn:
    """Raises `MalformedBody`: the field at ``path`` is not ``expected``."""
    where = f"The field {path[:80]!r} of the request body" if path else "The request body"
    raise MalformedBody(f"{where} must be {expected}, not {describe(given)}.")


def only(**fields: Any) -> dict[str, Any]:
    """The fields that are not ``None``, in this order."""
    return {name: value for name, value in fields.items() if value is not None}
