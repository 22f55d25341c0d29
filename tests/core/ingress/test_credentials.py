"""Whose request it is, and whose provider key: gateway key and provider credential told apart and taken out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helicone_gw.access import GatewayKey, KeyRing
from helicone_gw.errors import AuthenticationFailed
from helicone_gw.headers import Headers
from helicone_gw.ingress.credentials import MAX_CANDIDATES, Credentials, resolve
from helicone_gw.ingress.location import Location

ALICE = "alice-secret-0123456789"
BOB = "bob-secret-0123456789"
HELICONE = "sk-helicone-aaaaaaa-bbbbbbb-ccccccc-ddddddd"
PROVIDER = "sk-proj-0123456789"
SIGNED = "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b, Signature=c"


class Keys:
    """A key source over a dictionary of secret -> name; counts look-ups."""

    def __init__(self, *secrets: str, revoked: tuple[str, ...] = ()) -> None:
        self.secrets = secrets
        self.revoked = revoked
        self.asked: list[str] = []

    @property
    def configured(self) -> bool:
        return bool(self.secrets)

    async def lookup(self, secret: str) -> GatewayKey | None:
        self.asked.append(secret)
        return GatewayKey(id=secret[:3], name=secret[:3], owner="o") if secret in self.secrets else None

    async def knows(self, secret: str) -> bool:
        return secret in self.secrets or secret in self.revoked


def ring(*secrets: str) -> KeyRing:
    keys = KeyRing()
    keys.register(Keys(*secrets))
    return keys


def at(
    dialect: str = "openai", provider: str | None = None, path_key: str | None = None, target: bool = False
) -> Location:
    return Location(
        "gateway", dialect, "chat", "/v1/x", provider=provider, path_key=path_key, needs_target_url=target
    )  # fmt: skip


async def ask(
    headers: dict[str, str] | list[tuple[bytes, bytes]],
    *,
    keys: tuple[str, ...] = (ALICE, BOB),
    query: str = "",
    location: Location | None = None,
    metadata_auth: str | None = None,
) -> Credentials:
    return await resolve(location or at(), Headers(headers), query, ring(*keys), metadata_auth)


def name(found: Credentials) -> str | None:
    return found.key.name if found.key else None


def carried(found: Credentials) -> tuple[str, str, str] | None:
    credential = found.credential
    return (credential.header, credential.value, credential.provider) if credential else None


# Where a gateway key may be


@pytest.mark.parametrize(
    "headers",
    [
        {"Helicone-Auth": f"Bearer {ALICE}"},
        {"helicone-auth": f"bearer  {ALICE} "},
        {"Helicone-Auth": ALICE},
        {"Authorization": f"Bearer {ALICE}"},
        {"Authorization": ALICE},
        {"x-api-key": ALICE},
        {"x-api-key": f"Bearer {ALICE}"},
        {"api-key": ALICE},
        {"x-goog-api-key": ALICE},
        {"sec-websocket-protocol": f"realtime, openai-insecure-api-key.{ALICE}, openai-beta.realtime-v1"},
    ],
)
async def test_a_gateway_key_is_found_in_every_place(headers: dict[str, str]) -> None:
    found = await ask(headers)

    assert name(found) == "ali"
    assert found.credential is None
    assert ALICE not in str(found.headers.raw)


async def test_a_gateway_key_in_query_path_or_metadata() -> None:
    by_query = await ask({}, query=f"alt=sse&key={ALICE}&x=1")
    assert (name(by_query), by_query.query) == ("ali", "alt=sse&x=1")
    assert name(await ask({}, location=at(path_key=HELICONE), keys=(HELICONE,))) == "sk-"
    assert name(await ask({}, metadata_auth=f"Bearer {ALICE}")) == "ali"


async def test_a_real_header_wins_over_metadata() -> None:
    assert name(await ask({"Helicone-Auth": f"Bearer {BOB}"}, metadata_auth=f"Bearer {ALICE}")) == "bob"


ORDER = [
    ("helicone-auth", "Bearer {}"),
    ("authorization", "Bearer {}"),
    ("x-api-key", "{}"),
    ("api-key", "{}"),
    ("x-goog-api-key", "{}"),
    ("sec-websocket-protocol", "openai-insecure-api-key.{}"),
]


@pytest.mark.parametrize("earlier", range(len(ORDER) - 1))
async def test_the_first_place_in_order_wins(earlier: int) -> None:
    headers = {field: form.format(BOB) for field, form in reversed(ORDER[earlier + 1 :])}
    field, form = ORDER[earlier]
    headers[field] = form.format(ALICE)

    assert name(await ask(headers, query=f"key={BOB}" if earlier < 4 else "")) == "ali"


async def test_an_invalid_key_in_one_place_does_not_hide_a_valid_one_in_the_next() -> None:
    found = await ask({"Helicone-Auth": "Bearer stale", "Authorization": f"Bearer {ALICE}"})

    assert (name(found), found.credential) == ("ali", None)


async def test_the_path_key_comes_after_helicone_auth_and_before_authorization() -> None:
    location = at(path_key=HELICONE)
    both = (HELICONE, ALICE)
    assert name(await ask({"Helicone-Auth": f"Bearer {ALICE}"}, location=location, keys=both)) == "ali"
    assert name(await ask({"Authorization": f"Bearer {ALICE}"}, location=location, keys=both)) == "sk-"


@pytest.mark.parametrize("secret", ["a", "has space", "ключ-1", "comma, Bearer inside", "caf\xe9", "Basic abc"])
async def test_any_non_empty_string_may_be_a_key(secret: str) -> None:
    for field, form in ORDER[:5]:
        raw = [(field.encode(), form.format(secret).encode())]
        found = await ask(raw, keys=(secret,))
        assert found.key is not None
        assert found.credential is None


# Refusal


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {PROVIDER}"},
        {"Authorization": f"Basic {ALICE}"},
        {"Helicone-Auth": "Bearer nobody"},
        {"x-api-key": ALICE.upper()},
        {"x-other": ALICE},
    ],
)
async def test_without_a_valid_key_the_answer_is_401_and_says_what_is_accepted(headers: dict[str, str]) -> None:
    with pytest.raises(AuthenticationFailed) as refused:
        await ask(headers)

    assert refused.value.status == 401
    for place in ("Helicone-Auth", "Authorization", "x-api-key", "api-key", "x-goog-api-key"):
        assert place in refused.value.message
    assert refused.value.headers["WWW-Authenticate"].startswith("Bearer")
    assert not any(value and value in refused.value.message for value in (PROVIDER, "nobody"))


async def test_too_many_credentials_are_refused_before_any_lookup() -> None:
    source = Keys(ALICE)
    keys = KeyRing()
    keys.register(source)
    fields = [(b"x-api-key", b"guess-%d" % index) for index in range(MAX_CANDIDATES + 1)]

    with pytest.raises(AuthenticationFailed):
        await resolve(at(), Headers(fields), "", keys)
    assert source.asked == []


# The client's own provider credential


@pytest.mark.parametrize(
    ("headers", "carried_by", "value"),
    [
        ({"Authorization": f"Bearer {PROVIDER}"}, "authorization", f"Bearer {PROVIDER}"),
        ({"x-api-key": PROVIDER}, "x-api-key", PROVIDER),
        ({"api-key": PROVIDER}, "api-key", PROVIDER),
        ({"x-goog-api-key": PROVIDER}, "x-goog-api-key", PROVIDER),
        ({"x-api-key": "second", "Authorization": f"Bearer {PROVIDER}"}, "authorization", f"Bearer {PROVIDER}"),
        ({"sec-websocket-protocol": f"a,openai-insecure-api-key.{PROVIDER}"}, "authorization", f"Bearer {PROVIDER}"),
        ({"Authorization": SIGNED}, "authorization", SIGNED),
    ],
)
@pytest.mark.parametrize("how", ["helicone-auth", "path", "metadata", "open"])
async def test_a_credential_beside_the_key_is_for_the_implied_provider(
    how: str, headers: dict[str, str], carried_by: str, value: str
) -> None:
    if how == "helicone-auth":
        found = await ask({**headers, "Helicone-Auth": f"Bearer {ALICE}"})
    elif how == "path":
        found = await ask(headers, location=at(path_key=HELICONE), keys=(HELICONE,))
    elif how == "metadata":
        found = await ask(headers, metadata_auth=ALICE)
    else:
        found = await ask(headers, keys=())

    assert carried(found) == (carried_by, value, "openai")
    assert (found.key is None) == (how == "open")
    assert PROVIDER not in str(found.headers.raw)


async def test_a_credential_in_the_query_is_taken_out_of_it() -> None:
    found = await ask({}, keys=(), query="alt=sse&key=AIza%2Bx&b=%20", location=at("gemini"))

    assert carried(found) == ("?key", "AIza+x", "gemini")
    assert found.query == "alt=sse&b=%20"
    assert "AIza" not in repr(found)


@pytest.mark.parametrize(
    ("location", "implied"),
    [
        (at("openai"), "openai"),
        (at("anthropic"), "anthropic"),
        (at("gemini"), "gemini"),
        (at("openai", provider="groq"), "groq"),
        (at("cohere", provider="cohere"), "cohere"),
        (at("openai", target=True), ""),
    ],
)
async def test_the_implied_provider(location: Location, implied: str) -> None:
    found = await ask({"Authorization": f"Bearer {PROVIDER}"}, keys=(), location=location)

    assert found.credential is not None
    assert found.credential.provider == implied


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {PROVIDER}, Bearer {ALICE}",
        f"Bearer {ALICE}, Bearer {PROVIDER}",
        f"bearer {ALICE} ,bearer {PROVIDER}",
    ],
)
async def test_a_combined_authorization_splits_on_the_one_that_is_ours(value: str) -> None:
    found = await ask({"Authorization": value})

    assert name(found) == "ali"
    assert carried(found) == ("authorization", f"Bearer {PROVIDER}", "openai")


async def test_two_authorization_fields_are_the_combined_form() -> None:
    found = await ask(
        [(b"authorization", b"Bearer " + PROVIDER.encode()), (b"authorization", b"Bearer " + ALICE.encode())]
    )

    assert (name(found), carried(found)) == ("ali", ("authorization", f"Bearer {PROVIDER}", "openai"))


async def test_an_open_gateway_still_knows_helicones_own_keys_in_a_combined_authorization() -> None:
    found = await ask({"Authorization": f"Bearer {PROVIDER}, Bearer {HELICONE}"}, keys=())

    assert carried(found) == ("authorization", f"Bearer {PROVIDER}", "openai")


@pytest.mark.parametrize("field", ["x-api-key", "api-key", "x-goog-api-key"])
async def test_beside_a_key_in_authorization_nothing_else_is_a_credential(field: str) -> None:
    found = await ask({"Authorization": f"Bearer {ALICE}", field: PROVIDER})

    assert (name(found), found.credential) == ("ali", None)
    assert PROVIDER not in str(found.headers.raw)


@pytest.mark.parametrize(
    ("headers", "keys"),
    [
        ({"Helicone-Auth": f"Bearer {ALICE}", "Authorization": f"Bearer {ALICE}"}, (ALICE, BOB)),
        ({"Helicone-Auth": f"Bearer {ALICE}", "Authorization": f"Bearer {BOB}"}, (ALICE, BOB)),
        ({"Helicone-Auth": f"Bearer {ALICE}", "x-api-key": HELICONE}, (ALICE,)),
        ({"Helicone-Auth": "Bearer whatever"}, ()),
        ({"Authorization": f"Bearer {HELICONE}"}, ()),
        ({"x-api-key": "pk-helicone-x"}, ()),
        ({"Helicone-Auth": f"Bearer {ALICE}", "Authorization": "Bearer two, Bearer one"}, (ALICE, "two, Bearer one")),
        ({"Helicone-Auth": f"Bearer {ALICE}", "x-api-key": f"Bearer {ALICE}"}, (ALICE,)),
        ({"Helicone-Auth": f"Bearer {ALICE}", "Authorization": f"Basic {ALICE}"}, (ALICE,)),
    ],
)
async def test_what_is_or_looks_like_a_gateway_key_is_never_a_credential(
    headers: dict[str, str], keys: tuple[str, ...]
) -> None:
    found = await ask(headers, keys=keys)

    assert found.credential is None


async def test_a_credential_after_a_gateway_key_is_still_found() -> None:
    found = await ask({"Helicone-Auth": ALICE, "Authorization": f"Bearer {BOB}", "x-api-key": PROVIDER})

    assert carried(found) == ("x-api-key", PROVIDER, "openai")


async def test_a_credentials_value_keeps_its_bytes() -> None:
    found = await ask([(b"x-api-key", b"caf\xc3\xa9")], keys=())

    assert found.credential is not None
    assert found.credential.value.encode("latin-1") == b"caf\xc3\xa9"


async def test_no_secret_shows_in_a_representation() -> None:
    found = await ask({"Helicone-Auth": ALICE, "Authorization": f"Bearer {PROVIDER}"}, query=f"key={BOB}")

    assert not any(secret in repr(found) for secret in (ALICE, BOB, PROVIDER))


secrets_ = st.text("abcdefgh0123456789-", min_size=10, max_size=20)
forms = st.sampled_from(
    ["Bearer {0}", "Bearer {1}, Bearer {0}", "Bearer {0}, Bearer {1}", "{0}", "Basic {0}", "bearer {1},Bearer {0}"]
)  # fmt: skip


@given(
    ours=secrets_.map("gw-".__add__),
    theirs=secrets_.map("pr-".__add__),
    fields=st.lists(
        st.tuples(
            st.sampled_from(
                ["helicone-auth", "authorization", "x-api-key", "api-key", "x-goog-api-key", "referer", "x-a"]
            ),
            forms,
        ),
        max_size=4,
    ),
    in_query=st.booleans(),
    key_required=st.booleans(),
)
async def test_credentials_never_end_in_what_is_forwarded(
    ours: str, theirs: str, fields: list[tuple[str, str]], in_query: bool, key_required: bool
) -> None:
    raw = [(field.encode(), form.format(ours, theirs).encode()) for field, form in fields]
    query = f"a=1&key={ours}&b={ours}" if in_query else "a=1"
    try:
        found = await ask(raw, keys=(ours,) if key_required else (), query=query)
    except AuthenticationFailed:
        assert key_required
        return

    forwarded = str(found.headers.raw) + found.query
    credential_fields = {b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"}
    assert not credential_fields & {field for field, _ in found.headers.raw}
    assert "a=1" in found.query
    assert "key=" not in found.query
    if key_required:
        assert found.key is not None
        assert ours not in forwarded
        assert found.credential is None or ours not in found.credential.value


async def test_a_revoked_gateway_key_beside_a_valid_one_is_never_taken_for_a_providers() -> None:
    keys = KeyRing()
    keys.register(Keys("valid-key", revoked=("old-key",)))
    headers = Headers({"helicone-auth": "Bearer valid-key", "authorization": "Bearer old-key"})
    found = await resolve(at(), headers, "", keys)
    assert found.key is not None
    assert found.credential is None
    assert "authorization" not in found.headers
