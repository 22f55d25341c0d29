"""The gateway's own paths, straight on ASGI: dispatched before the web framework makes a request context."""
