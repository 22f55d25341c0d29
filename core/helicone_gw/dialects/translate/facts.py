"""TranslatedReader: what a provider's stream says, for a core that has to end another dialect's."""

from __future__ import annotations

from collections.abc import Callable

from helicone_gw.dialects.base import EventFacts, StreamReader
from helicone_gw.dialects.translate.streaming import StreamTranslator
from helicone_gw.model import Usage


class TranslatedReader:
    """The facts of a provider's stream, and what the client's would need to be closed or to fail."""

    def __init__(self, facts: StreamReader, translator: StreamTranslator) -> None:
        self._facts = facts
        self._translator = translator
        self.feed: Callable[[bytes], EventFacts] = facts.feed
        """See `StreamReader.feed` of `dialects.base`: the provider's events."""

    @property
    def ends_with(self) -> tuple[bytes, ...]:
        """Those of the provider's dialect."""
        return self._facts.ends_with

    @property
    def model(self) -> str | None:
        """The provider's name of the model."""
        return self._facts.model

    @property
    def stop_reason(self) -> str | None:
        """The provider's word for why it stopped."""
        return self._facts.stop_reason

    @property
    def complete(self) -> bool:
        """Whether the end of the provider's dialect was seen."""
        return self._facts.complete

    @property
    def finished(self) -> bool:
        """Whether nothing is missing if the provider's stream ends here."""
        return self._facts.finished

    @property
    def usage(self) -> Usage | None:
        """Usage as the provider reported it."""
        return self._facts.usage

    @property
    def sequence(self) -> int:
        """Number of the client's next event."""
        return self._translator.sequence

    def repeated(self, events: bytes, start: int = 0) -> int:
        """None: a translated event differs from the one that was read."""
        return 0

    def closing_events(self, reason: str) -> bytes:
        """What ends the client's stream."""
        return self._translator.closing_events(reason)
