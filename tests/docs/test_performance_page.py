"""docs/performance.md: its cases are those that there are, its commands parse, and the benchmark can write into it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import get_args

import pytest
from typer.main import get_command

from helicone_gw.bench.cases import CASES
from helicone_gw.bench.page import BEGIN, END, update
from helicone_gw.commands.line import build_cli
from helicone_gw.config import Engine, Transport
from tests.core.bench.reports import MEASURED

FILE = Path(__file__).parents[2] / "docs" / "performance.md"
PAGE = FILE.read_text()
COMMANDS = re.findall(r"^\$ helicone-gw (bench[^#\n]*)", PAGE, re.MULTILINE)


def test_every_case_is_explained_and_no_other() -> None:
    table = PAGE.split("## What is measured")[1].split("\n- ")[0]
    named = {
        name
        for line in table.splitlines()
        for name in re.findall(r"`([a-z0-9-]+)`", line.split("|")[1:2][0] if "|" in line else "")
    }
    assert named == set(CASES)


def test_every_engine_and_transport_is_explained() -> None:
    for heading, names in (("engine", get_args(Engine)), ("transport", get_args(Transport))):
        table = PAGE.split(f"## What each {heading} is for")[1].split("## ")[0]
        assert set(re.findall(r"^\| `([a-z]+)`", table, re.MULTILINE)) == set(names)


@pytest.mark.parametrize("line", COMMANDS)
def test_the_commands_are_ones_that_the_benchmark_takes(line: str) -> None:
    bench = get_command(build_cli(None)).commands["bench"]
    name, *arguments = shlex.split(line.replace('"$(pgrep -of helicone-gw)"', "1"))
    assert name == "bench"
    bench.make_context("bench", arguments)


def test_the_benchmark_can_write_into_the_page(tmp_path: Path) -> None:
    copy = tmp_path / FILE.name
    shutil.copy(FILE, copy)
    update(copy, MEASURED)
    assert copy.read_text().split(BEGIN)[0] == PAGE.split(BEGIN)[0]
    assert copy.read_text().split(END)[1] == PAGE.split(END)[1]
