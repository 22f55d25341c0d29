"""Messages: those of a WebSocket on their way both ways, through whoever asked to look at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

Message = str | bytes


class Passed(NamedTuple):
    """What goes on, to either side and in this order. ``close``: after that both are closed (1008), for this reason."""

    to_upstream: Sequence[Message] = ()
    to_client: Sequence[Message] = ()
    close: str | None = None


NOTHING = Passed()


class MessageFilter(Protocol):
    """Looks at the messages of one WebSocket; see `Exchange.filter_messages`. It must neither wait nor raise."""

    def from_client(self, message: Message) -> Passed:
        """The client said ``message``; what is for the client itself (an error) goes to it past everybody."""
        ...

    def from_upstream(self, message: Message) -> Passed:
        """The provider said ``message``."""
        ...

    def tick(self) -> Passed:
        """Time went by: ten times a second, whether anybody says anything or not."""
        ...

    def end(self) -> Passed:
        """The provider says nothing more."""
        ...


class Filters:
    """Several as one: what the client says goes inwards through them, what the provider says outwards."""

    def __init__(self, outermost_first: Sequence[MessageFilter]) -> None:
        self._filters = tuple(outermost_first)

    def from_client(self, message: Message) -> Passed:
        """See `MessageFilter.from_client`."""
        messages, to_client = [message], list[Message]()
        for each in self._filters:
            passed = [each.from_client(one) for one in messages]
            messages = [one for some in passed for one in some.to_upstream]
            to_client += (one for some in passed for one in some.to_client)
            if close := next((some.close for some in passed if some.close), None):
                return Passed((), to_client, close)
        return Passed(messages, to_client)

    def from_upstream(self, message: Message) -> Passed:
        """See `MessageFilter.from_upstream`."""
        return self._outwards(len(self._filters), [message], ())

    def tick(self) -> Passed:
        """See `MessageFilter.tick`."""
        return self._each(lambda one: one.tick())

    def end(self) -> Passed:
        """See `MessageFilter.end`."""
        return self._each(lambda one: one.end())

    def _each(self, ask: Callable[[MessageFilter], Passed]) -> Passed:
        out = NOTHING
        for index in reversed(range(len(self._filters))):
            own = ask(self._filters[index])
            further = self._outwards(index, own.to_client, own.to_upstream)
            close = own.close or further.close
            out = Passed((*out.to_upstream, *further.to_upstream), (*out.to_client, *further.to_client), close)
            if close:
                break
        return out

    def _outwards(self, index: int, messages: Sequence[Message], upstream: Sequence[Message]) -> Passed:
        to_upstream = list(upstream)
        for each in reversed(self._filters[:index]):
            passed = [each.from_upstream(one) for one in messages]
            messages = [one for some in passed for one in some.to_client]
            to_upstream += (one for some in passed for one in some.to_upstream)
            if close := next((some.close for some in passed if some.close), None):
                return Passed(to_upstream, messages, close)
        return Passed(to_upstream, messages)
