"""The fixtures of all tests: real servers of other projects."""

from tests.fixtures.redis_server import _shared_redis, own_redis_server, redis_server

__all__ = ["_shared_redis", "own_redis_server", "redis_server"]
