"""The pages: a module for each entry of the navigation."""

from __future__ import annotations

from typing import Final

from helicone_gw_dashboard.pages import (
    alerts,
    ask,
    audit,
    burning,
    cache,
    evaluations,
    keys,
    limits,
    login,
    members,
    models,
    offered,
    organizations,
    overview,
    playground,
    plugins,
    prompts,
    properties,
    provider_keys,
    request,
    requests,
    sessions,
    settings,
    users,
    views,
    webhooks,
    welcome,
)
from helicone_gw_dashboard.site import Pages

MODULES: Final[tuple[Pages, ...]] = (
    overview.PAGES,
    requests.PAGES,
    views.PAGES,
    request.PAGES,
    sessions.PAGES,
    users.PAGES,
    properties.PAGES,
    models.PAGES,
    cache.PAGES,
    limits.PAGES,
    burning.PAGES,
    prompts.PAGES,
    playground.PAGES,
    ask.PAGES,
    evaluations.PAGES,
    alerts.PAGES,
    webhooks.PAGES,
    keys.PAGES,
    provider_keys.PAGES,
    members.PAGES,
    organizations.PAGES,
    audit.PAGES,
    plugins.PAGES,
    settings.PAGES,
    offered.PAGES,
    welcome.PAGES,
    login.PAGES,
)
"""The modules that have pages."""
