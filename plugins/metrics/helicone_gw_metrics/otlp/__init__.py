"""OpenTelemetry: traces and metrics over OTLP, in the background. Needs the extra ``otlp``."""
