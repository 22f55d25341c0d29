"""Why something cannot be done, for the REST API and the command line."""

from __future__ import annotations


class Refusal(Exception):
    """A refusal that its message explains; ``status`` is HTTP's."""

    status = 400


class NoSuch(Refusal):
    """There is nothing of that id."""

    status = 404


class LogUnavailable(Exception):
    """The log, or whatever else is asked, does not answer now; later it may."""
