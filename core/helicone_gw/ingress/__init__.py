"""Ingress: from the bytes of a request to where it goes and on whose account; pure functions, no I/O of their own."""
