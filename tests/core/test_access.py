"""Permits, keys, and the credential that a client brought: who may what, and what never shows."""

from __future__ import annotations

import hashlib

import pytest

from helicone_gw import GatewayKey, KeyRing, PermissionDenied, Permits, ProviderCredential, Role, require_role


@pytest.mark.parametrize(
    ("patterns", "model", "allowed"),
    [
        (None, "gpt-4o", True),
        (("gpt-4o",), "gpt-4o", True),
        (("gpt-4*",), "gpt-4o-mini", True),
        (("gpt-4*",), "GPT-4o", False),
        (("gpt-4o",), "gpt-4o-mini", False),
        (("claude-*", "gpt-*"), "gpt-5", True),
        ((), "gpt-4o", False),
        (("gpt-4?",), "gpt-4o", True),
        (("org/*",), "org/model/one", True),
    ],
)
def test_models(patterns: tuple[str, ...] | None, model: str, allowed: bool) -> None:
    assert Permits(models=patterns).allows_model(model) is allowed


def test_a_request_without_a_model_is_not_stopped_by_models() -> None:
    assert Permits(models=("gpt-4o",)).allows_model(None)


def test_providers_and_paths() -> None:
    permits = Permits(providers=("openai", "azure-*"), paths=("/v1/chat/*", "/v1/models"))
    assert permits.allows_provider("azure-east")
    assert not permits.allows_provider("anthropic")
    assert permits.allows_path("/v1/chat/completions")
    assert not permits.allows_path("/v1/files")
    assert not Permits(providers=(), paths=()).allows_provider("openai")
    assert not Permits(paths=()).allows_path("/v1/models")
    assert Permits().allows_provider("anyone")
    assert Permits().allows_path("/any/where")


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (None, "", True),
        (("10.0.0.0/8",), "10.1.2.3", True),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", True),
        (("10.0.0.0/8",), "11.1.2.3", False),
        (("10.0.0.0/8",), "", False),
        (("10.0.0.0/8",), "localhost", False),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:db8::1", True),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("::/0",), "10.1.2.3", False),
        ((), "10.1.2.3", False),
        (("::ffff:10.1.0.0/112", "::/0"), "10.1.2.3", True),
        (("::ffff:10.1.0.0/112",), "::ffff:10.1.2.3", True),
        (("::ffff:10.1.0.0/112", "::/0"), "10.2.2.3", False),
    ],
)
def test_networks(networks: tuple[str, ...] | None, address: str, allowed: bool) -> None:
    assert Permits(networks=networks).allows_address(address) is allowed


def test_origins() -> None:
    permits = Permits(origins=("https://app.example.com",))
    assert permits.allows_origin("https://APP.example.com")
    assert not permits.allows_origin("https://app.example.com.evil.example")
    assert not permits.allows_origin("null")
    assert not permits.allows_origin(None)
    assert Permits().allows_origin(None)


def test_a_credential_never_shows_its_value() -> None:
    credential = ProviderCredential("authorization", "Bearer sk-secret", "openai")
    assert "sk-secret" not in repr(credential)
    assert credential.fingerprint == hashlib.sha256(b"Bearer sk-secret").hexdigest()
    assert credential.fingerprint != ProviderCredential("authorization", "Bearer sk-other").fingerprint


class Source:
    def __init__(self, *keys: str, known: tuple[str, ...] = ()) -> None:
        self.keys = keys
        self.known = known
        self.asked: list[str] = []

    @property
    def configured(self) -> bool:
        return bool(self.keys)

    async def lookup(self, secret: str) -> GatewayKey | None:
        self.asked.append(secret)
        return GatewayKey(f"id-of-{secret}", secret, "owner") if secret in self.keys else None

    async def knows(self, secret: str) -> bool:
        return secret in self.keys or secret in self.known


async def test_without_sources_nothing_is_required_and_nobody_is_known() -> None:
    ring = KeyRing()
    assert not ring.configured
    assert await ring.lookup("anything") is None
    assert not await ring.knows("anything")


async def test_the_first_source_that_has_a_key_answers() -> None:
    ring, empty, first, second = KeyRing(), Source(), Source("one"), Source("one", "two")
    for source in (empty, first, second):
        ring.register(source)
    assert ring.configured
    key = await ring.lookup("one")
    assert key is not None
    assert key.name == "one"
    assert second.asked == []
    assert await ring.lookup("two") is not None
    assert await ring.lookup("three") is None


async def test_a_key_that_was_one_once_is_still_known() -> None:
    ring = KeyRing()
    ring.register(Source("new"))
    ring.register(Source(known=("revoked",)))
    assert await ring.knows("revoked")
    assert await ring.lookup("revoked") is None
    assert not await ring.knows("sk-of-a-provider")


def test_a_source_without_keys_requires_none() -> None:
    ring = KeyRing()
    ring.register(Source())
    assert not ring.configured


@pytest.mark.parametrize(
    ("has", "needs", "passes"),
    [
        ("viewer", "viewer", True),
        ("viewer", "member", False),
        ("member", "viewer", True),
        ("member", "admin", False),
        ("admin", "admin", True),
        ("admin", "viewer", True),
    ],
)
def test_a_role_includes_what_stands_before_it(has: Role, needs: Role, passes: bool) -> None:
    key = GatewayKey(id="1", name="ci", owner="ci", role=has)
    if passes:
        require_role(key, needs)
    else:
        with pytest.raises(PermissionDenied, match="'ci' is"):
            require_role(key, needs)


def test_on_a_gateway_without_keys_everybody_may_do_everything() -> None:
    require_role(None, "admin")


def test_a_key_for_reading_is_a_viewers_whatever_its_role() -> None:
    key = GatewayKey(id="1", name="ci", owner="ci", role="admin", scope="read")
    require_role(key, "viewer")
    with pytest.raises(PermissionDenied, match="only reads"):
        require_role(key, "member")
