"""The public API: all that a plugin may import, and the whole of what a plugin imports."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

import helicone_gw

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path for path in ROOT.glob("plugins/*/helicone_gw_*") if path.is_dir())


PUBLIC = """
UNITS ApiOperation Asked AskedTotal Asking Attempt Audit AuditEntry AuditSink AuthenticationFailed Background BadRequest
BreakerPolicy Capture Chain Chunk Clock CommandDatabase CompiledPrice ConfigError Cost DashboardCard DashboardPage
Database DeadlineExceeded Exchange Fallback FallbackTarget Gateway GatewayConfig GatewayError GatewayKey Headers Health
HeliconeHeaders InternalError KeyRing KeySource LocalKeys MalformedBody Measurement MessageFilter MethodNotAllowed
ModelConfig NameOf NotFound Outcome PageRequest PanelQuery Passed PayloadTooLarge PaymentRequired PermissionDenied
Permits Plugin PluginConfig PluginFault PositiveSeconds PriceConfig PriceSource Prices ProviderCredential ProviderKey
Request Response Retry Role Route Seconds Secret SessionSource Shown ShownChart ShownFigure ShownTable ShownText Size
Stash StashKey Store StoreOperation StoreUnavailable Target TextPiece Tiered TooManyRequests Unavailable Unsealable
UpstreamConnectError UpstreamError UpstreamProtocolError UpstreamStatus UpstreamStreamError UpstreamTimeout Usage
api_document audit_command caller carry_chat client_address event_pieces every_text has_pieces hookimpl measured new_id
parse_helicone_headers path_prefix read_table require_role shared_directory stream_reader text_pieces texts_and_runs
wire_format with_every_text
"""


def test_the_names_are_these_and_a_change_of_them_is_a_decision() -> None:
    assert helicone_gw.__all__ == PUBLIC.split()


def test_the_names_are_sorted_and_there() -> None:
    names = helicone_gw.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(helicone_gw, name) is not None


def test_nothing_else_is_offered() -> None:
    public = {
        name for name, value in vars(helicone_gw).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(helicone_gw.__all__)


@pytest.mark.parametrize("name", helicone_gw.__all__)
def test_every_name_says_what_it_is(name: str) -> None:
    value = getattr(helicone_gw, name)
    if name in _documented():
        return
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__module__.startswith("helicone_gw")
        assert value.__doc__
        # What dataclasses write by themselves is the signature and says nothing.
        assert not value.__doc__.startswith(f"{value.__name__}(")
    else:
        pytest.fail(f"{name} has neither a docstring nor a string below it")


@cache
def _documented() -> frozenset[str]:
    """The names whose assignment, in whichever module it is, is followed by a string."""
    names = set()
    for module in (ROOT / "core" / "helicone_gw").rglob("*.py"):
        for statement, below in pairwise(ast.parse(module.read_text()).body):
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            if isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            text = below.value if isinstance(below, ast.Expr) else None
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
    return frozenset(names)


def test_importing_it_imports_nothing_that_is_needed_later_or_never() -> None:
    heavy = ("genai_prices", "uvicorn", "granian", "pytest", "hypothesis", "redis", "asyncpg", "helicone_gw.testing")
    code = (
        "import sys, helicone_gw; print([name for name in sys.modules if name in "
        f"{heavy!r} or name.startswith('helicone_gw_')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def _imports(source: str) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Every import: module, names, line; those for type checkers and inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, (), node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            yield node.module or "", tuple(alias.name for alias in node.names), node.lineno


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_imports_public_names_only_and_no_other_plugin(package: Path) -> None:
    problems: list[str] = []
    for file in sorted(package.rglob("*.py")):
        for module, names, line in _imports(file.read_text()):
            where = f"{file.relative_to(ROOT)}:{line}"
            top = module.partition(".")[0]
            if top == "helicone_gw":
                private = [name for name in names if name not in helicone_gw.__all__]
                if module != "helicone_gw" or private:
                    problems.append(f"{where}: from {module} import {', '.join(private or names)}")
            elif top.startswith("helicone_gw_") and top != package.name:
                problems.append(f"{where}: imports plugin {module}")
    assert not problems, "\n".join(problems)


def test_there_are_plugins_to_check() -> None:
    assert {"helicone_gw_logging", "helicone_gw_cost", "helicone_gw_security"} <= {path.name for path in PLUGINS}
