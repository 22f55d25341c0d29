"""The dashboard: what happens in the gateway, in a browser."""
