"""Bad weather between a client and a service: a proxy that does to each request what a schedule says."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from urllib.parse import urlsplit

KINDS = {
    "models": r"GET /models",
    "files": r"GET /files",
    "upload": r"POST /files",
    "create": r"POST /batches",
    "list": r"GET /batches(\?cursor=.*)?",
    "poll": r"GET /batches(/\w+|\?id=.*)",
    "cancel": r"POST /batches/\w+/cancel",
    "download": r"GET /files/\w+/content",
    "size": r"GET /files/\w+",
}


@dataclass(frozen=True)
class Fault:
    """How often the service gets the request, and what the client gets for it.

    `late` is a request that reaches the service after the client has given up and read a list without it.
    """

    times: int
    then: str
    late: bool = False


_PADDING = "<!-- as a real page, it is longer than short results -->" * 500
PASS = Fault(1, "reply")
FAULTS = {
    "reset": Fault(0, "reset"),
    "reset reply": Fault(1, "reset"),
    "stall": Fault(0, "silence"),
    "stalled reply": Fault(1, "silence"),
    "late": Fault(0, "silence", late=True),
    "page": Fault(0, "page 200"),
    "page for a reply": Fault(1, "page 200"),
    "bad gateway": Fault(0, "page 502"),
    "unavailable": Fault(1, "page 503"),
    "half": Fault(1, "half"),
    "twice": Fault(2, "reset"),
}
_NAMES = tuple(FAULTS)


class Schedule:
    """What happens to the n-th request of each kind, drawn from a seed; other kinds have no part in it.

    The first one of a kind meets the fault whose turn it is, so that as many seeds as there are faults bring
    each to each kind; of the later ones a `share` meets any. Gives "" for a request that passes.
    """

    def __init__(self, seed: int, share: float = 0.25) -> None:
        self.seed, self._share = seed, share
        self.record: list[tuple[str, str]] = []
        self._chances = {kind: random.Random(f"{seed} {kind}") for kind in KINDS}

    def __call__(self, kind: str) -> str:
        """The fault that the next request of this kind meets."""
        chance = self._chances[kind]
        any_fault, meets = chance.choice(_NAMES), chance.random() < self._share
        if not any(kind == met for met, _ in self.record):
            fault = _NAMES[(self.seed + list(KINDS).index(kind)) % len(_NAMES)]
        else:
            fault = any_fault if meets else ""
        self.record.append((kind, fault))
        return fault

    def __repr__(self) -> str:
        said = []
        for kind in KINDS:
            faults = [fault for met, fault in self.record if met == kind]
            said.append(f"{kind}: " + (", ".join(fault or "·" for fault in faults) or "none"))
        return f"seed {self.seed}, what each kind of request met in turn (· passed):\n" + "\n".join(said)


@contextlib.contextmanager
def proxy(url: str, schedule: Callable[[str], str]) -> Iterator[str]:
    """The URL of a proxy before the service at `url`; in the end it has stopped, and nothing in it broke."""
    listening: Future[str] = Future()
    line = _Proxy(url, schedule)
    thread = threading.Thread(target=lambda: asyncio.run(line.serve(listening)))
    thread.start()
    try:
        yield listening.result(10)
    finally:
        line.stop()
        thread.join(10)
    assert not thread.is_alive()
    assert not line.broken, line.broken


class _Proxy:
    def __init__(self, url: str, schedule: Callable[[str], str]) -> None:
        self._service, self._schedule = urlsplit(url), schedule
        self._late: list[tuple[bytes, asyncio.StreamReader]] = []
        self._connected: set[asyncio.Task[None] | None] = set()  # asyncio itself does not hold on to them
        self.broken: list[Exception] = []

    async def serve(self, listening: Future[str]) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        # The service gets one request at a time, so that a list shows all that it was asked for before.
        self._turn = asyncio.Lock()
        server = await asyncio.start_server(self._connection, "127.0.0.1")
        host, port = server.sockets[0].getsockname()
        listening.set_result(f"http://{host}:{port}")
        await self._stopped.wait()
        server.close()
        while connected := asyncio.all_tasks() - {asyncio.current_task()}:  # one may just have been accepted
            for task in connected:
                task.cancel()
            await asyncio.wait(connected)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connected.add(task := asyncio.current_task())
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while await self._request(reader, writer):
                    pass
        except Exception as exc:
            self.broken.append(exc)
        finally:
            self._connected.discard(task)
            with contextlib.suppress(OSError):  # closed by the client
                at_once = struct.pack("ii", 1, 0)  # not lingering, the end is a reset
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            writer.transport.abort()

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Carries one request; whether the connection is good for another."""
        head = await reader.readuntil(b"\r\n\r\n")
        request = _last(head) + await reader.readexactly(_length(head) or 0)
        kind = kind_of(head)
        fault = FAULTS.get(self._schedule(kind), PASS) if kind else PASS
        reply = b""
        if fault.late:
            self._late.append((request, reader))
        for _ in range(fault.times):
            reply = await self._passed_on(request)
        if kind == "list" and fault.times:
            await self._pass_on_late_ones()
        match fault.then.split():
            case ["reply"]:
                writer.write(_lasting(reply))
                return _is_whole(reply)
            case ["page", status]:
                page = f"<html><body>{status}{_PADDING}</body></html>"
                head_of = f"HTTP/1.1 {status} -\r\ncontent-type: text/html\r\ncontent-length: {len(page)}"
                writer.write(f"{head_of}\r\n\r\n{page}".encode())
                return True
            case ["half"]:
                start, gap, body = reply.partition(b"\r\n\r\n")
                writer.write(start + gap + body[: len(body) // 2])
            case ["silence"]:
                await reader.read()  # until the client gives up
        return False

    async def _pass_on_late_ones(self) -> None:
        """Those whose client has given up; it may now be reading a list that lacks them."""
        gone = [late for late in self._late if late[1].at_eof() or late[1].exception()]
        self._late = [late for late in self._late if late not in gone]
        for request, _ in gone:
            with contextlib.suppress(OSError):
                await self._passed_on(request)

    async def _passed_on(self, request: bytes) -> bytes:
        """What the service replies, all of it."""
        async with self._turn:
            reader, writer = await asyncio.open_connection(self._service.hostname, self._service.port)
            try:
                writer.write(request)
                return await reader.read()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()


def kind_of(head: bytes) -> str | None:
    """Which kind of request this is; None for what is no part of the protocol."""
    method, target, _ = head.decode("latin-1").split(" ", 2)
    asked = f"{method} {target.removeprefix('/openai/v1')}"
    return next((kind for kind, what in KINDS.items() if re.fullmatch(what, asked)), None)


_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)


def _last(head: bytes) -> bytes:
    """A request's head after whose reply the service closes the connection: that is the reply's end."""
    return _CONNECTION.sub(b"", head)[:-2] + b"connection: close\r\n\r\n"


def _lasting(reply: bytes) -> bytes:
    """A reply after which the connection stays."""
    return _CONNECTION.sub(b"", reply, count=1)


def _length(head: bytes) -> int | None:
    found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return int(found[1]) if found else None


def _is_whole(reply: bytes) -> bool:
    head, _, body = reply.partition(b"\r\n\r\n")
    length = _length(head)
    return body.endswith(b"0\r\n\r\n") if length is None else len(body) == length
