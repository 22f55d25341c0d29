"""A pytest plugin for openai-python's own test run: no retries, an even sample, and every test's outcome as JSON.

It is loaded (`-p outcomes`) by the pytest of the suite's environment, never by this project's.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI

# The SDK's own retries would hide a gateway that fails now and then.
for _client in (OpenAI, AsyncOpenAI):
    _client.__init__.__kwdefaults__["max_retries"] = 0

_outcomes: dict[str, str] = {}
_failures: dict[str, str] = {}
_answers: dict[str, list[str]] = {"mock": [], "gateway": []}


def _note(response: httpx2.Response) -> None:
    test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
    if "x-steady-request-valid" in response.headers:
        _answers["mock"].append(test)
    if "helicone-id" in response.headers:
        _answers["gateway"].append(test)


_send, _send_async = httpx2.Client.send, httpx2.AsyncClient.send


def _noting_send(self: httpx2.Client, *args: Any, **options: Any) -> httpx2.Response:
    response = _send(self, *args, **options)
    _note(response)
    return response


async def _noting_send_async(self: httpx2.AsyncClient, *args: Any, **options: Any) -> httpx2.Response:
    response = await _send_async(self, *args, **options)
    _note(response)
    return response


httpx2.Client.send = _noting_send  # type: ignore[method-assign]
httpx2.AsyncClient.send = _noting_send_async  # type: ignore[method-assign]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two options of a round."""
    parser.addoption("--every", type=int, default=1, help="run every Nth test only")
    parser.addoption("--outcomes", type=Path, help="the JSON file to write")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep every Nth test, in the order of collection."""
    items[:] = items[:: config.getoption("every")]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember the worst phase of a test as its outcome."""
    if report.when == "call" or report.outcome != "passed":
        _outcomes[report.nodeid] = report.outcome
    if report.failed:
        _failures[report.nodeid] = report.longreprtext[-2000:]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Gather what a worker of pytest-xdist saw."""
    for who, tests in node.workeroutput.get("answers", {}).items():
        _answers[who].extend(tests)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the file; a worker hands its part to the process that started it."""
    worker = getattr(session.config, "workeroutput", None)
    if worker is not None:
        worker["answers"] = _answers
        return
    round_ = {"outcomes": _outcomes, "failures": _failures, "answered_by": _answers}
    session.config.getoption("outcomes").write_text(json.dumps(round_))
