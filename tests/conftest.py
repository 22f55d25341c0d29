"""The fixtures of all tests: real servers of other projects."""

from tests.fixtures.postgres_server import _shared_postgres, own_postgres_server, postgres_url
from tests.fixtures.redis_server import _shared_redis, own_redis_server, redis_server

__all__ = [
    "_shared_postgres",
    "_shared_redis",
    "own_postgres_server",
    "own_redis_server",
    "postgres_url",
    "redis_server",
]
