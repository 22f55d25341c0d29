"""The life of one exchange: down, converse, up, end. Knows no plugin, no web framework and no HTTP client."""

from helicone_gw.pipeline.lifecycle import Pipeline
from helicone_gw.pipeline.sink import Sink

__all__ = ["Pipeline", "Sink"]
