"""A server for plain HTTP/1.1 on ``asyncio.Protocol`` and httptools; it calls the ASGI application directly."""
