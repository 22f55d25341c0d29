"""Navigation: the entries of the sidebar, in its order."""

from __future__ import annotations

from typing import Final, NamedTuple

from helicone_gw import Role


class Entry(NamedTuple):
    """One entry. ``section`` is what its pages say of themselves; ``icon`` a macro's name in ``_icons.html``."""

    section: str
    title: str
    path: str
    icon: str
    role: Role = "viewer"
    gateway: bool = False
    """Whether it is about the gateway itself, which only its operator's organization sees."""


GROUPS: Final[tuple[tuple[str, tuple[Entry, ...]], ...]] = (
    (
        "Observe",
        (
            Entry("overview", "Overview", "/", "chart"),
            Entry("requests", "Requests", "/requests", "list"),
            Entry("sessions", "Sessions", "/sessions", "tree"),
            Entry("users", "Users", "/users", "user"),
            Entry("properties", "Properties", "/properties", "tag"),
            Entry("models", "Models", "/models", "model"),
            Entry("cache", "Cache", "/cache", "cache"),
            Entry("limits", "Limits & budgets", "/limits", "gauge"),
        ),
    ),
    (
        "Improve",
        (
            Entry("prompts", "Prompts", "/prompts", "prompt"),
            Entry("playground", "Playground", "/playground", "play"),
            Entry("evaluations", "Evaluations", "/evaluations", "check"),
            Entry("alerts", "Alerts", "/alerts", "bell"),
            Entry("webhooks", "Webhooks", "/webhooks", "hook"),
        ),
    ),
    (
        "Administer",
        (
            Entry("keys", "Keys", "/keys", "key", "admin"),
            Entry("provider-keys", "Provider keys", "/provider-keys", "lock", "admin"),
            Entry("members", "Members", "/members", "user", "member"),
            Entry("organizations", "Organizations", "/organizations", "organization", "admin", gateway=True),
            Entry("audit", "Audit", "/audit", "audit", "admin"),
            Entry("plugins", "Plugins", "/plugins", "plug", "admin", gateway=True),
            Entry("settings", "Settings", "/settings", "settings", "admin", gateway=True),
        ),
    ),
)
"""Entries under their headings; plugins' own pages follow them."""
