"""Links: URLs that open one prompt's body, for a while, without a gateway key."""

from __future__ import annotations

import pytest

from helicone_gw.testing import VirtualClock
from helicone_gw_prompts.links import PATH, Links


def token(url: str) -> str:
    return url.partition("?key=")[2]


async def test_a_link_is_a_key_for_one_page_of_one_organization(clock: VirtualClock) -> None:
    links = Links(b"k" * 32, clock, 60)
    url = links.url("https://gw.example", "Grüße.AG", "a-version")
    assert url.startswith(f"https://gw.example{PATH}a-version?key=hgwb-")
    key = await links.lookup(token(url))
    assert key is not None
    assert (key.organization, key.role) == ("Grüße.AG", "viewer")
    assert key.permits.allows_path(PATH + "a-version")
    assert not key.permits.allows_path(PATH + "another")
    assert not key.permits.allows_path("/v1/prompt-2025")
    assert not key.permits.allows_model("gpt-4o")
    assert not key.permits.allows_provider("openai")
    assert not links.configured


async def test_it_ends(clock: VirtualClock) -> None:
    links = Links(b"k" * 32, clock, 60)
    secret = token(links.url("", "o", "v"))
    clock.advance(60)
    assert await links.lookup(secret) is not None
    clock.advance(1)
    assert await links.lookup(secret) is None
    assert await links.knows(secret)


@pytest.mark.parametrize(
    "change",
    [
        lambda secret: secret[:-1] + ("0" if secret[-1] != "0" else "1"),
        lambda secret: secret.replace(".v.", ".w."),
        lambda secret: secret.replace("hgwb-bw", "hgwb-YQ"),
        lambda secret: secret.replace(".17", ".97"),
        lambda secret: "hgwb-",
        lambda secret: "hgwb-....",
        lambda secret: secret + "é",
        lambda secret: secret + "0" * 5_000,
        lambda secret: secret.removeprefix("hgwb-"),
        lambda secret: "",
    ],
)
async def test_nothing_else_is_one(clock: VirtualClock, change: object) -> None:
    links = Links(b"k" * 32, clock, 60)
    secret = token(links.url("", "o", "v"))
    changed = change(secret)  # type: ignore[operator]
    assert changed != secret
    assert await links.lookup(changed) is None
    assert await Links(b"x" * 32, clock, 60).lookup(secret) is None
