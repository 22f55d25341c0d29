"""Alerts, webhooks and online evaluators over what the gateway logs."""
