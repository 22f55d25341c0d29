"""The directory that worker processes have in common."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

from helicone_gw import shared_directory
from helicone_gw.shared import making_shared_directory


def test_it_is_there_for_this_process_and_its_children_and_gone_afterwards() -> None:
    assert shared_directory() is None
    with making_shared_directory() as path:
        assert shared_directory() == path
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        code = "import helicone_gw; print(helicone_gw.shared_directory())"
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert shown.strip() == str(path)
        (path / "left").write_text("something")
    assert not path.exists()
    assert shared_directory() is None


def test_one_inside_another_ends_without_the_other() -> None:
    with making_shared_directory() as outer:
        with making_shared_directory() as inner:
            assert shared_directory() == inner
        assert shared_directory() == outer
    assert "HELICONE_GW_SHARED_DIRECTORY" not in os.environ
