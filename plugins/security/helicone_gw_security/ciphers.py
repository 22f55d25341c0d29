"""Cipher: providers' keys as ciphertext for the database, bound to the row that they belong to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from helicone_gw import Secret, Unsealable

if TYPE_CHECKING:  # at run time only where keys are configured: it takes ten milliseconds and seven megabytes
    from cryptography.fernet import Fernet, MultiFernet


class Unreadable(Unsealable):
    """A ciphertext that none of the keys opens, or one that belongs to another row."""


class Cipher:
    """Encrypts with the first of ``keys`` and decrypts with every one of them (Fernet: AES-128-CBC and HMAC-SHA256).

    Raises `ValueError`, which does not show them, when one is no Fernet key.
    """

    def __init__(self, keys: Sequence[Secret]) -> None:
        from cryptography.fernet import MultiFernet

        self._fernet = MultiFernet([_fernet(key, number) for number, key in enumerate(keys, 1)])
        self._first = _fernet(keys[0], 1)

    def encrypt(self, secret: str, row: Sequence[str]) -> str:
        """``secret`` as ciphertext that only the row with this identity can be read from."""
        return self._fernet.encrypt(_plain(secret, row)).decode("ascii")

    def decrypt(self, ciphertext: str, row: Sequence[str]) -> str:
        """The secret. Raises `Unreadable`."""
        return _secret(self._opened(self._fernet, ciphertext), row)

    def renewed(self, ciphertext: str, row: Sequence[str]) -> str | None:
        """The same, encrypted with the first key; ``None`` when it is so already. Raises `Unreadable`."""
        try:
            _secret(self._opened(self._first, ciphertext), row)
        except Unreadable:
            return self.encrypt(self.decrypt(ciphertext, row), row)
        return None

    # What other plugins seal is told apart from providers' keys by its first word.

    def seal(self, secret: str, place: tuple[str, ...]) -> str:
        """See `helicone_gw.sealing.Sealer`."""
        return self.encrypt(secret, ("sealed", *place))

    def open(self, sealed: str, place: tuple[str, ...]) -> str:
        """See `helicone_gw.sealing.Sealer`."""
        return self.decrypt(sealed, ("sealed", *place))

    def reseal(self, sealed: str, place: tuple[str, ...]) -> str | None:
        """See `helicone_gw.sealing.Sealer`."""
        return self.renewed(sealed, ("sealed", *place))

    @staticmethod
    def _opened(fernet: Fernet | MultiFernet, ciphertext: str) -> bytes:
        from cryptography.fernet import InvalidToken

        try:
            return fernet.decrypt(ciphertext.encode("ascii", "replace"))
        except InvalidToken:
            raise Unreadable from None

    def __repr__(self) -> str:
        return "Cipher()"


def new_encryption_key() -> str:
    """A new key for `Cipher`: 32 random bytes in URL-safe base64."""
    from cryptography.fernet import Fernet

    return Fernet.generate_key().decode("ascii")


def check_encryption_key(key: Secret) -> Secret:
    """``key`` unchanged. Raises `ValueError`, which does not show it."""
    _fernet(key, None)
    return key


def _fernet(key: Secret, number: int | None) -> Fernet:
    from cryptography.fernet import Fernet

    try:
        return Fernet(key.get_secret_value().strip())
    except ValueError:
        which = "" if number is None else f" {number}"
        raise ValueError(
            f"encryption key{which} is not 32 bytes in URL-safe base64; `helicone-gw provider-keys new-encryption-key` "
            "makes one"
        ) from None


def _plain(secret: str, row: Sequence[str]) -> bytes:
    return json.dumps([*row, secret]).encode()


def _secret(plain: bytes, row: Sequence[str]) -> str:
    *identity, secret = json.loads(plain)
    if identity != list(row):
        raise Unreadable
    return str(secret)
