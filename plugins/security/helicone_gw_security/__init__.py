"""Who may call: gateway keys with permits and expiry, in YAML or in the database."""
