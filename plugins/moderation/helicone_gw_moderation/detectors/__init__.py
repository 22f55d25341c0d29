"""Local detectors: rules as data, found in one pass, without I/O."""

from helicone_gw_moderation.detectors.base import MAX_FINDING, MAX_OVERLAP, Category, Detector, Finding

__all__ = ["MAX_FINDING", "MAX_OVERLAP", "Category", "Detector", "Finding"]
