"""``python -m helicone_gw``."""

from helicone_gw.cli import main

if __name__ == "__main__":
    main()
