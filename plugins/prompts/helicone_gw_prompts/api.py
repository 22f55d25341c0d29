"""The REST API of prompts, ``/v1/prompt-2025`` and ``/v2/prompt-2025``: ``{"data": ..., "error": null}``.

In ``/v2`` a version comes with its body, in ``/v1`` with a URL (``s3_url``) to fetch it from. Everything is the
organization's of the caller; members edit, viewers read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from quart import Blueprint, Response, current_app, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import RequestEntityTooLarge

from helicone_gw import Audit, GatewayError, GatewayKey, caller, path_prefix, require_role
from helicone_gw_prompts import reading, schemas
from helicone_gw_prompts.comparing import Comparing
from helicone_gw_prompts.editing import Editor
from helicone_gw_prompts.errors import BodyTooLarge, NoSuch, Refusal
from helicone_gw_prompts.links import PATH, Links
from helicone_gw_prompts.reading import PRODUCTION, Version

T = TypeVar("T")
MAX_BODY: Final = 10 << 20
"""Longest body of a request, in bytes."""

Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Service:
    """What the API works with; ``audit`` is `helicone_gw.Gateway.audit`."""

    editor: Editor
    links: Links
    comparing: Comparing
    audit: Audit


class _Call:
    """One request: whose it is, and which version of the API it is for."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.editor = service.editor
        self.key: GatewayKey | None = caller(request.scope)
        self.organization = "default" if self.key is None else self.key.organization
        self._whole = request.path.startswith("/v2/")
        # What a proxy says of TLS is believed from anybody: it is in the answer to whoever says it.
        forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
        scheme = "https" if forwarded == "https" else request.scheme
        self._origin = f"{scheme}://{request.host}{path_prefix(request.scope)}"

    async def read(self, look_up: Callable[..., Awaitable[T]], *arguments: Any, **named: Any) -> T:
        """The answer of a function of `reading`."""
        async with self.editor.database.connect() as connection:
            return await look_up(connection, self.organization, *arguments, **named)

    def shown(self, version: Version) -> dict[str, Any]:
        """A version as this version of the API shows it."""
        url = None if self._whole else self.service.links.url(self._origin, self.organization, version.id)
        return schemas.version_as_json(version, url)

    def may_edit(self) -> None:
        """Raise `PermissionDenied` for viewers."""
        require_role(self.key, "member")

    async def tell(self, verb: str, prompt: str, **after: Any) -> None:
        """Put what was done to a prompt into the audit log."""
        await self.service.audit(self.key, f"prompt.{verb}", f"prompt:{prompt}", after=after or None)


def routes(name: str, service: Service) -> Blueprint:
    """The pages of the plugin instance ``name``."""
    pages = Blueprint(f"{name}-api", __name__)

    def route(
        method: str, path: str, *, prefixes: tuple[str, ...] = ("/v1/prompt-2025",)
    ) -> Callable[[Handler], Handler]:
        def declare(handler: Handler) -> Handler:
            for prefix in prefixes:
                endpoint = f"{handler.__name__}{prefix.replace('/', '_')}"
                view = _view(handler, service)
                pages.add_url_rule(prefix + path, endpoint, view, methods=[method], provide_automatic_options=False)
            return handler

        return declare

    both = ("/v1/prompt-2025", "/v2/prompt-2025")

    @route("POST", "")
    async def create(call: _Call) -> Any:
        call.may_edit()
        body = await _body(schemas.Create)
        prompt, version = await call.editor.create(call.organization, body.name, body.tags, body.prompt_body)
        await call.tell("create", prompt, name=body.name, version=version)
        return _good({"id": prompt, "versionId": version}, 201)

    @route("GET", "/id/<prompt>")
    async def prompt(call: _Call, prompt: str) -> Any:
        return schemas.prompt_as_json(await call.read(reading.prompt, prompt))

    @route("POST", "/id/<prompt>/rename")
    async def rename(call: _Call, prompt: str) -> Any:
        call.may_edit()
        body = await _body(schemas.Rename)
        await call.editor.rename(call.organization, prompt, body.name)
        await call.tell("change", prompt, name=body.name)

    @route("PATCH", "/id/<prompt>/tags")
    async def retag(call: _Call, prompt: str) -> Any:
        call.may_edit()
        tags = await call.editor.tag(call.organization, prompt, (await _body(schemas.Retag)).tags)
        await call.tell("change", prompt, tags=tags)
        return tags

    @route("GET", "/id/<prompt>/<version>/inputs")
    async def inputs(call: _Call, prompt: str, version: str) -> Any:
        of_request = request.args.get("requestId", "")
        found = await call.service.comparing.inputs(call.key, prompt, version, of_request)
        if found is None:
            raise NoSuch("The log has no inputs of such a request.")
        return {"request_id": of_request, "version_id": version, "inputs": found}

    @route("DELETE", "/<prompt>")
    async def delete(call: _Call, prompt: str) -> Any:
        call.may_edit()
        await call.editor.delete(call.organization, prompt)
        await call.tell("delete", prompt)

    @route("DELETE", "/<prompt>/<version>")
    async def delete_version(call: _Call, prompt: str, version: str) -> Any:
        call.may_edit()
        await call.editor.delete_version(call.organization, prompt, version)
        await call.tell("delete_version", prompt, version=version)

    @route("GET", "/tags")
    async def tags(call: _Call) -> Any:
        return await call.read(reading.all_tags)

    @route("GET", "/environments")
    async def environments(call: _Call) -> Any:
        return await call.read(reading.all_environments)

    @route("GET", "/count")
    async def count(call: _Call) -> Any:
        return await call.read(reading.count)

    @route("POST", "/query")
    async def query(call: _Call) -> Any:
        body = await _body(schemas.Query)
        found = await call.read(
            reading.prompts,
            search=body.search,
            tags=body.tags_filter,
            offset=body.page * body.page_size,
            limit=body.page_size,
        )
        return schemas.prompts_as_json(found, await call.read(reading.summaries, [each.id for each in found]))

    @route("POST", "/query/version", prefixes=both)
    async def version(call: _Call) -> Any:
        body = await _body(schemas.OfVersion)
        return call.shown(await call.read(reading.version, body.prompt_version_id))

    @route("POST", "/query/versions")
    async def versions(call: _Call) -> Any:
        body = await _body(schemas.Versions)
        return [call.shown(each) for each in await call.read(reading.versions, body.prompt_id, body.major_version)]

    @route("POST", "/query/production-version", prefixes=both)
    async def production_version(call: _Call) -> Any:
        body = await _body(schemas.OfPrompt)
        return call.shown(await call.read(reading.version_in, body.prompt_id, PRODUCTION))

    @route("POST", "/query/environment-version", prefixes=both)
    async def environment_version(call: _Call) -> Any:
        body = await _body(schemas.OfEnvironment)
        return call.shown(await call.read(reading.version_in, body.prompt_id, body.environment))

    @route("POST", "/query/total-versions")
    async def total_versions(call: _Call) -> Any:
        total, major = await call.read(reading.total_versions, (await _body(schemas.OfPrompt)).prompt_id)
        return {"totalVersions": total, "majorVersions": major}

    @route("POST", "/query/compare")
    async def compare(call: _Call) -> Any:
        body = await _body(schemas.Compare)
        found = await call.read(reading.versions, body.prompt_id)
        return await call.service.comparing.compare(call.key, body.prompt_id, found, body.since, body.until)

    @route("POST", "/update")
    async def update(call: _Call) -> Any:
        call.may_edit()
        body = await _body(schemas.Update)
        made = await call.editor.update(
            call.organization,
            body.prompt_id,
            body.prompt_version_id,
            body.prompt_body,
            body.commit_message,
            major=body.new_major_version,
            environment=body.environment,
        )
        await call.tell("update", body.prompt_id, version=made, environment=body.environment)
        return {"id": made}

    @route("POST", "/update/environment")
    async def move(call: _Call) -> Any:
        call.may_edit()
        body = await _body(schemas.Placed)
        await call.editor.move(call.organization, body.prompt_id, body.prompt_version_id, body.environment)
        await call.tell("move", body.prompt_id, version=body.prompt_version_id, environment=body.environment)

    @route("POST", "/remove/environment")
    async def leave(call: _Call) -> Any:
        call.may_edit()
        body = await _body(schemas.Placed)
        await call.editor.leave(call.organization, body.prompt_id, body.prompt_version_id, body.environment)
        await call.tell("leave", body.prompt_id, version=body.prompt_version_id, environment=body.environment)

    @route("GET", PATH.removeprefix("/v1/prompt-2025") + "<version>")
    async def body(call: _Call, version: str) -> Any:
        found = await call.read(reading.version, version)
        return Response(found.body, 200, content_type="application/json")

    @route("POST", "/query", prefixes=("/v1/prompt",))
    async def legacy(call: _Call) -> Any:
        return [
            {
                "id": row["prompt_id"],
                "user_defined_id": row["prompt_id"],
                "created_at": schemas.moment(row["created_at"]),
                "updated_at": schemas.moment(row["updated_at"]),
                "major_version": row["version"],
            }
            for row in await call.read(reading.template_prompts)
        ]

    @route("POST", "/<prompt>/versions/query", prefixes=("/v1/prompt",))
    async def legacy_versions(call: _Call, prompt: str) -> Any:
        return [
            {
                "id": f"{prompt}@{row['version']}",
                "major_version": row["version"],
                "minor_version": 0,
                "created_at": schemas.moment(row["created_at"]),
                "helicone_template": msgspec.Raw(bytes(row["template"])),
            }
            for row in await call.read(reading.templates, prompt)
        ]

    return pages


def _view(handler: Handler, service: Service) -> Callable[..., Awaitable[Response]]:
    async def view(**path: str) -> Response:
        try:
            if any("\0" in value for value in path.values()):
                raise NoSuch("There is nothing of that name.")
            result = await handler(_Call(service), **path)
        except Refusal as refusal:
            return _bad(refusal.status, str(refusal))
        except GatewayError as refused:
            return _bad(refused.status, refused.message)
        except msgspec.ValidationError as problem:
            return _bad(400, str(problem))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _bad(400, "The body is not JSON, or nests too deep.")
        except (SQLAlchemyError, OSError, TimeoutError):
            return _bad(503, "Prompts cannot be reached at the moment.")
        except Exception:
            current_app.logger.exception("%s failed", handler.__name__)
            return _bad(500, "Something went wrong in the gateway; its own log says what.")
        return result if isinstance(result, Response) else _good(result)

    return view


async def _body(wanted: type[T]) -> T:
    try:
        data = bytes(await request.get_data(as_text=False))  # type: ignore[arg-type]
    except RequestEntityTooLarge:
        raise BodyTooLarge("The body is too large.") from None
    if len(data) > MAX_BODY:
        raise BodyTooLarge("The body is too large.")
    return msgspec.json.decode(data or b"{}", type=wanted)


def _good(data: Any, status: int = 200) -> Response:
    body = msgspec.json.encode({"data": data, "error": None})
    return Response(body, status, content_type="application/json")


def _bad(status: int, error: str) -> Response:
    return Response(msgspec.json.encode({"data": None, "error": error}), status, content_type="application/json")
