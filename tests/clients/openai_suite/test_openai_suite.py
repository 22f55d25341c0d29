"""openai-python's own API tests end through the gateway exactly as they end without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.openai_suite.suite import Round, Suite, prepare
from tests.program import gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@dataclass(frozen=True, slots=True)
class Bench:
    """The suite, the mock's URL and the URL of a gateway in front of it."""

    suite: Suite
    mock: str
    gateway: str


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    suite = prepare()
    directory = tmp_path_factory.mktemp("openai-suite")
    with suite.mock(directory) as mock:
        config = {
            "database": {"url": f"sqlite:///{directory / 'helicone.db'}"},
            "providers": {"openai": {"base_url": mock}},
            "plugins": ["logging", "cost"],
        }
        with gateway(config, directory) as url:
            yield Bench(suite, mock, f"{url}/v1")


def assert_same(direct: Round, through: Round) -> None:
    changed = {
        test: f"{outcome} -> {through.outcomes.get(test)}\n{through.failures.get(test, '')}"
        for test, outcome in direct.outcomes.items()
        if through.outcomes.get(test) != outcome
    }
    assert not changed, f"{len(changed)} tests end differently through the gateway; the first of them:\n" + "\n".join(
        f"{test}: {change}" for test, change in list(changed.items())[:5]
    )
    assert through.outcomes == direct.outcomes
    assert direct.answered_by_gateway == frozenset()
    assert through.answered_by_mock == direct.answered_by_mock
    assert through.answered_by_gateway >= direct.answered_by_mock


def test_every_100th_test_ends_as_without_the_gateway(bench: Bench, tmp_path: Path) -> None:
    direct, through = bench.suite.run([bench.mock, bench.gateway], tmp_path / "rounds", every=100)
    assert len(direct.outcomes) == 63
    assert direct.failures == {}
    assert len(direct.answered_by_mock) > 35

    assert_same(direct, through)


@pytest.mark.full
def test_every_test_ends_as_without_the_gateway(bench: Bench, tmp_path: Path) -> None:
    direct, through = bench.suite.run([bench.mock, bench.gateway], tmp_path / "rounds")
    assert (direct.count("passed"), direct.count("skipped"), direct.count("failed")) == (6247, 24, 0)
    assert len(direct.answered_by_mock) > 5000

    assert_same(direct, through)
