"""Read-only SQL over the caller's own rows: what may be asked, and asking it within limits."""
