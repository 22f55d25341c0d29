"""READMEs as HTML: what they say is there, and nothing of it can run."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helicone_gw_dashboard.markdown import rendered
from tests.plugins.dashboard.markup import ATTACKS, problems


def test_the_parts_of_a_readme_are_told_apart() -> None:
    made = rendered(
        "# A plugin\n\nWhat it *does*, and\nhow.\n\n## Settings\n\n| key | default |\n|---|---|\n| `a|b` | **1** |\n\n"
        "- one\n  still one\n- two\n\n1. first\n\n> said\n\n```yaml\nkey: <value>\n```\n"
    )
    assert "A plugin" not in made, "the page has that heading"
    for part in (
        "<p>What it <em>does</em>, and how.</p>",
        "<h3>Settings</h3>",
        "<thead><tr><th>key</th><th>default</th></tr></thead>",
        "<td><code>a|b</code></td><td><b>1</b></td>",
        "<ul><li>one still one</li><li>two</li></ul>",
        "<ol><li>first</li></ol>",
        "<blockquote>said</blockquote>",
        '<pre class="code" tabindex="0">key: &lt;value&gt;</pre>',
    ):
        assert part in made


def test_links_lead_to_http_addresses_alone() -> None:
    made = rendered(
        "[good](https://example.com/a?b=1&c) [script](javascript:alert) [file](LICENSE) [x](https://e/\"'<)"
    )
    assert '<a href="https://example.com/a?b=1&amp;c" rel="noreferrer">good</a>' in made
    assert "javascript" not in made
    assert "script file" in made
    assert made.count("<a ") == 2
    assert 'href="https://e/&#34;&#39;&lt;"' in made


@pytest.mark.parametrize(
    "around", ["{}", "# x\n## {}", "- {}", "`{}`", "**{}**", "| a | b |\n|--|--|\n| {} | {} |", "```\n{}"]
)
def test_nothing_that_a_readme_says_becomes_markup(around: str) -> None:
    for attack in ATTACKS:
        assert problems(str(rendered(around.replace("{}", attack)))) == []


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="#-*`|[]()<>:/ahtps\"'\n =\\1.~", max_size=200))
def test_any_text_is_rendered_and_runs_nothing(text: str) -> None:
    assert [each for each in problems(str(rendered(text))) if not each.startswith("a href=http")] == []
