"""Targets that clients name: which may be called at all, and at which address."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence

import pytest

from helicone_gw.errors import BadRequest, ConfigError, UpstreamConnectError, UpstreamTimeout
from helicone_gw.upstream.addresses import AllowedTargets, CheckedTarget, check_target, kind_of, resolve_name
from helicone_gw.upstream.provider import Provider
from helicone_gw.upstream.providers import Catalogue

CATALOGUE = Catalogue.build({})
PUBLIC = "93.184.215.14"


class Resolver:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.addresses


async def check(
    url: str, *addresses: str, allowed: Sequence[str] = (), catalogue: Catalogue = CATALOGUE
) -> CheckedTarget:
    resolve = Resolver(*(addresses or (PUBLIC,)))
    return await check_target(url, catalogue=catalogue, allowed_targets=allowed, resolve=resolve)


async def refused(url: str, *addresses: str, allowed: Sequence[str] = (), catalogue: Catalogue = CATALOGUE) -> str:
    with pytest.raises(BadRequest) as caught:
        await check(url, *addresses, allowed=allowed, catalogue=catalogue)
    assert caught.value.code == "target_not_allowed"
    return caught.value.message


async def test_an_approved_domain_is_pinned_to_the_address_that_was_checked() -> None:
    target = await check("https://API.OpenAI.com.:443/v1/", PUBLIC, "1.1.1.1")
    assert target.url == "https://api.openai.com/v1"
    assert target.address == PUBLIC
    assert target.provider is CATALOGUE.get("openai")


async def test_a_suffix_domain_is_approved() -> None:
    target = await check("https://mine.openai.azure.com/openai")
    assert target.provider is CATALOGUE.get("azure")


async def test_what_is_not_approved_is_refused_without_asking_the_resolver() -> None:
    resolver = Resolver(PUBLIC)
    with pytest.raises(BadRequest) as caught:
        await check_target("https://evil.example/x", catalogue=CATALOGUE, resolve=resolver)
    assert "add evil.example:443 to server.allowed_targets" in caught.value.message
    assert resolver.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://api.openai.com",
        "https://api.openai.com:8443",
        "https://user@api.openai.com",
        "https://api.openai.com@evil.example",
        "https://api.openai.com\\@evil.example",
        "https://api.openai.com#@evil.example",
        "https://api.openai.com?x=1",
        "https://api.openai.com%00.evil.example",
        "https://api.openai.com/../x",
        "https://127.0.0.1",
        "https://2130706433",
        "https://0x7f.1",
        "https://0177.0.0.1",
        "https://127.1",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://169.254.169.254",
        "https://metadata.google.internal",
        "https://localhost",
        f"https://{PUBLIC}",
        "https://ⓐpi.openai.com",
        "ftp://api.openai.com",
        "nonsense",
    ],
)
async def test_refused(url: str) -> None:
    await refused(url)


async def test_plain_http_to_an_approved_domain_says_to_use_https() -> None:
    assert "use https" in await refused("http://api.openai.com")


INTERNAL = [
    "127.0.0.1",
    "127.8.8.8",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd00::1",
]
SPECIAL = [
    "0.0.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.1.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "2001:db8::1",
    "2001:0:53aa:64c::1",
    "2002:7f00:1::1",
    "::127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "3fff::1",
]


@pytest.mark.parametrize("address", [*INTERNAL, *SPECIAL, "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"])
async def test_an_approved_name_that_resolves_inside_is_refused(address: str) -> None:
    message = await refused("https://mine.openai.azure.com", address)
    assert "never called" in message
    assert "server.allowed_targets" in message


async def test_one_bad_address_among_good_ones_is_enough() -> None:
    await refused("https://api.openai.com", PUBLIC, "2606:4700::1", "127.0.0.1")


@pytest.mark.parametrize(
    "address", [PUBLIC, "1.1.1.1", "2606:4700::1111", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"]
)
async def test_ordinary_addresses_pass(address: str) -> None:
    assert kind_of(ipaddress.ip_address(address)) is None
    assert (await check("https://api.openai.com", address)).address == str(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", INTERNAL)
async def test_a_listed_name_may_be_inside(address: str) -> None:
    target = await check("https://llm.internal:8443/x", address, allowed=["llm.internal"])
    assert (target.address, target.provider) == (str(ipaddress.ip_address(address)), None)


@pytest.mark.parametrize("address", SPECIAL)
async def test_a_listed_name_does_not_reach_metadata_services_and_their_kin(address: str) -> None:
    await refused("https://llm.internal", address, allowed=["llm.internal", "*.internal", "llm.internal:443"])


async def test_unless_the_address_is_listed_too() -> None:
    await check("https://llm.internal", "169.254.10.10", allowed=["llm.internal", "169.254.10.10"])


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("llm.internal", "https://llm.internal"),
        ("llm.internal", "https://LLM.internal.:9443/v1"),
        ("llm.internal:8000", "http://llm.internal:8000"),
        ("llm.internal:8000", "https://llm.internal:8000"),
        ("llm.internal:443", "https://llm.internal"),
        ("http://llm.internal:8000", "http://llm.internal:8000/x"),
        ("https://llm.internal", "https://llm.internal"),
        ("*.internal", "https://a.b.internal"),
        ("localhost", "http://localhost:4010"),
        ("localhost:4010", "http://localhost:4010"),
        ("127.0.0.1:4010", "http://127.0.0.1:4010"),
        ("127.0.0.1", "http://127.0.0.1:4010"),
        ("http://127.0.0.1:4010", "http://127.0.0.1:4010"),
        ("[::1]:4010", "http://[::1]:4010"),
        ("::1", "http://[::1]:4010"),
        ("[::1]", "http://[::1]:4010"),
        ("10.1.0.0/16", "http://10.1.2.3:8000"),
        ("169.254.169.254", "http://169.254.169.254"),
        (" LLM.Internal/ ", "https://llm.internal"),
    ],
)
async def test_what_a_listed_target_allows(entry: str, url: str) -> None:
    await check(url, "10.1.2.3", allowed=[entry])


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("llm.internal", "http://llm.internal"),
        ("llm.internal:8000", "http://llm.internal:8001"),
        ("https://llm.internal", "http://llm.internal"),
        ("https://llm.internal", "https://llm.internal:8443"),
        ("*.internal", "https://internal"),
        ("*.internal", "https://evilinternal"),
        ("*.internal", "http://a.internal"),
        ("llm.internal", "https://llm.internal.evil.example"),
        ("127.0.0.1", "http://127.0.0.2"),
        ("127.0.0.1:4010", "http://127.0.0.1:4011"),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]"),
        ("10.1.0.0/16", "http://10.2.0.1"),
    ],
)
async def test_and_what_it_does_not(entry: str, url: str) -> None:
    await refused(url, allowed=[entry])


async def test_a_listed_network_admits_names_that_lie_wholly_in_it() -> None:
    await check("http://vllm:8000", "10.1.2.3", "10.1.9.9", allowed=["10.1.0.0/16"])
    await refused("http://vllm:8000", "10.1.2.3", "10.2.0.1", allowed=["10.1.0.0/16"])
    await refused("http://vllm:8000", PUBLIC, allowed=["10.1.0.0/16"])


@pytest.mark.parametrize(
    "entry",
    ["", "http://h/path", "ftp://h", "10.0.0.1/8", "10.1.0.0/99", "user@h", "*.127.0.0.1", "*.", "h:99999", "*"],
)
def test_an_entry_that_is_none_is_a_configuration_error(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.allowed_targets"):
        AllowedTargets([entry])


def local_provider(url: str) -> Catalogue:
    return Catalogue(
        [Provider(name="local", title="local", dialect="openai", base_url=url, auth="bearer", configured=True)]
    )


async def test_a_configured_providers_origin_is_allowed_wherever_it_is() -> None:
    catalogue = local_provider("http://127.0.0.1:9000/v1")
    target = await check("http://127.0.0.1:9000/v1", catalogue=catalogue)
    assert (target.address, target.provider) == ("127.0.0.1", catalogue.get("local"))
    named = local_provider("http://vllm:8000")
    assert (await check("http://vllm:8000", "172.20.0.3", catalogue=named)).address == "172.20.0.3"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9001", "https://127.0.0.1:9000", "http://localhost:9000"])
async def test_and_no_other_origin_of_its_host(url: str) -> None:
    await refused(url, "127.0.0.1", catalogue=local_provider("http://127.0.0.1:9000/v1"))


async def test_a_name_that_does_not_resolve() -> None:
    async def missing(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    for resolve in (missing, Resolver()):
        with pytest.raises(UpstreamConnectError, match="does not resolve"):
            await check_target("https://api.openai.com", catalogue=CATALOGUE, resolve=resolve)


async def test_a_resolver_that_hangs_is_given_up() -> None:
    async def hang(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(UpstreamTimeout):
        await check_target("https://api.openai.com", catalogue=CATALOGUE, resolve=hang, timeout=0.01)


async def test_the_systems_resolver_gives_addresses() -> None:
    assert "127.0.0.1" in await resolve_name("127.0.0.1", 80)
