"""Local detectors: rules as data, found in one pass, without I/O.

`configured` makes the detectors of a `DetectorsConfig`, the block ``detectors`` of the plugin's configuration.
"""

from helicone_gw_moderation.detectors.base import MAX_FINDING, MAX_OVERLAP, Category, Detector, Finding
from helicone_gw_moderation.detectors.config import DetectorsConfig, configured

__all__ = [
    "MAX_FINDING",
    "MAX_OVERLAP",
    "Category",
    "Detector",
    "DetectorsConfig",
    "Finding",
    "configured",
]
