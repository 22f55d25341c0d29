"""Conversation: requests and answers of any dialect as turns that people read."""

from helicone_gw_dashboard.conversation.reading import Conversation, read
from helicone_gw_dashboard.conversation.turns import Part, Turn

__all__ = ["Conversation", "Part", "Turn", "read"]
