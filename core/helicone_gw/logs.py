"""The program's own messages: structlog on standard error, for people on a terminal, JSON lines for machines."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

MARKER = "[redacted]"

_FORMS = re.compile(
    r"""
    (?i:\b(?P<scheme>bearer|basic)\s+)(?!\[)[A-Za-z0-9._~+/=-]{8,}      # RFC 9110 section 11.6.2
    | \b(?:sk|pk|rk|gsk|xai|hf|phc|ghp|gho|ghs|glpat|xox[abp])[-_][A-Za-z0-9_-]{12,}
    | \bAKIA[0-9A-Z]{16}\b
    | \bAIza[0-9A-Za-z_-]{20,}
    | \bya29\.[0-9A-Za-z._-]{20,}
    | \beyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]*         # RFC 7515: a token in three parts
    | (?P<url>://[^\s/:@"'\\]*:)[^\s/@"'\\]+(?=@)                        # RFC 3986 section 3.2.1: user and password
    | (?P<name>(?i:[\w-]*(?:api[-_]?key|token|secret|password|authorization)\\?["']?\s*[=:]\s*\\?["']?))
      (?!\[|none\b|null\b)[^\s"'\\,;&}\])]{8,}
    """,
    re.VERBOSE,
)


def configure_logging() -> None:
    """Set up structlog for the running program; what libraries warn of by Python's own logging goes the same way.

    Stack traces never show local variables: they hold credentials. What looks like one in a message is taken out.
    """
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if sys.stderr.isatty():
        processors.append(structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback))
    else:
        processors += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    processors.append(scrubbed)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.getLogger().addHandler(_OF_LIBRARIES)


class _Forwarding(logging.Handler):
    """Hands records of Python's logging to structlog: they would be lines of plain text among the program's own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log ``record``; one that cannot be told is Python's own to complain of."""
        level = min(record.levelno // 10 * 10, logging.CRITICAL)
        try:
            log = structlog.get_logger(record.name)
            log.log(level, record.getMessage(), logger=record.name, exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


_OF_LIBRARIES = _Forwarding(logging.WARNING)


def scrub(text: str) -> str:
    """``text`` without what looks like a credential: keys of known providers, tokens, passwords of URLs, and values
    that are called a key, token, secret or password."""
    return _FORMS.sub(_replacement, text)


def scrubbed(_logger: Any, _method: str, rendered: str | MutableMapping[str, Any]) -> Any:
    """A structlog processor behind the renderer: exceptions of others' code may hold anything, and print it."""
    return scrub(rendered) if isinstance(rendered, str) else rendered


def _replacement(found: re.Match[str]) -> str:
    if found["scheme"] is not None:
        return f"{found['scheme']} {MARKER}"
    return (found["url"] or found["name"] or "") + MARKER
