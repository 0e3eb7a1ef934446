"""The routes of Groq's Batch API, as an ASGI app. https://console.groq.com/docs/api-reference

What works on disk runs in a thread (a plain `def` does by itself), so that the app may share an event loop
with others.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from . import replies
from .batches import Batches
from .models import MODELS
from .refusals import Refusal, invalid
from .results import chat_id
from .store import Store

MOST_BYTES = 200_000_000
_ROOM_FOR_FORM = 65_536
_V1 = "/openai/v1"

Answer = Callable[[Request], Any] | Callable[[Request], Awaitable[Any]]


def create_app(home: Path | str, *, pace_s: float = 10.0, now: Callable[[], float] = time.time) -> Starlette:
    """The sandbox over the store in `home`, which is made if it is missing.

    A batch takes `pace_s` seconds by the clock `now`; with 0 it is completed at the first look. The app needs
    no lifespan events; `app.state.store_id` is the store's id.
    """
    store = Store(Path(home), now())
    desk = _Desk(store, Batches(store, now, pace_s), pace_s, now)
    app = Starlette(
        routes=desk.routes(),
        middleware=[Middleware(_KeyAsked)],
        exception_handlers={Refusal: _refused, HTTPException: _unrouted},
    )
    app.router.redirect_slashes = False
    app.state.store_id = store.id
    return app


class _Desk:
    def __init__(self, store: Store, batches: Batches, pace_s: float, now: Callable[[], float]) -> None:
        self._store, self._batches, self._pace_s, self._now = store, batches, pace_s, now

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox", self.sandbox, methods=["GET"]),
            Route(f"{_V1}/files", self.upload, methods=["POST"]),
            Route(f"{_V1}/files", self.files, methods=["GET"]),
            Route(f"{_V1}/files/{{id}}", self.file, methods=["GET"]),
            Route(f"{_V1}/files/{{id}}", self.delete_file, methods=["DELETE"]),
            Route(f"{_V1}/files/{{id}}/content", self.content, methods=["GET"]),
            Route(f"{_V1}/batches", self.create, methods=["POST"]),
            Route(f"{_V1}/batches", self.batches, methods=["GET"]),
            Route(f"{_V1}/batches/{{id}}", self.batch, methods=["GET"]),
            Route(f"{_V1}/batches/{{id}}/cancel", self.cancel, methods=["POST"]),
            Route(f"{_V1}/models", self.models, methods=["GET"]),
            Route(f"{_V1}/models/{{id:path}}", self.model, methods=["GET"]),
            Route(f"{_V1}/chat/completions", self.chat, methods=["POST"]),
        ]

    async def sandbox(self, request: Request) -> Response:
        return _json({"object": "sandbox", "store_id": self._store.id, "pace_s": self._pace_s})

    # Files

    async def upload(self, request: Request) -> Response:
        if int(request.headers.get("content-length", 0)) > MOST_BYTES + _ROOM_FOR_FORM:
            raise _too_large()
        # The form's parser writes what is long to a temporary file while it comes in.
        async with request.form() as form:
            file, purpose = form.get("file"), form.get("purpose")
            if not isinstance(file, UploadFile):
                raise invalid("`file` is missing.", "file")
            if purpose != "batch":
                raise invalid("`purpose` must be `batch`.", "purpose")
            if (file.size or 0) > MOST_BYTES:
                raise _too_large()
            name, at = file.filename or "", self._now()
            kept = await run_in_threadpool(self._store.add_file, file.file, name, "batch", at)
        return _json(kept)

    def files(self, request: Request) -> Response:
        self._batches.settle_all()
        return _json({"object": "list", "data": self._store.files()})

    def file(self, request: Request) -> Response:
        return _json(self._store.file(request.path_params["id"]))

    def content(self, request: Request) -> Response:
        return _Content(self._store.content_path(request.path_params["id"]))

    def delete_file(self, request: Request) -> Response:
        file_id = request.path_params["id"]
        self._store.delete_file(file_id)
        return _json({"id": file_id, "object": "file", "deleted": True})

    # Batches

    async def create(self, request: Request) -> Response:
        return _json(await run_in_threadpool(self._batches.create, await _body(request)))

    def batches(self, request: Request) -> Response:
        ids = request.query_params.getlist("id")
        return _json(
            self._batches.these(ids) if ids else self._batches.page(request.query_params.get("cursor"))
        )

    def batch(self, request: Request) -> Response:
        return _json(self._batches.look(request.path_params["id"]))

    def cancel(self, request: Request) -> Response:
        return _json(self._batches.cancel(request.path_params["id"]))

    # Models and chat

    async def models(self, request: Request) -> Response:
        return _json({"object": "list", "data": list(MODELS.values())})

    async def model(self, request: Request) -> Response:
        model = MODELS.get(request.path_params["id"])
        if model is None:
            error = replies.error_of(replies.CHAT, {"model": request.path_params["id"]}, frozenset())
            return _json({"error": error.error if error else None}, 404)
        return _json(model)

    async def chat(self, request: Request) -> Response:
        asked = await _body(request)
        if not isinstance(asked, dict):
            raise invalid("The body must be a JSON object.")
        if asked.get("stream"):
            raise invalid("The sandbox does not stream.", "stream")
        prompt, at = replies.prompt_of(asked), self._now()
        marks = replies.marks_in(prompt)
        failure = replies.error_of(replies.CHAT, asked, marks)
        if failure is not None:
            return _json({"error": failure.error}, failure.status)
        request_id, its_id = self._store.ids.new("req_", at), chat_id(secrets.token_hex(32))
        reply = replies.completion(
            asked, marks, prompt, request_id=request_id, chat_id=its_id, at=int(at), tier="on_demand"
        )
        return _json(reply, headers={"x-request-id": request_id, **_UNLIMITED})


# A sandbox has no limits; a client that reads them finds the Developer plan's, never drawn on.
# https://console.groq.com/docs/rate-limits
_UNLIMITED = {
    "x-ratelimit-limit-requests": "500000",
    "x-ratelimit-limit-tokens": "250000",
    "x-ratelimit-remaining-requests": "500000",
    "x-ratelimit-remaining-tokens": "250000",
    "x-ratelimit-reset-requests": "0s",
    "x-ratelimit-reset-tokens": "0s",
}


class _KeyAsked:
    """401 for whatever asks below `/openai/` without a key that begins as Groq's do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("/openai/"):
            scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not key.strip().startswith("gsk_"):
                refusal = Refusal(401, "Invalid API Key", "invalid_api_key")
                await _json(refusal.envelope, 401)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _Content(FileResponse):
    chunk_size = 1 << 20

    def __init__(self, path: Path) -> None:
        super().__init__(path, media_type="application/octet-stream")


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


async def _body(request: Request) -> Any:
    try:
        return msgspec.json.decode(await request.body())
    except (msgspec.MsgspecError, RecursionError):
        raise invalid("The body is not valid JSON.") from None


def _too_large() -> Refusal:
    return Refusal(413, f"A file has at most {MOST_BYTES} bytes.", "request_too_large", "file")


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return _json(error.envelope, error.status)


async def _unrouted(request: Request, error: Exception) -> Response:
    """What starlette itself turns down: an unknown path, a wrong method, a form that is none."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code in (404, 405):
        said = f"Unknown request URL: {request.method} {request.url.path}. See https://console.groq.com/docs/"
        refusal = Refusal(error.status_code, said, "unknown_url")
    else:
        refusal = Refusal(error.status_code, error.detail, "invalid_request")
    return _json(refusal.envelope, error.status_code, dict(error.headers or {}))
