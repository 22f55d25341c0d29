"""Wire bytes as providers write them, one module per dialect and operation.

Every module has ``reply`` (unary), ``error`` and ``answer`` (a function that answers as the request asks); those that
stream have ``stream`` and ``error_event``. What they are given is in the gateway's own terms: `helicone_gw.model.Usage`
(totals; ``None`` leaves it out) and `ToolCall`. Ids and times are constant.
"""

from __future__ import annotations

from helicone_gw.testing.dialects.content import ToolCall

__all__ = ["ToolCall"]
