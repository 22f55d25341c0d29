"""The pytest side of the test kit; pytest loads it through its entry point.

``virtual_time``, asked for as a fixture or set as a marker, runs that one test (and its fixtures) in a
`helicone_gw.testing.VirtualTimeLoop`; the fixture's value is the loop's clock. ``scripted_provider`` is a fresh
`helicone_gw.testing.ScriptedProvider`. ``gateway`` is a `helicone_gw.testing.GatewayFactory`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

try:
    import pytest_asyncio
except ImportError:  # the kit's synchronous parts work without it
    _async_fixture: Callable[[Callable[..., Any]], Any] = pytest.fixture
else:
    _async_fixture = pytest_asyncio.fixture

if TYPE_CHECKING:
    from helicone_gw.testing.clock import VirtualClock
    from helicone_gw.testing.provider import ScriptedProvider
    from helicone_gw.testing.running import GatewayFactory

# What the suite asserts is shown in full, as in a test module of one's own.
pytest.register_assert_rewrite("helicone_gw.testing.conformance")

# The kit is imported where it is used: this module is loaded by every pytest run in an environment that has it.


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "virtual_time: run in an event loop whose time jumps instead of passing")


class _VirtualTime:
    """What pytest-asyncio asks for the loop of a test; registered only while a marked test is being collected."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_asyncio_loop_factories(
        self, config: pytest.Config, item: pytest.Item
    ) -> Mapping[str, type[asyncio.AbstractEventLoop]]:
        from helicone_gw.testing.loop import VirtualTimeLoop

        return {"virtual_time": VirtualTimeLoop}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None, Any, Any]:
    """Give a test that opted in its loop, and leave every other test as pytest-asyncio made it."""
    marked = metafunc.definition.get_closest_marker("virtual_time") is not None
    if not marked and "virtual_time" not in metafunc.fixturenames:
        return (yield)
    manager = metafunc.config.pluginmanager
    if not hasattr(manager.hook, "pytest_asyncio_loop_factories"):
        pytest.fail(f"{metafunc.definition.nodeid}: virtual_time needs pytest-asyncio 1.4 or newer", pytrace=False)
    # While any implementation is registered, pytest-asyncio wants a loop factory from it for every test.
    chooser = _VirtualTime()
    manager.register(chooser)
    try:
        return (yield)
    finally:
        manager.unregister(chooser)


@_async_fixture
async def virtual_time() -> VirtualClock:
    """The clock of the test's own event loop, whose time jumps instead of passing."""
    from helicone_gw.testing.loop import VirtualTimeLoop

    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    return loop.clock


@pytest.fixture
def scripted_provider() -> ScriptedProvider:
    """A provider without a script yet."""
    from helicone_gw.testing.provider import ScriptedProvider

    return ScriptedProvider()


@pytest.fixture
def gateway(tmp_path_factory: pytest.TempPathFactory) -> GatewayFactory:
    """Makes gateways that run in memory: ``async with gateway(plugins=["cost"]) as running``."""
    from helicone_gw.testing.running import GatewayFactory

    return GatewayFactory(tmp_path_factory.mktemp("gateway"))
