"""Judges: who is asked for a verdict on texts, and how."""

from helicone_gw_moderation.judges.base import MOST_CATEGORIES, Judge, JudgeFailed, Verdict
from helicone_gw_moderation.judges.making import make_judge

__all__ = ["MOST_CATEGORIES", "Judge", "JudgeFailed", "Verdict", "make_judge"]
