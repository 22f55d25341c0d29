"""Names of the header fields in which answers say what the cache did."""

CACHE = "Helicone-Cache"
BUCKET = "Helicone-Cache-Bucket-Idx"
LATENCY = "Helicone-Cache-Latency"
KEY = "Helicone-Cache-Key"
REASON = "Helicone-Cache-Reason"
PARTS = "Helicone-Cache-Parts"
