"""The REST API over the log: paths, bodies and envelopes of Helicone's own (its service "jawn")."""
