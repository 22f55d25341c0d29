"""Secrets that a command gives: ${command:...} without a shell, ${shell:...} with one."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from helicone_gw.config import programs
from helicone_gw.config.references import Resolver

PATH = {"PATH": os.environ["PATH"], "TOKEN": "from-the-environment"}


@pytest.fixture
def resolver(tmp_path: Path) -> Resolver:
    return Resolver(PATH, tmp_path)


def python(code: str) -> str:
    return f"${{command:{shlex.quote(sys.executable)} -c {shlex.quote(code)}}}"


def test_what_a_command_writes_takes_the_place_of_the_reference(resolver: Resolver) -> None:
    resolved = resolver.resolve("Bearer ${command:printf %s 'a secret'}")
    assert (resolved.text, resolved.problems) == ("Bearer a secret", ())
    assert resolved.values == (("a secret", "${command:printf %s 'a secret'}"),), "messages show what was written"


def test_no_shell_reads_a_command(resolver: Resolver) -> None:
    assert (
        resolver.resolve("${command:echo $TOKEN; echo x | cat > /dev/null}").text == "$TOKEN; echo x | cat > /dev/null"
    )


def test_a_shell_does_where_it_is_asked_for(resolver: Resolver) -> None:
    assert resolver.resolve('${shell:printf %s "$TOKEN" | tr a-z A-Z}').text == "FROM-THE-ENVIRONMENT"


def test_it_runs_beside_the_configuration_with_an_empty_input(resolver: Resolver, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("in the file\n")
    assert resolver.resolve("${command:cat key}").text == "in the file"
    assert resolver.resolve("${command:cat}").text == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("${command:no-such-program-anywhere --key}", "cannot run the command 'no-such-program-anywhere'"),
        ("${command:false}", "the command 'false' ended with status 1"),
        ("${shell:exit 3}", "the shell command ended with status 3"),
        ("${command:printf 'x}", "a quotation mark without its other half"),
        ("${command: }", "a reference is"),
        ("${command:''}", "cannot run the command"),
        (r"${command:printf '\377'}", "is not UTF-8 text"),
    ],
)
def test_what_goes_wrong_is_told_without_what_was_written(resolver: Resolver, text: str, problem: str) -> None:
    (told,) = resolver.resolve(text).problems
    assert problem in told


def test_neither_output_nor_error_is_part_of_a_message(resolver: Resolver) -> None:
    code = "import sys; print('s3cret'); print('s3cret', file=sys.stderr); sys.exit(2)"
    (told,) = resolver.resolve(python(code)).problems
    assert "s3cret" not in told


@pytest.mark.parametrize("script", ["sleep 600 & echo $! > child; wait", "sleep 600 & echo $! > child"])
def test_one_that_never_ends_is_killed_with_its_children(
    resolver: Resolver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(programs, "TIME_LIMIT", 0.5)
    (told,) = resolver.resolve(f"${{shell:{script}}}").problems
    assert "took longer than 0.5 seconds" in told
    child = Path(f"/proc/{int((tmp_path / 'child').read_text())}/stat")
    for _ in range(500):
        if not child.exists() or child.read_text().rpartition(")")[2].split()[0] in "ZX":
            break
        time.sleep(0.01)
    else:
        pytest.fail("what the command started still runs")


def test_one_that_closes_its_output_and_goes_on_is_killed(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "TIME_LIMIT", 0.3)
    (told,) = resolver.resolve("${shell:exec >&-; sleep 600}").problems
    assert "took longer" in told


def test_one_that_writes_without_end_is_killed(resolver: Resolver) -> None:
    (told,) = resolver.resolve("${command:yes}").problems
    assert told == "the command 'yes' writes more than 64 KiB"
