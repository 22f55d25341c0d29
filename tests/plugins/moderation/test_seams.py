"""What is split over parts of one message is found, refused or redacted, as in one text."""

from __future__ import annotations

from typing import Any

import pytest

from helicone_gw.testing import GatewayFactory
from helicone_gw_moderation.seams import AROUND, Run
from helicone_gw_moderation.vault import Vault
from tests.plugins.moderation.finding import ADDRESS, CLASSES, KEY, PHRASE, plan
from tests.plugins.moderation.test_plugin import check, moderation, notes


def bodies(parts: list[str]) -> list[tuple[str, Any]]:
    """A request in each dialect that has parts, and how to get at them again."""
    texts = [{"type": "text", "text": part} for part in parts]
    inputs = [{"type": "input_text", "text": part} for part in parts]
    return [
        ("/v1/chat/completions", {"model": "gpt-4o", "messages": [{"role": "user", "content": texts}]}),
        ("/v1/responses", {"model": "gpt-4o", "input": [{"role": "user", "content": inputs}]}),
        ("/v1/messages", {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [], "system": texts}),
        (
            "/v1beta/models/gemini-2.5-flash:generateContent",
            {"contents": [{"parts": [{"text": part} for part in parts]}]},
        ),
    ]


@pytest.mark.parametrize("at", [1, 10, len(PHRASE) - 1])
async def test_a_phrase_that_is_split_over_parts_is_refused(gateway: GatewayFactory, at: int) -> None:
    text = f"Please {PHRASE} now"
    async with gateway(moderation(check("injection", on="input")), classes=CLASSES) as running:
        for path, body in bodies([text[: 7 + at], text[7 + at :]]):
            assert (await running.request("POST", path, json=body)).status == 400, path
            assert notes(running) == [("ignore", "block", "input")]
        apart = [{"role": "user", "content": text[: 7 + at]}, {"role": "user", "content": text[7 + at :]}]
        assert (await running.chat(messages=apart)).status == 200, "two messages are no one text"


async def test_what_is_redacted_stands_in_the_first_part_and_comes_back(gateway: GatewayFactory) -> None:
    parts = ["Mail ali", "ce@exam", "ple.com or bob@example.com", ""]
    async with gateway(moderation(check("pii", action="redact")), classes=CLASSES) as running:
        for path, body in bodies(parts):
            await running.request("POST", path, json=body)
            sent = str(running.provider.requests[-1].json())
            assert "Mail [EMAIL_1]" in sent
            assert " or [EMAIL_2]" in sent
            assert not any(piece in sent for piece in ("ali", "@", "ple.com"))


@pytest.mark.parametrize("size", [0, AROUND, 2 * AROUND, 3 * AROUND])
def test_what_stands_around_every_seam_is_looked_at(size: int) -> None:
    parts = ["x" * size + f" {KEY[:9]}", f"{KEY[9:]} " + "x" * size + f" {ADDRESS[:3]}", ADDRESS[3:] + " "]
    hits, changed = Run(parts).look(plan("secret", "pii", action="redact"), Vault(10))
    assert [hit.label for hit in hits] == ["test_key", "email"]
    assert "".join(changed[part] for part in parts) == f"{'x' * size} [TEST_KEY_1] {'x' * size} [EMAIL_1] "


def test_what_is_in_one_part_is_found_there_alone() -> None:
    assert Run([f"{KEY} ", ADDRESS]).look(plan("secret", "pii"), Vault(1)) == ([], {})
