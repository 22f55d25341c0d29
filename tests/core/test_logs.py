"""The program's own messages: one JSON object per line for machines, and never a local variable."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from helicone_gw.logs import configure_logging


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def fail_with_a_secret() -> None:
    credential = "sk-planted-" + "secret"
    assert credential
    raise ValueError("wrong")


def logged(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure_logging()
    log = structlog.get_logger("test")
    log.info("started", url="http://127.0.0.1:8787")
    log.debug("not shown")
    try:
        fail_with_a_secret()
    except ValueError as problem:
        log.error("failed", exc_info=problem, strange=object)
    return stream.getvalue()


def test_machines_get_one_json_object_per_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = logged(io.StringIO(), monkeypatch).splitlines()
    started, failed = map(json.loads, lines)
    assert started["event"] == "started"
    assert started["level"] == "info"
    assert started["url"] == "http://127.0.0.1:8787"
    assert started["timestamp"].endswith("Z")
    assert failed["level"] == "error"
    assert "ValueError: wrong" in failed["exception"]
    assert "fail_with_a_secret" in failed["exception"]


def test_what_libraries_warn_of_goes_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    logged(stream := io.StringIO(), monkeypatch)
    configure_logging()  # once more adds nothing
    stream.seek(0)
    stream.truncate()
    library = logging.getLogger("some.library")
    library.info("nobody's business")
    library.warning("%s%% of Bearer abcdefgh12345678", 7)
    try:
        fail_with_a_secret()
    except ValueError:
        library.log(45, "failed", exc_info=True)
    warned, failed = map(json.loads, stream.getvalue().splitlines())
    assert (warned["event"], warned["level"], warned["logger"]) == (
        "7% of Bearer [redacted]",
        "warning",
        "some.library",
    )
    assert (failed["level"], failed["logger"]) == ("error", "some.library")
    assert "ValueError: wrong" in failed["exception"]


def test_people_get_a_readable_line(monkeypatch: pytest.MonkeyPatch) -> None:
    text = logged(Terminal(), monkeypatch)
    assert "started" in text
    assert "not shown" not in text
    assert "ValueError" in text


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_traceback_holds_no_local_variables(stream: type[io.StringIO], monkeypatch: pytest.MonkeyPatch) -> None:
    text = logged(stream(), monkeypatch)
    assert "wrong" in text
    assert "sk-planted-secret" not in text
