"""``helicone-gw plugin new``: a plugin's distribution, ready to be installed, tested and changed."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import jinja2
import typer

from helicone_gw import registry

TEMPLATES = {
    "pyproject.toml.j2": "pyproject.toml",
    "README.md.j2": "README.md",
    "init.py.j2": "{package}/__init__.py",
    "plugin.py.j2": "{package}/plugin.py",
    "py.typed.j2": "{package}/py.typed",
    "test_plugin.py.j2": "tests/test_plugin.py",
}
"""Template -> file of the new distribution."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST_NAME = 40
TAKEN = frozenset({"core"})
"""Names whose distribution would be the gateway's own."""

plugin_app = typer.Typer(help="Write plugins.")


@plugin_app.callback()
def _root() -> None:
    """Write plugins."""


@plugin_app.command()
def new(
    name: Annotated[str, typer.Argument(help="The plugin's name in the YAML: lower-case words joined by '-'.")],
    directory: Annotated[Path | None, typer.Option(help="Where to write it; default: ./helicone-gw-NAME.")] = None,
) -> None:
    """Write a new plugin: a distribution with one hook, a README and a test that runs the conformance suite."""
    if _NAME.fullmatch(name) is None or len(name) > LONGEST_NAME:
        raise _refused(
            f"{name!r} is not a plugin name: use lower-case words joined by '-', such as audit-trail, "
            f"{LONGEST_NAME} characters at most."
        )
    if name in TAKEN or name in registry.installed():
        raise _refused(f"{name!r} is taken: a distribution of that name exists already.")
    target = directory or Path(f"helicone-gw-{name}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise _refused(f"{target} exists and is not an empty directory.")
    package = f"helicone_gw_{name.replace('-', '_')}"
    words = {
        "name": name,
        "package": package,
        "cls": "".join(word.capitalize() for word in name.split("-")) + "Plugin",
        "core_version": version("helicone-gw-core"),
    }
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("helicone_gw.commands", "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python and TOML, not HTML; every word is checked above
    )
    for template, path in TEMPLATES.items():
        file = target / path.format(package=package)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(environment.get_template(template).render(words), encoding="utf-8")
    typer.echo(f"Wrote {target}. Try it:\n\n  pip install -e '{target}[test]'\n  pytest {target}\n")
    typer.echo(f"Then name it in your configuration, outermost first:\n\n  plugins:\n    - {name}: {{greeting: hello}}")


def _refused(message: str) -> typer.Exit:
    typer.echo(message, err=True)
    return typer.Exit(2)
