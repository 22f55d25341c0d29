"""Recent: what was longest unused goes first."""

from __future__ import annotations

from helicone_gw_prompts.recent import Recent


def test_the_longest_unused_goes_when_there_is_no_room() -> None:
    recent: Recent[str, int | None] = Recent(2)
    recent.put("a", 1)
    recent.put("b", None)
    assert recent.get("a") == 1
    recent.put("c", 3)
    assert ("a" in recent, "b" in recent, "c" in recent, len(recent)) == (True, False, True, 2)
    recent.put("a", 4)
    recent.put("d", 5)
    assert (recent.get("a"), recent.get("c")) == (4, None)
    recent.clear()
    assert len(recent) == 0
