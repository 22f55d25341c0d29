"""Local detectors: rules as data, found in one pass, without I/O."""

from helicone_gw_moderation.detectors.base import MAX_FINDING, MAX_OVERLAP, Category, Detector, Finding
from helicone_gw_moderation.detectors.detector import build_detectors
from helicone_gw_moderation.detectors.rules import BUILT_IN, Pack, read_file

__all__ = [
    "BUILT_IN",
    "MAX_FINDING",
    "MAX_OVERLAP",
    "Category",
    "Detector",
    "Finding",
    "Pack",
    "build_detectors",
    "read_file",
]
