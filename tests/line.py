"""A client with a sandbox, and the line between them, on which anything can happen to a request."""

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from groq_magic import api, client, ledger, pipeline, prompts, runs, services
from groq_magic import job as jobs
from groq_magic.answers import Answers
from groq_magic.job import Shard, Snapshot
from groq_magic.keys import Service
from groq_magic.settings import Settings

WAIT_S = 30  # a test that waits longer than this hangs
REAL_PAUSE = pipeline.Run._pause

UPLOAD, CREATE, POLL = ("POST", "/files"), ("POST", "/batches"), ("GET", r"/batches(/\w+)?")
CANCEL, DOWNLOAD, MODELS = (
    ("POST", r"/batches/\w+/cancel"),
    ("GET", r"/files/\w+/content"),
    ("GET", "/models"),
)

LIST, FILES, FILE = ("GET", "/batches"), ("GET", "/files"), ("GET", r"/files/\w+")

Send = Callable[[httpx.Request], Awaitable[httpx.Response]]
Act = Callable[[httpx.Request, Send], Awaitable[httpx.Response]]


@dataclass
class Line(httpx.AsyncBaseTransport):
    """The line to the sandbox. What `on` gives for a request happens to it: one act for each, then none."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    seen: Callable[[httpx.Request], None] = lambda request: None
    _acts: list[tuple[tuple[str, str], list[Act | None]]] = field(default_factory=list)
    _sandbox: httpx.ASGITransport | None = None

    def to(self, service: Service) -> httpx.AsyncBaseTransport:
        """This line, laid to the sandbox of a service."""
        assert service.folder is not None
        self._sandbox = api._InProcess(app=api.sandbox_app(service.folder, service.pace_s))
        return self

    def on(self, what: tuple[str, str], *acts: Act | None) -> None:
        """The first matching request meets the first act, and so on; None lets one pass."""
        self._acts.append((what, list(acts)))

    def count(self, what: tuple[str, str]) -> int:
        """How often this was asked."""
        return sum(method == what[0] and bool(re.fullmatch(what[1], path)) for method, path in self.asked)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carries a request to the sandbox and the reply back, unless something happens on the way."""
        assert self._sandbox is not None
        await request.aread()
        method, path = request.method, request.url.path.removeprefix("/openai/v1")
        self.asked.append((method, path))
        self.seen(request)
        for what, acts in self._acts:
            if acts and method == what[0] and re.fullmatch(what[1], path):
                act = acts.pop(0)
                if act is not None:
                    return await act(request, self._sandbox.handle_async_request)
        return await self._sandbox.handle_async_request(request)


# --- what can happen on the line ----------------------------------------------------------------------


def lost(error: type[httpx.RequestError]) -> Act:
    """The request never arrives."""

    async def act(request: httpx.Request, send: Send) -> httpx.Response:
        raise error("lost on the way", request=request)

    return act


def unanswered(error: type[httpx.RequestError]) -> Act:
    """The request arrives and is carried out; the reply does not come."""

    async def act(request: httpx.Request, send: Send) -> httpx.Response:
        await send(request)
        raise error("no reply", request=request)

    return act


def says(status: int, body: object = None, **headers: str) -> Act:
    """Something else answers: JSON, or text as it is."""

    async def act(request: httpx.Request, send: Send) -> httpx.Response:
        how: dict[str, Any] = {"text": body} if isinstance(body, str) else {"json": body}
        return httpx.Response(status, headers={k.replace("_", "-"): v for k, v in headers.items()}, **how)

    return act


def refuses(status: int, message: str, code: str = "invalid_request", **headers: str) -> Act:
    """The service refuses."""
    return says(status, {"error": {"message": message, "type": "t", "code": code}}, **headers)


def replaced(**fields: object) -> Act:
    """The request is carried out, and the reply has other values in some fields."""

    async def act(request: httpx.Request, send: Send) -> httpx.Response:
        reply = await send(request)
        return httpx.Response(reply.status_code, json=json.loads(await reply.aread()) | fields)

    return act


def without(*fields: str) -> Act:
    """The request is carried out, and the reply lacks some fields."""

    async def act(request: httpx.Request, send: Send) -> httpx.Response:
        reply = await send(request)
        whole = json.loads(await reply.aread())
        return httpx.Response(reply.status_code, json={key: whole[key] for key in whole.keys() - {*fields}})

    return act


def rewritten(change: Callable[[list[bytes]], list[bytes]]) -> Act:
    """The request is carried out, and the file that comes has other lines."""

    async def act(request: httpx.Request, send: Send) -> httpx.Response:
        reply = await send(request)
        lines = (await reply.aread()).split(b"\n")[:-1]
        return httpx.Response(reply.status_code, content=b"".join(each + b"\n" for each in change(lines)))

    return act


class Torn(httpx.AsyncByteStream):
    """The beginning of a reply; then the connection is lost."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b'{"custom_id": "'
        raise httpx.ReadError("Connection reset by peer")


async def tears(request: httpx.Request, send: Send) -> httpx.Response:
    """The download begins and breaks off."""
    return httpx.Response(200, stream=Torn())


GARBAGE = says(200, "<html>gateway</html>")
EARLIER = replaced(status="in_progress", output_file_id=None, error_file_id=None)
PASSING: dict[str, Act] = {
    "no connection": lost(httpx.ConnectError),
    "a reset": unanswered(httpx.ReadError),
    "no reply in time": unanswered(httpx.ReadTimeout),
    "500": refuses(500, "Internal Server Error"),
    "503": says(503, "busy"),
    "HTML instead of JSON": GARBAGE,
}
PLAN = refuses(403, "Not for your plan.", "not_available_for_plan")


# --- a client with a sandbox --------------------------------------------------------------------------


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits are noted here instead of being waited for."""
    noted: list[float] = []

    async def short(self: pipeline.Run, seconds: float) -> None:
        noted.append(seconds)
        await REAL_PAUSE(self, min(seconds, 0.01))

    monkeypatch.setattr(pipeline.Run, "_pause", short)
    monkeypatch.setattr(jobs, "ask_again_s", lambda age_s: 0.01)
    monkeypatch.setattr(pipeline, "SURE_AFTER_S", 0.005)
    monkeypatch.setattr(pipeline, "LATE_ERRORS_S", 0.05)
    return noted


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> Iterator[Line]:
    """The line to a new sandbox that answers at once, in a home of the test's own."""
    monkeypatch.setenv("GROQ_MAGIC_HOME", str(tmp_path / "home"))
    laid = Line()
    monkeypatch.setattr(api, "_in_process", laid.to)
    services.use_sandbox(pace_s=0)
    yield laid
    forget()
    services.use_groq()


def forget() -> None:
    """What the end of a process does to the client: everything in memory is gone."""
    runs.leave().result(WAIT_S)
    ledger.let_go()


def submit(*asked: str, shard_rows: int = 50_000, name: str = "answers", **how: Any) -> Answers:
    """These prompts, sent; each echoes what follows its mark."""
    return client.send(prompts.from_source(list(asked)), Settings(shard_rows=shard_rows, **how), name=name)


def echoes(count: int, first: int = 0) -> list[str]:
    """Prompts whose replies are their numbers."""
    return [f"[[echo]]{n}" for n in range(first, first + count)]


def numbers(count: int) -> list[str]:
    """The replies to them."""
    return [str(n) for n in range(count)]


def ends(answers: Answers) -> list[tuple[str, str | None]]:
    """Status and error's code of each answer."""
    return [(answer.status, answer.error.code if answer.error else None) for answer in answers]


def shards(answers: Answers) -> list[Shard]:
    """What the ledger says of the shards."""
    return ledger.current().shards(answers.job_id)


class Seen:
    """An observer that keeps every snapshot, and wakes who waits for one."""

    def __init__(self, answers: Answers) -> None:
        self.snapshots: list[Snapshot] = []
        self._more = threading.Condition()
        client.watch(answers, self)

    def __call__(self, snapshot: Snapshot) -> None:
        """Keeps a snapshot."""
        with self._more:
            self.snapshots.append(snapshot)
            self._more.notify_all()

    def until(self, wanted: Callable[[Snapshot], bool]) -> Snapshot:
        """The first snapshot that is as wanted."""
        with self._more:
            assert self._more.wait_for(lambda: any(map(wanted, self.snapshots)), WAIT_S)
            return next(filter(wanted, self.snapshots))


@dataclass
class Gate:
    """An act that holds a request until it is opened; then it meets another act, or passes."""

    then: Act | None = None
    arrived: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, request: httpx.Request, send: Send) -> httpx.Response:
        """Waits, then lets the request pass."""
        self.arrived.set()
        assert await asyncio.to_thread(self.opened.wait, WAIT_S)
        return await self.then(request, send) if self.then else await send(request)


def sent(line: Line) -> list[int]:
    """How many requests each upload held; filled while the line is used."""
    found: list[int] = []

    def look(request: Any) -> None:
        if request.method == "POST" and request.url.path.endswith("/files"):
            found.append(request.content.count(b'"method":"POST"'))

    line.seen = look
    return found


def last(answers: Answers) -> Snapshot:
    """How the card shows it now."""
    return Seen(answers).until(lambda now: True)


@pytest.fixture
def long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was put down and not begun was put down long ago."""
    monkeypatch.setattr(runs, "_ABOUT_TO_S", -1.0)


def stranded(line: Line, *asked: str) -> Answers:
    """Prompts that were cut in a process that ended before it could send them."""
    line.on(MODELS, *[lost(httpx.ConnectError)] * 10_000)
    answers = submit(*asked, name="stranded")
    Seen(answers).until(lambda now: now.trouble is not None)
    forget()
    line._acts.clear()
    return answers


@pytest.fixture
def no_late_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A completed batch that names no file is not asked about for a minute."""
    monkeypatch.setattr(pipeline, "LATE_FILES_S", 0.05)
