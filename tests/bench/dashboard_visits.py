"""Every page of the dashboard and what its pages ask for, as addresses to be measured over a month of requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from werkzeug.routing import Map, Rule

from helicone_gw_dashboard.pages import MODULES

ONE_MODEL = quote('[{"request_response_rmt":{"model":{"equals":"model-3"}}}]')
ONE_USER = quote('[{"request_response_rmt":{"user_id":{"equals":"user-3"}}}]')
FAILED = quote('[{"request_response_rmt":{"status":{"gte":500}}}]')

NOT_MEASURED = {"/requests/live", "/of/<plugin>/<name>", "/cards"}
"""A stream without an end, and what other plugins offer."""


class Visit(NamedTuple):
    """A page, or what it asks for. ``path`` begins below the dashboard's prefix; names in braces are filled in.

    ``part``: htmx asks for it. ``form`` is sent where something is done.
    """

    name: str
    path: str
    part: bool = False
    form: Mapping[str, str] | None = None


VISITS = (
    Visit("overview, a day", "/?range=24h"),
    Visit("overview, a month", "/?range=30d"),
    Visit("overview of one model", "/?range=30d&filter=" + ONE_MODEL),
    Visit("its list of users", "/lists/user?range=30d&filter=" + ONE_MODEL, True),
    Visit("its number of users", "/active-users?range=30d&filter=" + ONE_MODEL, True),
    Visit("percentiles of a month", "/percentiles/latency?range=30d", True),
    Visit("first tokens of a month", "/percentiles/time_to_first_token?range=30d", True),
    *(
        Visit(f"a list of a month: {by}", f"/lists/{by}?range=30d", True)
        for by in ("model", "provider", "user", "property", "status", "key")
    ),
    Visit("number of users of a month", "/active-users?range=30d", True),
    Visit("requests, newest first", "/requests?range=30d"),
    Visit("more of them", "/requests?range=30d&cursor={cursor}", True),
    Visit("requests of one model", "/requests?range=30d&filter=" + ONE_MODEL),
    Visit("requests of one user", "/requests?range=30d&filter=" + ONE_USER),
    Visit("requests that failed", "/requests?range=30d&filter=" + FAILED),
    Visit("requests, slowest first", "/requests?range=30d&sort=slowest"),
    Visit("requests, most tokens first", "/requests?range=30d&sort=most+tokens"),
    Visit("requests, most expensive first", "/requests?range=30d&sort=most+expensive"),
    Visit("requests, oldest first", "/requests?range=30d&sort=oldest"),
    Visit("their number", "/requests/count?range=30d", True),
    Visit("a filter is added", "/requests/filter?range=30d&column=latency&operator=gte&value=4000"),
    Visit("words are searched for", "/requests/search?range=30d&words=user-77"),
    Visit("what is found by them", "/requests?range=30d&filter={searched}"),
    Visit("what nobody has", "/requests?range=30d&filter={nobody}"),
    Visit("saved views", "/requests/views", True),
    Visit("a view is saved", "/requests/views", True, {"name": "Slow", "query": "range=30d&sort=slowest"}),
    Visit("a request", "/requests/{request}"),
    Visit("a request in the drawer", "/requests/{request}", True),
    Visit("it is rated", "/requests/{request}/rating", True, {"rating": "good"}),
    Visit("it is scored", "/requests/{request}/score", True, {"name": "helpful", "value": "1"}),
    Visit("it has a property more", "/requests/{request}/property", True, {"key": "checked", "value": "yes"}),
    Visit("sessions", "/sessions?range=30d"),
    Visit("sessions by a few words", "/sessions?range=30d&words=session-77"),
    Visit("a session", "/session?id=session-1000"),
    Visit("a session of 500 requests", "/session?id=long"),
    Visit("more of its steps", "/session?id=long&offset=200", True),
    Visit("users", "/users?range=30d"),
    Visit("users by a few words", "/users?range=30d&words=1"),
    Visit("users of one model", "/users?range=30d&filter=" + ONE_MODEL),
    Visit("a user", "/user?range=30d&id=user-0"),
    Visit("values of a property", "/properties?range=30d"),
    Visit("models", "/models?range=30d"),
    Visit("their percentiles", "/models/percentiles/latency?range=30d", True),
    Visit("cache", "/cache?range=30d"),
    Visit("answers used most", "/cache/used?range=30d", True),
    Visit("why there were misses", "/cache/missed?range=30d", True),
    Visit("limits and budgets", "/limits?range=30d"),
    Visit("how a budget went", "/limits/burn?budget=team&segment=global", True),
    Visit("a budget is written", "/limits/yaml?name=each-user&limit=2&period=day&segment=user", True),
    Visit("prompts", "/prompts"),
    Visit("a prompt", "/prompts/{prompt}"),
    Visit("its versions compared", "/prompts/{prompt}/compare?range=30d", True),
    Visit("a version in the editor", "/prompts/{prompt}/versions/{version}"),
    Visit("two versions side by side", "/prompts/{prompt}/diff?from={first}&to={version}"),
    Visit("playground", "/playground"),
    Visit("playground, from a version", "/playground?version={version}"),
    Visit("playground, from a request", "/playground?request={request}"),
    Visit("evaluations", "/evaluations?range=30d"),
    Visit("an evaluator", "/evaluations/{evaluator}"),
    Visit("alerts", "/alerts"),
    Visit("an alert", "/alerts/{alert}"),
    Visit(
        "a rule that is being built",
        "/alerts/preview",
        True,
        {
            "metric": "latency",
            "aggregation": "percentile",
            "percentile": "95",
            "threshold": "9000",
            "window": "3600000",
        },
    ),
    Visit("webhooks", "/webhooks"),
    Visit("a webhook", "/webhooks/{webhook}"),
    Visit("keys", "/keys"),
    Visit("a key", "/keys/{key}"),
    Visit("provider keys", "/provider-keys"),
    Visit("members", "/members"),
    Visit("organizations", "/organizations"),
    Visit("an organization", "/organizations/default"),
    Visit("audit", "/audit"),
    Visit("plugins", "/plugins"),
    Visit("a plugin", "/plugins/logging"),
    Visit("settings", "/settings"),
    Visit("welcome", "/welcome"),
    Visit("login", "/login"),
)


def unmeasured() -> Iterator[str]:
    """Paths of pages that no visit leads to."""
    pages = [page for module in MODULES for page in module.pages if page.method == "GET"]
    found = Map([Rule(page.path, endpoint=page.path) for page in pages], strict_slashes=False).bind("dashboard")
    seen = {found.match(urlsplit(visit.path).path)[0] for visit in VISITS if visit.form is None}
    yield from sorted({page.path for page in pages} - seen - NOT_MEASURED)
