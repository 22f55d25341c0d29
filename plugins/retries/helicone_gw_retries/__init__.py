"""Retries with full jitter, ``Retry-After``, and a budget against storms."""
