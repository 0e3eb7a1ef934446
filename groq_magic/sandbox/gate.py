"""What every request passes: who asks, how much comes in, and what goes wrong on purpose.

A plain ASGI middleware, because a fault happens to the connection, which no route can see.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .faults import Armed
from .refusals import Refusal, too_large
from .store import Store

# Where a server puts what ends its connection: at once, or when all is sent.
ABORT, CLOSE = "sandbox.abort", "sandbox.close"
_ROOM_FOR_FORM = 65_536
_MOST_JSON_BYTES = 16_000_000
_V1 = "/openai/v1"


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The value as JSON."""
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def rate_limits(tokens_left: str = "250000", reset: str = "0s") -> dict[str, str]:
    """The headers of every chat reply: requests are counted by the day, tokens by the minute.

    The limits are the Developer plan's, and a sandbox never draws on them.
    https://console.groq.com/docs/rate-limits
    """
    return {
        "x-ratelimit-limit-requests": "500000",
        "x-ratelimit-limit-tokens": "250000",
        "x-ratelimit-remaining-requests": "500000",
        "x-ratelimit-remaining-tokens": tokens_left,
        "x-ratelimit-reset-requests": "0s",
        "x-ratelimit-reset-tokens": reset,
    }


class Keys:
    """Which keys are welcome: the token alone where there is one, else whatever begins as Groq's do.

    `gsk_free…` is the key of a plan without batches, `gsk_expired…` one whose time is over; whose account a
    key is of stands in `accounts`.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token

    def refusal(self, authorization: str, method: str, path: str) -> Refusal | None:
        """Why the request is not let in; None if it is."""
        scheme, _, key = authorization.partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not self._welcome(key):
            return Refusal(401, "Invalid API Key", "invalid_api_key")
        if self._token is None and key.startswith("gsk_expired"):
            return Refusal(401, "Expired API Key", "expired_api_key")
        if key.startswith("gsk_free") and (method.replace("HEAD", "GET"), path) in _NOT_ON_EVERY_PLAN:
            said = "Batch processing is not available for your plan. Upgrade at https://console.groq.com/settings/billing"
            return Refusal(403, said, "not_available_for_plan", kind="permissions_error")
        return None

    def _welcome(self, key: str) -> bool:
        if self._token is not None:
            return hmac.compare_digest(key.encode(), self._token.encode())
        return key.startswith("gsk_")


# Before any argument is looked at, by users' reports.
_NOT_ON_EVERY_PLAN = {("POST", f"{_V1}/files"), ("POST", f"{_V1}/batches"), ("GET", f"{_V1}/batches")}
_OPEN = ("/sandbox", "/sandbox/openapi.json")


class Gate:
    """Lets a request in, bounded, and lets the fault happen that is armed for it."""

    def __init__(self, app: ASGIApp, store: Store, keys: Keys, most_bytes: int) -> None:
        self._app, self._store, self._keys, self._most_bytes = app, store, keys, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        method, path = scope["method"], scope["path"]
        send = self._numbered(send)
        if path not in _OPEN:
            authorization = Headers(scope=scope).get("authorization", "")
            refusal = self._keys.refusal(authorization, method, path)
            if refusal is not None:
                return await json_response(refusal.envelope, refusal.status)(scope, receive, send)
        fault = None
        if path.startswith(f"{_V1}/"):
            fault = await run_in_threadpool(self._store.meet, method, path.removeprefix(_V1))
        try:
            bounded = self._bounded(scope, receive)
        except Refusal as refusal:
            return await json_response(refusal.envelope, refusal.status)(scope, receive, send)
        if fault is not None:
            return await _let_happen(fault, self._app, scope, bounded, send)
        return await self._app(scope, bounded, send)

    def _numbered(self, send: Send) -> Send:
        """Every reply has an id, as at Groq: a chat reply its own, the others a new one."""

        async def numbered(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if all(name.lower() != b"x-request-id" for name, _ in headers):
                    request_id = self._store.ids.new("req_", self._store.now())
                    headers.append((b"x-request-id", request_id.encode()))
                message = {**message, "headers": headers}
            await send(message)

        return numbered

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """The same body, or Refusal (413) as soon as it is longer than it may be."""
        upload = scope["path"] == f"{_V1}/files"
        if upload:
            most, refusal = self._most_bytes + _ROOM_FOR_FORM, too_large("A file", self._most_bytes, "file")
        else:
            most, refusal = _MOST_JSON_BYTES, too_large("A body", _MOST_JSON_BYTES)
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > most:
            raise refusal
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > most:
                raise refusal
            return message

        return counted


async def _let_happen(fault: Armed, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """The fault in place of the request, or on top of it. `faults.REQUESTS` says what each does."""
    match fault.fault:
        case "refuse":
            await _refuse(fault.status)(scope, receive, send)
        case "rate_limit":
            said = (
                "Rate limit reached for model `openai/gpt-oss-20b` in organization `org_sandbox` service "
                "tier `on_demand` on tokens per minute (TPM): Limit 250000, Used 250000, Requested 1. Please "
                f"try again in {fault.seconds:g}s. Need more tokens? Upgrade at https://console.groq.com/settings"
            )
            refusal = Refusal(429, said, "rate_limit_exceeded", kind="tokens")
            seconds = f"{fault.seconds:.3f}".rstrip("0").rstrip(".")
            headers = {"retry-after": seconds, **rate_limits("0", f"{seconds}s")}
            await json_response(refusal.envelope, 429, headers)(scope, receive, send)
        case "garbage":
            page = "<html><body>502 Bad Gateway</body></html>"
            await Response(page, media_type="text/html")(scope, receive, send)
        case "slow":
            await asyncio.sleep(fault.seconds)
            await app(scope, receive, send)
        case "accepted_500":
            await app(scope, receive, _nowhere)
            await _refuse(500)(scope, receive, send)
        case "reset":
            await receive()
            await _hang_up(ABORT, scope, receive)
        case "reset_reply" | "truncate":
            half = _Half(send, whole_looking=fault.fault == "truncate")
            await app(scope, receive, half.send)
            if not half.whole_looking:
                await _hang_up(CLOSE, scope, receive)


def _refuse(status: int) -> Response:
    kind = _KINDS.get(status, "internal_server_error" if status >= 500 else "invalid_request_error")
    refusal = Refusal(status, f"The sandbox was asked to answer {status}.", None, kind=kind)
    return json_response(refusal.envelope, status)


# https://console.groq.com/docs/errors, and captures
_KINDS = {403: "permissions_error", 413: "tokens", 429: "tokens", 498: "capacity_exceeded"}


async def _nowhere(message: Message) -> None:
    """Where a reply goes that is never sent."""


class _Half:
    """Sends half of a reply. One that should look whole says so in its content-length, and ends there."""

    def __init__(self, send: Send, *, whole_looking: bool) -> None:
        self._send, self.whole_looking = send, whole_looking
        self._left: int | None = None
        self._held = bytearray()  # a reply that does not tell its length is a short one
        self.over = False

    async def send(self, message: Message) -> None:
        if self.over:
            return
        if message["type"] == "http.response.start":
            headers = {name.lower(): value for name, value in message.get("headers", [])}
            if b"content-length" in headers:
                self._left = int(headers[b"content-length"]) // 2
                if self.whole_looking:
                    headers[b"content-length"] = b"%d" % self._left
            await self._send({**message, "headers": list(headers.items())})
            return
        body = message.get("body", b"")
        if self._left is None:
            self._held += body
            if message.get("more_body"):
                return
            body, self._left = bytes(self._held), len(self._held) // 2
        part = body[: self._left]
        self._left -= len(part)
        self.over = self._left == 0
        more = not (self.over and self.whole_looking)
        await self._send({"type": "http.response.body", "body": part, "more_body": more})


async def _hang_up(how: str, scope: Scope, receive: Receive) -> None:
    """Ends the connection; inside one process, where there is none, the caller gets the error."""
    end = scope.get("state", {}).get(how)
    if end is None:
        raise ConnectionResetError("Connection reset by peer")
    end()
    while (await receive())["type"] != "http.disconnect":
        pass
