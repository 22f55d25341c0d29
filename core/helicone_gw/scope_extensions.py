"""Extensions of a scope that a server of the gateway's own offers; an application does without what is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from helicone_gw.headers import RawHeaders

HEAD: Final = "helicone_gw.head"
"""``bytes``: the request's head as it came, its names in the client's case."""

ON_DEPARTURE: Final = "helicone_gw.on_departure"
"""`OnDeparture`: takes a function to call if the client leaves before the answer is over."""

WHOLE_BODY: Final = "helicone_gw.whole_body"
"""`WholeBody`: the request's body, once, if all of it has come and ``receive`` has not told of any; else ``None``."""

ANSWER_WHOLE: Final = "helicone_gw.answer_whole"
"""`AnswerWhole`: sends an answer whose body is known whole, in place of the two messages."""

MEMORY: Final = "helicone_gw.memory"
"""`Memory` for what the application makes of a head that its client may send again, or ``None``. It lives as long as
the client repeats itself; nothing in it may depend on the body, or on ``Content-Length``, which alone may differ."""

LENGTH: Final = "helicone_gw.length"
"""``int | None``: the request's ``Content-Length``."""

OnDeparture = Callable[[Callable[[], None]], None]
WholeBody = Callable[[], bytes | None]
AnswerWhole = Callable[[int, RawHeaders, bytes], None]
Memory = dict[object, Any]
