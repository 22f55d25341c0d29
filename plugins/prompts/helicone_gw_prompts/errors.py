"""Why something cannot be done with a prompt, for the REST API and the command line."""

from __future__ import annotations


class Refusal(Exception):
    """A refusal that its message explains; ``status`` is HTTP's."""

    status = 400


class NoSuch(Refusal):
    """There is no such prompt, version or environment."""

    status = 404


class Taken(Refusal):
    """It is there already, or something is at it."""

    status = 409


class BodyTooLarge(Refusal):
    """A request is longer than is read."""

    status = 413
