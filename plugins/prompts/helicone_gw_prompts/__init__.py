"""Prompts kept, versioned and filled in by the gateway: Helicone's templates and prompts, as files too."""
