"""What the application is told of a request: its ASGI scope."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from helicone_gw.asgi.types import Scope
from helicone_gw.engines.http1.head import Request

Address = tuple[str, int]
OnDeparture = Callable[[Callable[[], None]], None]
WholeBody = Callable[[], bytes | None]
AnswerWhole = Callable[[int, Iterable[tuple[bytes, bytes]], bytes], None]

_ASGI = {"version": "3.0", "spec_version": "2.3"}


def http_scope(
    request: Request,
    head: bytes,
    on_departure: OnDeparture,
    whole_body: WholeBody,
    answer_whole: AnswerWhole,
    *,
    scheme: str,
    client: Address | None,
    server: Address | None,
    root_path: str,
    state: Mapping[str, Any],
) -> Scope:
    """The scope of ``request``, whose ``head`` came as it is.

    Extensions of ours: ``helicone_gw.head`` is that head, with its names in the client's case;
    ``helicone_gw.on_departure`` takes a function to call if the client leaves before the answer's end;
    ``helicone_gw.whole_body`` gives the body once, if all of it has come and ``receive`` has not told of any;
    ``helicone_gw.answer_whole`` sends an answer whose body is known whole, in place of two messages;
    ``helicone_gw.memory``, if the client may send the same head again (`RepeatedHead`), is a dictionary for what the
    application makes of it, which must not depend on ``Content-Length``: that is ``helicone_gw.length``.
    """
    target = request.target
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": request.version,
        "method": request.method,
        "scheme": scheme,
        "path": target.path,
        "raw_path": target.raw_path,
        "query_string": target.query,
        "root_path": root_path,
        "headers": request.fields,
        "client": client,
        "server": server,
        "state": dict(state),
        "extensions": {
            "helicone_gw.head": head,
            "helicone_gw.on_departure": on_departure,
            "helicone_gw.whole_body": whole_body,
            "helicone_gw.answer_whole": answer_whole,
            "helicone_gw.memory": request.memory,
            "helicone_gw.length": request.length,
        },
    }
