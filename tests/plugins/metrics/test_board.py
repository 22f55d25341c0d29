"""The board: what workers leave there is counted once, while they live and when they are gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from helicone_gw_metrics.board import PAST, Board, encode
from helicone_gw_metrics.snapshot import FigureKey, Snapshot

MINE = 1  # the process that is always there
FIGURES: list[tuple[FigureKey, str, float]] = [
    (("done", "counter", ()), "Done.", 3.0),
    (("waiting", "gauge", ()), "Waiting.", 2.0),
]


@pytest.fixture(scope="module")
def gone() -> int:
    """The id of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def left(pid: int, count: int, *, final: bool = False) -> bytes:
    return encode(Snapshot((1.0,), (1.0,), errors=[(("refused", None), count)], figures=FIGURES, pid=pid, final=final))


def shown(board: Board) -> int:
    return sum(count for one in board.others() for _, count in one.errors)


def test_everybody_sees_the_others_and_not_itself(tmp_path: Path) -> None:
    first, second = Board(tmp_path / "metrics", "1-1"), Board(tmp_path / "metrics", "2-1")
    first.publish(left(MINE, 1))
    second.publish(left(MINE, 10))
    assert (shown(first), shown(second)) == (10, 1)
    second.publish(left(MINE, 11))
    assert shown(first) == 11


def test_of_those_that_are_gone_counters_stay(tmp_path: Path, gone: int) -> None:
    board = Board(tmp_path, "1-1")
    Board(tmp_path, "2-1").publish(left(gone, 7))
    (one,) = board.others()
    assert one.errors == [(("refused", None), 7)]
    assert [key[0] for key, _, _ in one.figures] == ["done"]


def test_those_that_are_gone_become_one_sum(tmp_path: Path, gone: int) -> None:
    board = Board(tmp_path, "1-1")
    Board(tmp_path, "2-1").publish(left(gone, 1))
    Board(tmp_path, "3-1").publish(left(MINE, 10, final=True))
    Board(tmp_path, "4-1").publish(left(MINE, 100))
    board.fold((1.0,), (1.0,))
    assert {path.name for path in tmp_path.glob("*.json")} == {PAST, "4-1.json"}
    assert shown(board) == 111
    Board(tmp_path, "5-1").publish(left(gone, 1000))
    board.fold((1.0,), (1.0,))
    assert {path.name for path in tmp_path.glob("*.json")} == {PAST, "4-1.json"}
    assert shown(board) == 1111


def test_whoever_dies_while_folding_makes_nothing_count_twice(
    tmp_path: Path, gone: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Board(tmp_path, "1-1")
    Board(tmp_path, "2-1").publish(left(gone, 1))

    def killed(self: Path, missing_ok: bool = False) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "unlink", killed)
        board.fold((1.0,), (1.0,))
    assert (tmp_path / "2-1.json").exists()
    assert shown(board) == 1
    Board(tmp_path, "3-1").publish(left(gone, 10))
    board.fold((1.0,), (1.0,))
    assert shown(board) == 11


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    board = Board(tmp_path, "1-1")
    (tmp_path / "2-1.json").write_bytes(b'{"latency": ')
    Board(tmp_path, "3-1").publish(left(MINE, 5))
    assert shown(board) == 5
