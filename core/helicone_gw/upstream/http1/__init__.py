"""HTTP/1.1 towards providers: requests and replies as bytes, connections that carry them, the pool that keeps these."""
