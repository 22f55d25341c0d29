"""A pytest plugin for openai-python's own test run: no retries, an even sample, and every test's outcome as JSON.

The tests are collected once, which takes longer than a sample of them runs; a process is then forked for every URL that
they are to run against.

It is loaded (`-p outcomes`) by the pytest of the suite's environment, never by this project's.
"""

from __future__ import annotations

import json
import os
import sys
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
_file: list[Path] = []
"""The JSON file to write, once it is known: in a process of one round."""


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
    """Add the options of the rounds."""
    parser.addoption("--every", type=int, default=1, help="run every Nth test only")
    parser.addoption(
        "--round",
        nargs=2,
        action="append",
        metavar=("URL", "FILE"),
        help="where the clients are pointed, and the JSON file to write; give it once per round",
    )


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


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the rounds side by side, each in a process of its own; this one waits for them."""
    children = []
    for url, file in session.config.getoption("round"):
        sys.stdout.flush()
        child = os.fork()
        if not child:
            _point_to(url, session.items)
            _file.append(Path(file))
            return None
        children.append(child)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if not {*ended} <= {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED}:
        raise RuntimeError(f"rounds ended with {ended}")
    return True


def _point_to(url: str, items: list[pytest.Item]) -> None:
    """Replace what conftest, files of tests and their marks keep of the environment, as it was when they were read."""
    said = os.environ["TEST_API_BASE_URL"]
    for module in list(sys.modules.values()):
        if vars(module).get("base_url") == said:
            module.base_url = url  # type: ignore[attr-defined]
    for item in items:
        for mark in item.iter_markers():
            if mark.kwargs.get("base_url") == said:
                mark.kwargs["base_url"] = url


def pytest_sessionfinish() -> None:
    """Write the round's file."""
    for file in _file:
        round_ = {"outcomes": _outcomes, "failures": _failures, "answered_by": _answers}
        file.write_text(json.dumps(round_))
