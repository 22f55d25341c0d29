"""Exact cost tracking: prices for every provider's models, overridable in YAML, in integer nano-dollars."""
