"""Limits and budgets: requests, tokens and dollars per user, key, property, route or model, exact over many workers."""
