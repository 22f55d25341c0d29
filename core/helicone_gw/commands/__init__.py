"""The subcommands of ``helicone-gw``, a module each."""
