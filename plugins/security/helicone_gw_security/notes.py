"""Notes: what answers say was made at a provider, and lists of what is there without what is another's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from helicone_gw import GatewayError, Response, StashKey
from helicone_gw_security import objects_made
from helicone_gw_security.object_table import Made
from helicone_gw_security.objects import GOOGLES, in_path, is_list
from helicone_gw_security.own_keys import with_own_key

if TYPE_CHECKING:
    from helicone_gw import Chunk, Clock, Exchange, Request
    from helicone_gw_security.ledger import Ledger, Owners
    from helicone_gw_security.objects_config import ObjectsConfig

KEEPS_NOTHING: Final = frozenset(
    {
        "chat",
        "completions",
        "embeddings",
        "embed",
        "moderations",
        "rerank",
        "messages",
        "count_tokens",
        "generate_content",
        "stream_generate_content",
        "embed_content",
        "batch_embed_contents",
        "models",
        "converse",
        "invoke",
        "generate",
        "raw_chat",
        "fim",
    }
)
"""Operations of which a provider keeps nothing, but for a container or a completion that is to be stored."""

TRANSIENT: Final = ("resp_", "chatcmpl-", "cntr_", "container_", "rtc_")
TRANSIENT_DAYS: Final = 90
"""Ids of objects that providers keep for a while only, and how long they are remembered: providers say a month."""

LIST_LIMIT: Final = 100
"""Entries that are asked for where a list is filtered: the page would else be all another's too often."""

STREAMED: StashKey[list[str]] = StashKey("security.objects")
"""Ids that were noted of the stream that is under way; there only where it is watched."""

LIMIT: StashKey[int | None] = StashKey("security.limit")
"""How many entries the client wanted of a list that is filtered."""


class Unreadable(GatewayError):
    """A provider's list cannot be read, so nobody knows what in it is whose."""

    status = 502
    code = "list_not_readable"


class Notes:
    """Reads answers. What is noted is in the `Ledger` before the client has the answer."""

    def __init__(self, config: ObjectsConfig, ledger: Ledger, clock: Clock) -> None:
        self._config = config
        self._ledger = ledger
        self._clock = clock

    def listing(self, exchange: Exchange) -> Request | None:
        """The request for a list as it is asked for where the list is filtered afterwards."""
        request = exchange.request
        if request.operation in KEEPS_NOTHING or not is_list(request):
            return None
        limit, query = _with_limit(request.query)
        exchange.stash[LIMIT] = limit
        return request if query == request.query else request.replace(query=query)

    def watch(self, exchange: Exchange) -> None:
        """Have the answer shown to this plugin where it may tell of something that was made."""
        request = exchange.request
        operation, body = request.operation, request.body or b""
        if operation == "messages":
            watched = b'"code_execution' in body or b'"container"' in body or b'"skills"' in body
        elif operation == "chat":
            watched = b'"store"' in body
        else:
            watched = operation not in KEEPS_NOTHING
        if watched:
            exchange.read_answer()
            if request.stream or operation not in ("messages", "chat", "responses"):
                exchange.stash[STREAMED] = []
                exchange.watch_stream()

    async def answered(self, exchange: Exchange, response: Response) -> Response | None:
        """Filter a list; note what was made, before the client can use it."""
        request = exchange.request
        if not 200 <= response.status < 300 or not exchange.attempts or with_own_key(exchange):
            return None
        if is_list(request) and request.operation not in KEEPS_NOTHING:
            return await self._filtered(exchange, response) if LIMIT in exchange.stash else None
        provider = exchange.attempts[-1].target.provider
        path = in_path(request)
        if request.method == "DELETE":
            if path and request.path.rstrip("/").endswith(path[0]):
                await self._ledger.forget(provider, path[0], exchange.organization)
            return None
        if response.streamed or not response.body:
            return None
        answer = objects_made.decoded(response.body)
        if answer is None:
            return None
        noted = False
        if request.method == "POST" and not path and request.operation not in KEEPS_NOTHING - {"chat"}:
            made = objects_made.made(request, answer)
            if made is not None:
                # A name of Google's may be given anew; any other id is its first maker's: a client may have chosen it.
                self._note(exchange, provider, made, certain=request.dialect in GOOGLES)
                noted = request.operation not in ("chat", "responses")
        if self._config.unknown == "refuse":  # else it may be the child of what is nobody's
            for name in objects_made.told(answer):
                self._note(exchange, provider, name, certain=False)
                noted = noted or request.operation not in ("responses", "messages", "chat")
        if noted:
            await self._ledger.settle()
        return None

    def event(self, exchange: Exchange, chunk: Chunk) -> None:
        """Note what an event of a stream says was made."""
        noted = exchange.stash.get(STREAMED)
        if noted is None or chunk.kind != "event" or not exchange.attempts or with_own_key(exchange):
            return
        data = chunk.data
        # The first event that names anything, and later those alone that may name something else.
        if noted and b'"container' not in data and b'"file_id"' not in data and b'"thread.run"' not in data:
            return
        value = chunk.json
        provider = exchange.attempts[-1].target.provider
        for name in objects_made.told(value):
            if name not in noted:
                noted.append(name)
                self._note(exchange, provider, name, certain=False)

    def _note(self, exchange: Exchange, provider: str, name: str, *, certain: bool) -> None:
        now = self._clock.now()
        ends_at = now + TRANSIENT_DAYS * 86_400 if name.startswith(TRANSIENT) else None
        self._ledger.note(Made(provider, name, exchange.organization, now, certain, ends_at))

    async def _filtered(self, exchange: Exchange, response: Response) -> Response:
        answer = None if response.streamed else objects_made.decoded(response.body)
        listed = None if answer is None else objects_made.entries(answer)
        if listed is None:
            raise Unreadable("The provider's list cannot be read, and other organisations' objects may be in it.")
        provider = exchange.attempts[-1].target.provider
        owners = await self._ledger.owners({name for each in listed if (name := objects_made.id_of(each)) is not None})
        keep = self._keep(exchange.organization, provider, owners)
        body = objects_made.without(answer, keep, exchange.stash.get(LIMIT))
        headers = response.headers.without("content-length", "content-encoding", "etag")
        return response.replace(body=body, headers=headers)

    def _keep(self, organization: str, provider: str, owners: Owners) -> Callable[[Any], bool]:
        unknown = self._config.may_use_unknown(organization)

        def keep(entry: Any) -> bool:
            if isinstance(entry, dict) and entry.get("source") == "anthropic":
                return True  # a skill that is everybody's
            owner = owners.get(objects_made.id_of(entry) or "", {}).get(provider)
            return unknown if owner is None else owner == organization

        return keep


def _with_limit(query: str) -> tuple[int | None, str]:
    """What a query says of how many entries are wanted, and the same query with `LIST_LIMIT` in its place."""
    pairs: Sequence[str] = query.split("&") if query else ()
    for place, pair in enumerate(pairs):
        name, _, value = pair.partition("=")
        if name in ("limit", "pageSize", "page_size") and value.isdigit() and 0 < len(value) < 7:
            limit = int(value)
            if limit >= LIST_LIMIT:
                return limit, query
            return limit, "&".join([*pairs[:place], f"{name}={LIST_LIMIT}", *pairs[place + 1 :]])
    return None, query
