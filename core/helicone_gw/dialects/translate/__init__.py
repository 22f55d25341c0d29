"""Translation between dialects: each is read into, and written from, one neutral form; pure functions over bytes."""
