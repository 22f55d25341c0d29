"""``helicone-gw moderation``: how good the local detectors are, from the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ruamel.yaml.error import YAMLError

from helicone_gw import ConfigError
from helicone_gw_moderation.detectors import Detector
from helicone_gw_moderation.detectors.detector import build_detectors

BEGIN = "<!-- measured: begin -->"
END = "<!-- measured: end -->"
"""Between these two lines a file has what ``measure`` prints."""


def commands() -> typer.Typer:
    """The ``moderation`` command group."""
    group = typer.Typer(help="What may be said.", no_args_is_help=True)

    @group.callback()
    def root() -> None:
        """What may be said."""

    @group.command()
    def measure(
        corpus: Annotated[Path, typer.Argument(help="The directory of the corpus.", exists=True, file_okay=False)],
        write: Annotated[
            Path | None, typer.Option(help="Put the tables between the markers of this file.", dir_okay=False)
        ] = None,
        promptbadger: Annotated[bool, typer.Option(help="Measure promptbadger beside our rules.")] = True,
    ) -> None:
        """Measure the detectors that come with the plugin over CORPUS; print precision and recall."""
        try:
            text = measured(corpus, promptbadger=promptbadger)
            if write is not None:
                write.write_text(between(write.read_text("utf-8"), text), "utf-8")
        except (ConfigError, OSError, YAMLError, KeyError, ValueError) as problem:
            typer.echo(f"{type(problem).__name__}: {problem}", err=True)
            raise typer.Exit(2) from None
        typer.echo(text, nl=False)

    return group


def measured(corpus: Path, *, promptbadger: bool = True) -> str:
    """The tables over the corpus in this directory, in Markdown."""
    from helicone_gw_moderation.detectors.badger import PromptbadgerDetector
    from helicone_gw_moderation.measuring.corpus import load
    from helicone_gw_moderation.measuring.hiding import HIDINGS
    from helicone_gw_moderation.measuring.table import measure, render

    detectors: list[Detector] = list(build_detectors())
    if promptbadger:
        detectors.append(PromptbadgerDetector())
    return render(measure(detectors, load(corpus)), HIDINGS)


def between(text: str, tables: str) -> str:
    """``text`` with ``tables`` between its markers. Raises `ValueError` when it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the file has no markers for the tables")
    return f"{before}{BEGIN}\n\n{tables}\n{END}{after}"
