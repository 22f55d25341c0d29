"""One row per exchange, whatever its outcome: requests, attempts, properties and bodies in SQLite or Postgres."""
