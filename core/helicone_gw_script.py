"""The script ``helicone-gw``. It stands outside the package, whose import is what it makes cheaper."""

from __future__ import annotations

import gc


def main() -> None:
    """Import the program with the cyclic garbage collector paused, and run it.

    Importing makes a million objects that stay and no garbage, and the collector would walk them again and again: that
    was a seventh of the time to the first answer.
    """
    gc.disable()
    from helicone_gw.cli import main as run

    gc.freeze()
    gc.enable()
    run()
