"""The script ``helicone-gw``. It stands outside the package, whose import is what it makes cheaper."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType


def main() -> None:
    """The program."""
    with _importing():
        from helicone_gw.cli import main as run

        run()


def work(path: str, port: int) -> None:
    """One of the program's worker processes; see `helicone_gw.commands.starting.work`."""
    with _importing():
        from helicone_gw.commands.starting import work as run

        run(path, port)


@contextmanager
def _importing() -> Iterator[None]:
    """What is imported while this lasts comes with the cyclic garbage collector paused; who has started lets it go on.

    Importing makes a million objects that stay and no garbage, and the collector would walk them again and again: that
    was a seventh of the time to the first answer. A tenth were modules that libraries import for what is not done here.
    """
    gc.disable()
    with _absent("rich", "pygments", "click"):
        # The first offers tracebacks in colours, the second a command line; both do without.
        import httpx
        import structlog
    del httpx, structlog
    with _put_off("httpx2"):  # with which genai-prices would fetch prices, if it were asked to
        yield


@contextmanager
def _absent(*names: str) -> Iterator[None]:
    """While this lasts, importing ``names`` fails as if they were not installed, unless they have been imported."""
    missing = [name for name in names if name not in sys.modules]
    for name in missing:
        sys.modules[name] = None  # type: ignore[assignment]  # what the import statement takes for "not there"
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


@contextmanager
def _put_off(*names: str) -> Iterator[None]:
    """While this lasts, ``import`` of a module in ``names`` does not run it; the first use of the module does."""
    finder = _PuttingOff(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _PuttingOff(MetaPathFinder):
    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in self._names:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


if __name__ == "__main__":
    main()
