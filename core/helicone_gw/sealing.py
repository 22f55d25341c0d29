"""Sealing: secrets of plugins, encrypted for the database by whoever has the key for that."""

from __future__ import annotations

from typing import Protocol


class Unsealable(Exception):
    """Nothing can seal or open it: there is no key, none that opens it, or it was sealed for another place."""


class Sealer(Protocol):
    """Something that encrypts: the ``security`` plugin with ``encryption_keys``, or any other."""

    def seal(self, secret: str, place: tuple[str, ...]) -> str:
        """``secret`` as printable text that can be opened for this ``place`` alone."""

    def open(self, sealed: str, place: tuple[str, ...]) -> str:
        """The secret. Raises `Unsealable`."""

    def reseal(self, sealed: str, place: tuple[str, ...]) -> str | None:
        """The same with the newest key; ``None`` when it is so already. Raises `Unsealable`."""


class Sealing:
    """Seals and opens secrets. ``place`` says whose one is ("alerts", organisation, id), and opens no other."""

    def __init__(self) -> None:
        self._sealer: Sealer | None = None

    def use(self, sealer: Sealer) -> None:
        """Let ``sealer`` do it from now on; called in a plugin's ``startup``."""
        self._sealer = sealer

    @property
    def available(self) -> bool:
        """Whether anything can be sealed."""
        return self._sealer is not None

    def seal(self, secret: str, *place: str) -> str:
        """``secret``, encrypted. Raises `Unsealable` where nothing is available."""
        return self._used().seal(secret, place)

    def open(self, sealed: str, *place: str) -> str:
        """The secret that was sealed for ``place``. Raises `Unsealable`."""
        return self._used().open(sealed, place)

    def reseal(self, sealed: str, *place: str) -> str | None:
        """The same with the newest key, ``None`` when it is so already. Raises `Unsealable`."""
        return self._used().reseal(sealed, place)

    def _used(self) -> Sealer:
        if self._sealer is None:
            raise Unsealable("no key for it is configured (security.encryption_keys)")
        return self._sealer
