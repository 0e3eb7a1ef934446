"""Groq's endpoints, one coroutine each, over httpx: https://console.groq.com/docs/api-reference.

Foreign errors become ours at one edge (`_sent`). Nothing is retried here: what may be repeated, and when,
is the pipeline's to decide.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import httpx

from groq_magic import wire
from groq_magic.errors import InputError, NoReply, Refused, TooLarge
from groq_magic.keys import Service

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import Message, Receive, Scope, Send

T = TypeVar("T")

_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_CHAT_TIMEOUT = httpx.Timeout(300.0, connect=10.0)  # a long answer is written before its first byte comes
_LIMITS = httpx.Limits(max_connections=20)
MAX_REPLY_BYTES, MAX_ERROR_BYTES = 16_000_000, 64_000
_IN_MEMORY = 1 << 20
IDS_AT_ONCE = 200  # https://console.groq.com/docs/batch: at most 200 ids in one GET /batches

# What surely never left this machine; every other failure may have been carried out.
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class Groq:
    """A service's endpoints, for one key. To be used on one event loop and closed there."""

    def __init__(self, service: Service, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.service = service
        self._http = httpx.AsyncClient(
            base_url=("http://sandbox" if service.folder else service.base_url) + "/openai/v1/",
            headers={"Authorization": f"Bearer {service.key}"},
            timeout=_TIMEOUT,
            limits=_LIMITS,
            transport=transport or _in_process(service),
        )

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._http.aclose()

    async def upload(self, path: Path, filename: str) -> str:
        """Uploads a JSONL file for a batch, streamed from disk; the new file's id."""
        with path.open("rb") as file:
            return await self._ask(
                "POST",
                "files",
                wire.file_id,
                data={"purpose": "batch"},
                files={"file": (filename, file, "application/jsonl")},
            )

    async def files(self) -> list[wire.File]:
        """Every File of the key's project."""
        return await self._ask("GET", "files", wire.files)

    async def file_size(self, file_id: str) -> int:
        """How many bytes a file has; 0 where the service does not say."""
        return await self._ask("GET", f"files/{file_id}", wire.file_size)

    async def content(self, file_id: str, path: Path) -> int:
        """Downloads a file to `path`, streamed; its size in bytes. An error leaves the part that came."""
        size = 0
        as_it_is = {"Accept-Encoding": "identity"}
        async with self._sent("GET", f"files/{file_id}/content", headers=as_it_is) as response:
            with path.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
                    size += len(chunk)
                file.flush()
                await asyncio.to_thread(os.fsync, file.fileno())
        return size

    async def create_batch(
        self, file_id: str, endpoint: str, window: str, metadata: Mapping[str, str]
    ) -> wire.Batch:
        """Asks for a batch over an uploaded file. Not to be repeated after NoReply with `maybe_done`."""
        body = {
            "completion_window": window,
            "endpoint": endpoint,
            "input_file_id": file_id,
            "metadata": dict(metadata),
        }
        return await self._ask("POST", "batches", wire.batch, json=body)

    async def batch(self, batch_id: str) -> wire.Batch:
        """One batch as it is now."""
        return await self._ask("GET", f"batches/{batch_id}", wire.batch)

    async def batches(self, ids: Iterable[str] = (), cursor: str | None = None) -> wire.Page:
        """The batches of these ids (at most `IDS_AT_ONCE`), or one page of all of them."""
        asked = [("id", found) for found in ids] + ([("cursor", cursor)] if cursor else [])
        return await self._ask("GET", "batches", wire.page, params=asked)

    async def cancel_batch(self, batch_id: str) -> wire.Batch:
        """Asks for a batch to be cancelled; what is answered already stays and is charged."""
        return await self._ask("POST", f"batches/{batch_id}/cancel", wire.batch)

    async def models(self) -> list[wire.Model]:
        """The models that the key may use."""
        return await self._ask("GET", "models", wire.models)

    async def chat(self, body: bytes) -> wire.Told:
        """Asks one chat request through the ordinary endpoint, its body as it is."""
        how = {"content": body, "headers": {"Content-Type": "application/json"}, "timeout": _CHAT_TIMEOUT}
        return await self._heard("POST", "chat/completions", wire.told, **how)

    async def _ask(self, verb: str, path: str, read: Callable[[bytes], T], **asked: Any) -> T:
        return await self._heard(verb, path, lambda body, _: read(body), **asked)

    async def _heard(
        self, verb: str, path: str, read: Callable[[bytes, Mapping[str, str]], T], **asked: Any
    ) -> T:
        """What a reply says, by its body and headers."""
        async with self._sent(verb, path, **asked) as response:
            body = await _bounded(response, MAX_REPLY_BYTES)
        try:
            return read(body, response.headers)
        except ValueError as exc:
            raise NoReply(
                f"{self.service.place_first} answered {verb} /{path} with something that is not its protocol "
                f"({exc}).",
                maybe_done=True,
            ) from exc

    @asynccontextmanager
    async def _sent(self, verb: str, path: str, **asked: Any) -> AsyncIterator[httpx.Response]:
        """The response to a request, its body not yet read. The one edge where httpx's errors become ours."""
        where = f"{verb} /{path}"
        try:
            async with self._http.stream(verb, path, **asked) as response:
                if not response.is_success:  # redirects, too, are not followed: the key stays with its host
                    body = await _bounded(response, MAX_ERROR_BYTES, cut=True)
                    code, message = wire.error(body)
                    status, ours = response.status_code, f" {code}" if code else ""
                    raise Refused(
                        status,
                        code,
                        f"{self.service.place_first} answered {where} with {status}"
                        f"{ours}{f': {message}' if message else '.'}",
                        wire.limits(response.headers).retry_after_s,
                        body=body,
                        request_id=wire.id_of_request(response.headers),
                    )
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            said = str(exc) or type(exc).__name__
            never_left = isinstance(exc, _NEVER_LEFT)
            raise NoReply(
                f"No answer from {self.service.place} ({said}).", maybe_done=not never_left
            ) from exc


@cache
def sandbox_app(folder: str, pace_s: float) -> Starlette:
    """The sandbox over the store in this folder, one for each folder and pace in this process.

    Raises InputError where the folder cannot hold one.
    """
    from groq_magic.sandbox import NoHome, create_app

    try:
        return create_app(folder, pace_s=pace_s)
    except NoHome as exc:
        raise InputError(f"{exc} Move it away, or set GROQ_MAGIC_HOME to another folder.") from exc


def _in_process(service: Service) -> httpx.AsyncBaseTransport | None:
    """The way to a sandbox inside this process; None for a service on the network."""
    if service.folder is None:
        return None
    return _InProcess(app=sandbox_app(service.folder, service.pace_s))


class _InProcess(httpx.ASGITransport):
    """The way to a sandbox inside this process, which can break off like any other.

    A long reply waits on disk until it is read: httpx alone would hold it in memory, twice.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The reply. Raises httpx.ReadError where the sandbox hangs up."""
        kept: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 (closed with the reply)

        async def keeping(scope: Scope, receive: Receive, send: Send) -> None:
            async def keep(message: Message) -> None:
                if message["type"] == "http.response.body":
                    try:
                        kept.write(message.get("body", b""))
                    except OSError as exc:  # raised as it is, it would be taken for the sandbox's own disk
                        raise httpx.ReadError(f"{exc} (a temporary file)", request=request) from exc
                    message = {**message, "body": b""}
                await send(message)

            await self.app(scope, receive, keep)

        try:
            response = await httpx.ASGITransport(app=keeping).handle_async_request(request)
        except BaseException as exc:
            kept.close()
            if isinstance(exc, ConnectionResetError):
                raise httpx.ReadError(str(exc), request=request) from exc
            raise
        response.stream = _Kept(kept) if kept.tell() > _IN_MEMORY else _read(kept)
        return response


def _read(kept: IO[bytes]) -> httpx.ByteStream:
    """A short reply: nothing of it stays open, also where nobody reads it."""
    with kept:
        kept.seek(0)
        return httpx.ByteStream(kept.read())


class _Kept(httpx.AsyncByteStream):
    """A reply that waits in a file of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(_IN_MEMORY):
            yield chunk

    async def aclose(self) -> None:
        self._file.close()


async def _bounded(response: httpx.Response, limit: int, *, cut: bool = False) -> bytes:
    """The body, no more than `limit` bytes of it. More raises TooLarge, or is cut off."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > limit:
            if cut:
                break
            raise TooLarge(f"A reply of over {limit / 1e6:,.0f} MB is not Groq's protocol.", maybe_done=True)
    return bytes(body[:limit])
