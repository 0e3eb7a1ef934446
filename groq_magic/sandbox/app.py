"""The routes of Groq's Batch API, as an ASGI app. https://console.groq.com/docs/api-reference

What works on disk runs in a thread (a plain `def` does by itself), so that the app may share an event loop
with others. Who may ask, how much, and what goes wrong on purpose stands in `gate`.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from . import bodies, faults, intake, replies
from . import rules as disagreements
from .accounts import Accounts
from .batches import Batches
from .forms import chat_id
from .gate import Gate, Keys, json_response, rate_limits
from .models import MODELS
from .refusals import Refusal, broken, invalid, not_found, too_large
from .rules import Rules
from .store import Store

_V1 = "/openai/v1"
_LONGEST_NAME = 255

T = TypeVar("T")


def create_app(
    home: Path | str,
    *,
    pace_s: float = 10.0,
    now: Callable[[], float] = time.time,
    rules: Rules | None = None,
    token: str | None = None,
) -> Starlette:
    """The sandbox over the store in `home`, which is made if it is missing.

    A batch takes `pace_s` seconds by the clock `now`; with 0 it is completed at the first look. `rules`
    chooses where Groq's documents disagree. With a `token` no other key is welcome. The app needs no lifespan
    events; `app.state.store_id` is the store's id.
    """
    store, ruled = Store(Path(home), now), rules or Rules()

    def open_account(name: str) -> Starlette:
        return _app(Store(store.account(name), now), pace_s, ruled, None)

    accounts = Middleware(Accounts, open_account=open_account)
    return _app(store, pace_s, ruled, token, *([accounts] if token is None else []))


def _app(store: Store, pace_s: float, rules: Rules, token: str | None, *before: Middleware) -> Starlette:
    """The app of one account; `before` is what a request passes first."""
    desk = _Desk(store, pace_s, rules, guarded=token is not None)
    app = Starlette(
        routes=desk.routes(),
        middleware=[
            *before,
            Middleware(Gate, store=store, keys=Keys(token), most_bytes=rules.most_bytes),
        ],
        exception_handlers={
            Refusal: _refused,
            HTTPException: _unrouted,
            ClientDisconnect: _gone,
            OSError: _disk_failed,
        },
    )
    app.router.redirect_slashes = False
    app.state.store_id = store.id
    return app


class _Desk:
    def __init__(self, store: Store, pace_s: float, rules: Rules, *, guarded: bool) -> None:
        self._store, self._pace_s, self.rules, self._now = store, pace_s, rules, store.now
        self._guarded = guarded
        self._batches = Batches(store, store.now, pace_s, rules)

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox", self.sandbox, methods=["GET"]),
            Route("/sandbox/openapi.json", self.openapi, methods=["GET"]),
            Route("/sandbox/faults", self.faults, methods=["GET"]),
            Route("/sandbox/faults", self.arm, methods=["POST"]),
            Route("/sandbox/faults", self.disarm, methods=["DELETE"]),
            Route("/sandbox/clock", self.clock, methods=["POST"]),
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

    # The sandbox itself

    def sandbox(self, request: Request) -> Response:
        said: dict[str, Any] = {"object": "sandbox", "store_id": self._store.id, "pace_s": self._pace_s}
        said |= {"token_needed": self._guarded, **self._time(), "armed": self._store.armed()}
        requests = {name: {"on": on, "says": says} for name, (on, says) in faults.REQUESTS.items()}
        ruled = {
            name: {"chosen": getattr(self.rules, name), "choices": disagreements.choices(name), "says": says}
            for name, says in disagreements.SAYS.items()
        }
        return json_response({**said, "marks": faults.MARKS, "faults": requests, "rules": ruled})

    def openapi(self, request: Request) -> Response:
        return Response(Path(__file__).with_name("openapi.json").read_bytes(), media_type="application/json")

    def faults(self, request: Request) -> Response:
        return json_response({"object": "list", "data": self._store.armed()})

    async def arm(self, request: Request) -> Response:
        await run_in_threadpool(self._store.arm, await _typed(request, faults.Armed))
        return await run_in_threadpool(self.faults, request)

    def disarm(self, request: Request) -> Response:
        self._store.disarm()
        return self.faults(request)

    async def clock(self, request: Request) -> Response:
        await run_in_threadpool(self._store.turn_clock, (await _typed(request, _Turn)).forward_s)
        return json_response({"object": "sandbox.clock", **self._time()})

    def _time(self) -> dict[str, Any]:
        return {"now": int(self._now()), "ahead_s": self._store.ahead_s()}

    # Files

    async def upload(self, request: Request) -> Response:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise invalid(
                "A file comes as multipart/form-data, with the fields `purpose` and `file`.", "file"
            )
        # The form's parser writes what is long to a temporary file while it comes in.
        async with _form(request) as form:
            file, purpose = form.get("file"), form.get("purpose")
            if not isinstance(file, UploadFile):
                raise invalid("`file` is missing.", "file")
            if purpose != "batch":
                raise invalid("`purpose` must be `batch`.", "purpose")
            if (file.size or 0) > self.rules.most_bytes:
                raise too_large("A file", self.rules.most_bytes, "file")
            if len(file.filename or "") > _LONGEST_NAME or not _is_text(file.filename or ""):
                raise invalid(f"A file's name is text of at most {_LONGEST_NAME} characters.", "file")
            if self.rules.malformed_upload == "500":
                await run_in_threadpool(_refuse_malformed, file.file)
            kept = await run_in_threadpool(
                self._store.add_file, file.file, file.filename or "", "batch", self._now()
            )
        return json_response(kept)

    def files(self, request: Request) -> Response:
        self._batches.settle_all()
        return json_response({"object": "list", "data": self._store.files()})

    def file(self, request: Request) -> Response:
        return json_response(self._store.file(request.path_params["id"]))

    def content(self, request: Request) -> Response:
        """The whole file, also where a range is asked for: Groq documents none."""
        file_id = request.path_params["id"]
        try:
            file = self._store.content_path(file_id).open("rb")
        except FileNotFoundError:  # deleted a moment ago; once it is open, it may be
            raise not_found("file", file_id) from None
        headers = {"content-length": str(os.fstat(file.fileno()).st_size)}
        if request.method == "HEAD":
            file.close()
            return Response(headers=headers, media_type="application/octet-stream")
        return _Download(file, headers)

    def delete_file(self, request: Request) -> Response:
        file_id = request.path_params["id"]
        self._store.delete_file(file_id)
        return json_response({"id": file_id, "object": "file", "deleted": True})

    # Batches

    async def create(self, request: Request) -> Response:
        return json_response(await run_in_threadpool(self._batches.create, await _typed(request, dict)))

    def batches(self, request: Request) -> Response:
        ids = request.query_params.getlist("id")
        cursor = request.query_params.get("cursor")
        return json_response(self._batches.listed(ids, cursor))

    def batch(self, request: Request) -> Response:
        return json_response(self._batches.look(request.path_params["id"]))

    def cancel(self, request: Request) -> Response:
        return json_response(self._batches.cancel(request.path_params["id"]))

    # Models and chat

    async def models(self, request: Request) -> Response:
        return json_response({"object": "list", "data": list(MODELS.values())})

    async def model(self, request: Request) -> Response:
        model = MODELS.get(request.path_params["id"])
        if model is None:
            return json_response(
                {"error": bodies.model_fault(request.path_params["id"], _UNKNOWN).error}, 404
            )
        return json_response(model)

    async def chat(self, request: Request) -> Response:
        return await run_in_threadpool(self._answered, await _typed(request, dict))

    def _answered(self, asked: dict[str, Any]) -> Response:
        prompt, at = bodies.prompt_of(asked), self._now()
        marks = faults.marks_in(prompt)
        failure = replies.error_of(bodies.CHAT, asked, marks, self.rules)
        if failure is not None:
            return json_response({"error": failure.error}, failure.status)
        request_id = self._store.ids.new("req_", at)
        reply = replies.completion(
            asked,
            marks,
            prompt,
            request_id=request_id,
            chat_id=chat_id(secrets.token_hex(32)),
            at=int(at),
            tier=tier if (tier := asked.get("service_tier")) in ("flex", "performance") else "on_demand",
        )
        headers = {"x-request-id": request_id, **rate_limits()}
        if asked.get("stream"):
            options = asked.get("stream_options")
            more = isinstance(options, dict) and bool(options.get("include_usage"))
            return StreamingResponse(
                replies.stream(reply, more), headers=headers, media_type="text/event-stream"
            )
        return json_response(reply, headers=headers)


_UNKNOWN = Rules(decommissioned="404")  # GET /models/{id} knows what there is, and no past


class _Turn(msgspec.Struct, forbid_unknown_fields=True):
    forward_s: float

    def __post_init__(self) -> None:
        if not 0 <= self.forward_s <= 365 * 86_400:
            raise ValueError("`forward_s` is a number of seconds from 0 to a year")


class _Download(StreamingResponse):
    """An open file, closed also where its reader goes away."""

    def __init__(self, file: BinaryIO, headers: Mapping[str, str]) -> None:
        chunks = iter(lambda: file.read(1 << 20), b"")
        super().__init__(chunks, headers=headers, media_type="application/octet-stream")
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        with self._file:
            await super().__call__(scope, receive, send)


@asynccontextmanager
async def _form(request: Request) -> AsyncIterator[FormData]:
    try:
        form = await request.form(max_files=1, max_fields=8)
    except (UnicodeError, LookupError):
        raise invalid("The form is not in the charset that it names.") from None
    try:
        yield form
    finally:
        await form.close()


def _is_text(name: str) -> bool:
    """Whether it can be written down: half a surrogate pair cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


async def _typed(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise invalid(f"The body is not understood: {exc}.") from None


def _refuse_malformed(file: Any) -> None:
    for raw in iter(lambda: file.readline(intake.MOST_LINE_BYTES + 1), b""):
        try:
            if not raw.isspace():
                intake.read_line(raw)
        except intake.Fault as fault:
            if fault.code == "invalid_json_line":
                raise broken() from None
    file.seek(0)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, Refusal):
        raise error
    return json_response(error.envelope, error.status)


async def _disk_failed(request: Request, error: Exception) -> Response:
    """A full disk and its like: what was half-written is gone, what was there stays."""
    said = f"The sandbox cannot write to its disk: {getattr(error, 'strerror', None) or error}."
    return json_response(broken(said).envelope, 500)


async def _gone(request: Request, error: Exception) -> Response:
    """The client has hung up, so nobody reads this."""
    return Response(status_code=499)


async def _unrouted(request: Request, error: Exception) -> Response:
    """What starlette itself turns down: an unknown path, a wrong method, a form that is none."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if error.status_code in (404, 405):
        if error.status_code == 405:
            met = [route for route in request.app.routes if route.matches(request.scope)[0] is not Match.NONE]
            headers["Allow"] = ", ".join(sorted({method for route in met for method in route.methods}))
        said = (
            f"Unknown request URL: {request.method} {request.url.path}. Please check the URL for typos, or "
            "see the docs at https://console.groq.com/docs/"
        )
        refusal = Refusal(error.status_code, said, "unknown_url")
    else:
        refusal = Refusal(error.status_code, error.detail, None)
    return json_response(refusal.envelope, error.status_code, headers)
