"""Messages of the program hold no credentials, whoever wrote them."""

from __future__ import annotations

import io
import logging
import sys

import pytest
import structlog

from helicone_gw.logs import configure_logging, scrub


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("KeyError: 'sk-proj-abcdefghijklmnop'", "KeyError: '[redacted]'"),
        ("Authorization: Bearer abcdef0123456789", "Authorization: Bearer [redacted]"),
        ("sent Basic dXNlcjpwYXNz", "sent Basic [redacted]"),
        ("redis://me:hunter2@10.0.0.1:6379/0 is away", "redis://me:[redacted]@10.0.0.1:6379/0 is away"),
        ("postgresql://:a%40b@db/x", "postgresql://:[redacted]@db/x"),
        ('{"api_key": "0123456789abcdef"}', '{"api_key": "[redacted]"}'),
        ("?api-key=0123456789&x=1", "?api-key=[redacted]&x=1"),
        ("password='correct horse'", "password='correct horse'"),
        (
            r'{"exception": "api_key=\"0123456789\", token: 0123456789\"\n"}',
            r'{"exception": "api_key=\"[redacted]\", token: [redacted]\"\n"}',
        ),
        ("AKIAABCDEFGHIJKLMNOP", "[redacted]"),
        ("AIzaSyA-0123456789abcdefghij", "[redacted]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[redacted]"),
    ],
)
def test_what_looks_like_a_credential(text: str, left: str) -> None:
    assert scrub(text) == left


@pytest.mark.parametrize(
    "text",
    [
        '{"event": "exchange failed", "request_id": "01a21949-4800-71b4-89a1-b923528ab92d", "level": "error"}',
        "tokens: 1024, token=None, api_key: null",
        "http://127.0.0.1:8787/v1/chat/completions answered 200",
        "a task-force of risk-takers",
        "the key 'alice' of organization default is revoked",
    ],
)
def test_what_does_not(text: str) -> None:
    assert scrub(text) == text


def test_a_stack_trace_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr(sys, "stderr", output)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    configure_logging()
    try:
        raise ValueError("cannot use sk-proj-abcdefghijklmnop")
    except ValueError as problem:
        structlog.get_logger("scrubbed").error("a plugin failed", exc_info=problem)
    finally:
        structlog.reset_defaults()
    assert "ValueError: cannot use [redacted]" in output.getvalue()
    assert "abcdefghijklmnop" not in output.getvalue()
