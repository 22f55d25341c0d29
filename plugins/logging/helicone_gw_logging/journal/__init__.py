"""What must survive the process, on the disk before a client has its answer."""
