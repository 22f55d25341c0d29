"""Prometheus at /metrics, OpenTelemetry traces and metrics, Server-Timing."""
