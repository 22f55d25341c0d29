"""A test opts in to virtual time by marker or fixture; every other test keeps its loop."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from helicone_gw.testing import ScriptedProvider, VirtualClock, VirtualTimeLoop

pytest_plugins = ["pytester"]


async def test_without_opting_in_the_loop_is_an_ordinary_one() -> None:
    assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)


@pytest.mark.virtual_time
async def test_by_marker() -> None:
    running = asyncio.get_running_loop()
    assert isinstance(running, VirtualTimeLoop)
    await asyncio.sleep(86400)
    assert running.clock.monotonic() == 86400


async def test_by_fixture(virtual_time: VirtualClock) -> None:
    await asyncio.sleep(3)
    assert virtual_time.monotonic() == 3


@pytest.fixture
async def slept() -> AsyncIterator[float]:
    await asyncio.sleep(60)
    yield asyncio.get_running_loop().time()
    await asyncio.sleep(60)


async def test_fixtures_live_in_the_same_time(slept: float, virtual_time: VirtualClock) -> None:
    assert slept == 60
    assert virtual_time.monotonic() == 60


@pytest.mark.parametrize("seconds", [1, 2])
async def test_it_goes_with_parameters_and_every_test_begins_anew(seconds: int, virtual_time: VirtualClock) -> None:
    assert virtual_time.monotonic() == 0
    await asyncio.sleep(seconds)
    assert virtual_time.monotonic() == seconds


@pytest.mark.virtual_time
class TestClass:
    async def test_a_class_may_be_marked(self) -> None:
        assert isinstance(asyncio.get_running_loop(), VirtualTimeLoop)


@pytest.mark.virtual_time
def test_the_marker_does_no_harm_to_a_plain_function() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


async def test_a_scripted_provider_is_fresh(scripted_provider: ScriptedProvider) -> None:
    assert scripted_provider.requests == []
    assert scripted_provider.remaining == 0


SUITE = """
    import asyncio
    import pytest
    from helicone_gw.testing import VirtualTimeLoop

    async def test_one(virtual_time):
        await asyncio.sleep(1e6)
        assert virtual_time.monotonic() == 1e6

    @pytest.mark.virtual_time
    async def test_two():
        await asyncio.sleep(1e6)

    async def test_three():
        assert not isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
"""


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Another pytest, in a process of its own.

    In this one it would take what it imports out of ``sys.modules`` again. A library that imports its parts as they are
    used, as anyio does, would from then on be there twice, in part: httpx then keeps no connection.
    """
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:schemathesis", *arguments)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_a_foreign_project_gets_it_by_installing_the_kit(pytester: pytest.Pytester, mode: str) -> None:
    suite = SUITE if mode == "auto" else SUITE.replace("async def test_", "@pytest.mark.asyncio\n    async def test_")
    pytester.makepyfile(suite)
    pytester.makeini(
        f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
        "addopts = --strict-markers\n"
    )
    result = run(pytester)
    result.assert_outcomes(passed=3)


def test_without_pytest_asyncio_other_tests_still_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(scripted_provider): assert scripted_provider.requests == []")
    result = run(pytester, "-p", "no:asyncio")
    result.assert_outcomes(passed=1)


def test_without_pytest_asyncio_a_test_that_opts_in_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.virtual_time\nasync def test_one(): ...\n",
    )
    result = run(pytester, "-p", "no:asyncio")
    result.stdout.fnmatch_lines(["*virtual_time needs pytest-asyncio*"])


def test_the_kit_itself_is_loaded_only_when_used(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import sys\ndef test_it(): assert 'helicone_gw.testing.provider' not in sys.modules\n")
    result = run(pytester)
    result.assert_outcomes(passed=1)
