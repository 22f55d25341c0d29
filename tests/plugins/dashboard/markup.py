"""Markup: what people may try to smuggle into a page, and what of a page could run or load something."""

from __future__ import annotations

from html.parser import HTMLParser

from helicone_gw_dashboard.assets import STYLES, Assets

ATTACKS = (
    "<script>window.hacked=1</script>",
    '"><img src=x onerror=window.hacked=1>',
    "' autofocus onfocus='window.hacked=1",
    "javascript:window.hacked=1",
    "{{ 7*7 }}{% raw %}",
    "</textarea></title></pre><svg/onload=window.hacked=1>",
    "‮abc\u0000\u001b[31m",
)


OWN = Assets()[STYLES].content.decode()
"""The one style that a page may bring along."""


class Markup(HTMLParser):
    """What of a page could run, or load something from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._inside = tag
        self.problems += [f"{tag} {name}" for name in given if name.startswith("on") or name in ("style", "srcdoc")]
        for name in ("href", "src", "action", "hx-get", "hx-post", "formaction"):
            address = given.get(name)
            if address is not None and not address.startswith(("/", "#", "data:image/")):
                self.problems.append(f"{tag} {name}={address}")
        if tag in ("iframe", "object", "embed", "base") or (tag == "script" and "src" not in given):
            self.problems.append(tag)

    def handle_data(self, data: str) -> None:
        if data.strip() and (self._inside == "script" or (self._inside == "style" and data != OWN)):
            self.problems.append(f"{self._inside}: {data[:50]}")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def problems(page: str) -> list[str]:
    markup = Markup()
    markup.feed(page)
    return markup.problems
