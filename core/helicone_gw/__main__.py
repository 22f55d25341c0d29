"""``python -m helicone_gw``."""

from helicone_gw_script import main

if __name__ == "__main__":
    main()
