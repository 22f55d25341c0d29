"""The REST API of administrators: gateway keys, providers' keys, users, organisations, and the audit log."""
