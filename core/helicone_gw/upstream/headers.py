"""Header fields towards a provider and back: credentials in the provider's own style, nothing that ends at a hop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from helicone_gw.access import ProviderCredential
from helicone_gw.dialects.translate.translation import Translation
from helicone_gw.headers import ByNames, Headers, Picker, Selection, name_of, picking, value_of
from helicone_gw.upstream.provider import Provider

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that belong to one connection (RFC 9110 section 7.6.1), beside those that ``Connection`` names."""

CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
"""Fields in which a provider's key may travel."""

_NOT_FORWARDED = HOP_BY_HOP | CREDENTIALS | {b"host", b"content-length", b"expect"}
_OURS = b"helicone-"


def upstream_headers(
    request_headers: Headers,
    provider: Provider | None,
    *,
    credential: ProviderCredential | None = None,
    configured_key: str | None = None,
    extra: Mapping[str, str] | None = None,
    accept_encoding: bytes | None = None,
) -> Headers:
    """The fields of a call to ``provider``: the client's, with at most one credential and the provider's own fields.

    The client's ``credential``, if the caller found that it is meant for this provider, goes in the field that it came
    in (one from the query in the provider's style). Otherwise ``configured_key`` goes in the provider's style;
    "query-key" has no field (see `urls.with_query_key`). ``extra`` wins over ``provider.headers``, which win over the
    client's, which win over ``provider.default_headers``. ``provider`` is ``None`` for a listed target that belongs to
    no known one. ``Host`` and the framing are left to the transport; ``accept_encoding`` stands in place of any
    ``Accept-Encoding``, which passes otherwise.
    """
    # What is ours to say of the coding stands in place of what the client said.
    fields = list((_TRAVELLING if accept_encoding is None else _TRAVELLING_UNCODED)(request_headers))
    if b"connection" in request_headers.first:
        listed = _listed_by_connection(request_headers.raw)
        fields = [field for field in fields if field[0] not in listed]
    if provider is not None and provider.default_headers:
        present = {name for name, _ in fields}
        fields.extend(
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in provider.default_headers.items()
            if name.encode("latin-1") not in present
        )
    carried = _credential_field(provider, credential, configured_key)
    if carried is not None:
        fields.append(carried)
    for added in (None if provider is None else provider.headers, extra):
        if added:
            replaced = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in added.items()}
            fields = [field for field in fields if field[0] not in replaced]
            fields.extend(replaced.items())
    if accept_encoding is not None:
        if extra or (provider is not None and (provider.headers or provider.default_headers)):
            fields = [field for field in fields if field[0] != b"accept-encoding"]
        fields.append((b"accept-encoding", accept_encoding))
    return Headers.of_lower_case(fields)


def translated_request_headers(headers: Headers, translation: Translation, stream: bool) -> Headers:
    """The fields of a call whose body was written in another dialect than the client's.

    Fields that belong to an API (``openai-organization``, ``anthropic-version``, ``x-goog-user-project``) go to that
    API only, and what the client said of its own body is no longer true.
    """
    foreign = tuple(prefix for dialect, prefix in _OF_AN_API if dialect != translation.dialect)
    fields = [
        field
        for field in headers.raw
        if field[0] in CREDENTIALS or not (field[0].startswith(foreign) or field[0] in _OF_THE_BODY)
    ]
    own = {
        "content-type": "application/json",
        "accept-encoding": "identity" if stream else "gzip, deflate",
        **{name.lower(): value for name, value in translation.outgoing.headers.items()},
    }
    names = {name.encode("latin-1") for name in own}
    fields = [field for field in fields if field[0] not in names]
    fields += ((name.encode("latin-1"), value.encode("latin-1")) for name, value in own.items())
    return Headers.of_lower_case(fields)


_OF_AN_API = (("openai", b"openai-"), ("anthropic", b"anthropic-"), ("gemini", b"x-goog-"))
_OF_THE_BODY = frozenset({b"content-type", b"content-encoding", b"content-md5", b"digest", b"accept-encoding"})


_TRAVELLING = Selection(lambda name: not (name in _NOT_FORWARDED or name.startswith(_OURS)))
"""A client's fields that go to a provider as they are."""
_TRAVELLING_UNCODED = Selection(
    lambda name: not (name in _NOT_FORWARDED or name.startswith(_OURS) or name == b"accept-encoding")
)


def _credential_field(
    provider: Provider | None, credential: ProviderCredential | None, configured_key: str | None
) -> tuple[bytes, bytes] | None:
    if credential is not None:
        if credential.header.startswith("?"):
            return _in_style(provider, credential.value)
        return credential.header.lower().encode("latin-1"), credential.value.encode("latin-1")
    return None if configured_key is None else _in_style(provider, configured_key)


def _in_style(provider: Provider | None, key: str) -> tuple[bytes, bytes] | None:
    value = key.encode("latin-1")
    match "bearer" if provider is None else provider.auth:
        case "bearer":
            return b"authorization", b"Bearer " + value
        case "x-api-key" | "api-key" | "x-goog-api-key" as name:
            return name.encode("ascii"), value
        case "google":
            # Google's OAuth access tokens begin with "ya29."; anything else is an API key.
            return (b"authorization", b"Bearer " + value) if key.startswith("ya29.") else (b"x-goog-api-key", value)
        case "query-key" | "none":
            return None


def response_headers(raw: Sequence[tuple[bytes, bytes]], *, content_length: bool = False) -> Headers:
    """The fields of a provider's answer that go on to the client: all but what belongs to the connection.

    Also dropped is whatever is named ``helicone-*``: those are the gateway's to say. ``Content-Length`` is kept only
    if the caller says so, who knows whether the body stays as it is.
    """
    passing, lower, connected = _passing(tuple(map(name_of, raw)), content_length)
    fields = zip(lower, map(value_of, passing(raw)), strict=True)
    if connected:
        listed = _listed_by_connection([(name.lower(), value) for name, value in raw])
        return Headers.of_lower_case([field for field in fields if field[0] not in listed])
    made = Headers.of_lower_case(fields)
    made.names = lower
    return made


@ByNames
def _passing(names: tuple[bytes, ...], content_length: bool) -> tuple[Picker, tuple[bytes, ...], bool]:
    """What picks the fields that go on to the client from those of these names, the picked names in lower case, and
    whether there is a ``Connection`` among all of them."""
    lowered = [name.lower() for name in names]
    places = [
        place
        for place, name in enumerate(lowered)
        if not (name in HOP_BY_HOP or name.startswith(_OURS) or (name == b"content-length" and not content_length))
    ]
    return picking(places, len(names)), tuple([lowered[place] for place in places]), b"connection" in lowered


def _listed_by_connection(fields: Sequence[tuple[bytes, bytes]]) -> frozenset[bytes]:
    return frozenset(
        option.strip().lower() for name, value in fields if name == b"connection" for option in value.split(b",")
    )
