"""Ids are version 7 UUIDs: valid, unique, in the order of time, and no child process repeats its parent's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid

import pytest

from helicone_gw.ids import new_id


def test_an_id_is_a_version_7_uuid_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    after = time.time_ns() // 1_000_000
    parsed = uuid.UUID(made)
    assert str(parsed) == made
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before <= parsed.int >> 80 <= after


def test_ids_are_unique_and_random_below_the_time() -> None:
    made = [new_id() for _ in range(5_000)]
    assert len(set(made)) == len(made)
    assert len({each[-12:] for each in made}) == len(made)


def test_ids_of_different_times_are_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    made = []
    for step in range(2_000):
        # A 4096th of a millisecond is the finest step that they tell apart.
        monkeypatch.setattr(time, "time_ns", lambda step=step: now + step * 250)
        made.append(new_id())
    assert made == sorted(made)


FORKING = """
import os
from helicone_gw.ids import new_id
new_id()
if os.fork() == 0:
    print(new_id()[-12:], flush=True)
    os._exit(0)
os.wait()
print(new_id()[-12:])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_child_makes_other_ids() -> None:
    ran = subprocess.run([sys.executable, "-c", FORKING], capture_output=True, text=True, check=True)
    theirs, mine = ran.stdout.split()
    assert theirs != mine
