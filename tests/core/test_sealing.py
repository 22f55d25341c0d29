"""Secrets of plugins are sealed by whoever has the key for that."""

from __future__ import annotations

import pytest

from helicone_gw import Unsealable
from helicone_gw.sealing import Sealing
from helicone_gw.testing import GatewayFactory
from helicone_gw_security.ciphers import new_encryption_key


def test_without_a_key_nothing_is_sealed_and_nothing_pretends_to_be() -> None:
    sealing = Sealing()
    assert not sealing.available
    for use in (sealing.seal, sealing.open, sealing.reseal):
        with pytest.raises(Unsealable, match="encryption_keys"):
            use("secret", "alerts", "1")


async def test_security_seals_for_one_place_and_opens_after_a_rotation(gateway: GatewayFactory) -> None:
    old, new = new_encryption_key(), new_encryption_key()
    async with gateway([{"security": {"encryption_keys": [old]}}]) as running:
        sealing = running.gateway.sealing
        sealed = sealing.seal("hook-secret", "alerts", "one", "1")
        assert "hook-secret" not in sealed
        assert sealing.open(sealed, "alerts", "one", "1") == "hook-secret"
        for place in (("alerts", "two", "1"), ("alerts", "one"), ("one", "1")):
            with pytest.raises(Unsealable):
                sealing.open(sealed, *place)
        assert sealing.reseal(sealed, "alerts", "one", "1") is None
    async with gateway([{"security": {"encryption_keys": [new, old]}}]) as running:
        sealing = running.gateway.sealing
        resealed = sealing.reseal(sealed, "alerts", "one", "1")
        assert resealed is not None
    async with gateway([{"security": {"encryption_keys": [new]}}]) as running:
        assert running.gateway.sealing.open(resealed, "alerts", "one", "1") == "hook-secret"
        with pytest.raises(Unsealable):
            running.gateway.sealing.open(sealed, "alerts", "one", "1")
