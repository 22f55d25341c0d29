"""What no single section can know: providers that must exist somewhere, names that must be told apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from helicone_gw.config.document import Node
from helicone_gw.config.problems import Problems, did_you_mean
from helicone_gw.config.reserved import RESERVED_SEGMENTS


def check_providers(root: Node, known: Collection[str], problems: Problems) -> None:
    """A provider that is not built in says where it is and what it speaks."""
    for name, entry in _entries(root, "providers").items():
        if name in known or name in RESERVED_SEGMENTS or entry.broken or not isinstance(entry.value, dict):
            continue
        missing = [key for key in ("base_url", "dialect") if key not in entry.value]
        if missing:
            problems.add(
                entry.key,
                ("providers", name),
                f"is no built-in provider, so it needs {' and '.join(missing)}{did_you_mean(name, known)}",
            )


def check_models(root: Node, known: Collection[str], problems: Problems) -> None:
    """A model's providers exist, and every name of a model means one model."""
    models = _entries(root, "models")
    providers = {*_entries(root, "providers"), *known}
    aliases: dict[str, str] = {}
    for name, entry in models.items():
        for index, provider in _texts(entry.child("providers")):
            if provider.value not in providers:
                problems.add(
                    provider.start,
                    ("models", name, "providers", index),
                    f"is neither configured nor built in{did_you_mean(str(provider.value), providers)}",
                )
        for index, alias in _texts(entry.child("aliases")):
            path = ("models", name, "aliases", index)
            text = str(alias.value)
            if text in models:
                problems.add(alias.start, path, "is the name of a model already")
            elif text in aliases:
                problems.add(alias.start, path, f"is an alias of {aliases[text]!r} already")
            aliases.setdefault(text, name)


def _entries(root: Node, section: str) -> Mapping[str, Node]:
    node = root.child(section)
    return node.value if node is not None and isinstance(node.value, dict) else {}


def _texts(node: Node | None) -> list[tuple[int, Node]]:
    if node is None or not isinstance(node.value, list):
        return []
    return [(index, item) for index, item in enumerate(node.value) if isinstance(item.value, str) and not item.broken]
