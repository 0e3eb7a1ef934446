"""The sandbox on a socket of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .app import create_app
from .gate import ABORT, CLOSE
from .rules import Rules
from .store import NoHome

MOST_CONNECTIONS = 512
_SILENT_S = 60.0  # a connection that has asked for nothing by then is closed


class _Expected(logging.Filter):
    """Keeps out of the log what is no error: requests that were cut off when the server was told to stop."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be seen."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, asyncio.CancelledError) and "graceful shutdown" not in str(record.msg)


def serve(
    home: Path | str,
    host: str = "127.0.0.1",
    port: int = 0,
    pace_s: float = 0.0,
    *,
    rules: Rules | None = None,
    token: str | None = None,
) -> None:
    """Serve the store in `home` until SIGINT or SIGTERM, then return.

    Writes one line to stdout once connections are accepted: `Sandbox ready: http://127.0.0.1:PORT`. A missing
    uvicorn, a port in use, a folder that is no home, and an address that other machines reach without a
    `token` to keep them out each end in a SystemExit that says so in one line.
    """
    try:
        import uvicorn
        from uvicorn.protocols.http.h11_impl import H11Protocol
    except ModuleNotFoundError:
        raise SystemExit('The sandbox on a socket needs uvicorn: pip install "groq_magic[sandbox]"') from None
    if not token and not _is_loopback(host):
        raise SystemExit(
            f"{host or 'Every address'} can be reached from other machines: give a --token that clients must "
            "send as their key, or leave --host out."
        )

    class HangingUp(H11Protocol):
        """Lets the app end its connection: `gate.ABORT` and `gate.CLOSE` in the request's state."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.loop.call_later(_SILENT_S, self._end_if_silent)
            self.app_state = {**self.app_state, ABORT: transport.abort, CLOSE: transport.close}

        def _end_if_silent(self) -> None:
            if self.cycle is None and not self.transport.is_closing():
                self.transport.close()

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                sys.stdout.write(f"Sandbox ready: {_url(listening)}\n")
                sys.stdout.flush()

    with _listen(host, port) as listening, _signals_end_it():
        try:
            app = create_app(home, pace_s=pace_s, rules=rules, token=token)
        except NoHome as error:
            raise SystemExit(str(error)) from None
        # Two seconds for what is being downloaded when it is told to stop.
        config = uvicorn.Config(
            app,
            http=HangingUp,
            log_level="error",
            access_log=False,
            lifespan="off",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=2,
        )
        logging.getLogger("uvicorn.error").addFilter(_Expected())
        Announcing(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family)
    except OSError as error:
        said = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise SystemExit(f"The sandbox cannot listen on {host}, port {port}: {said}.") from None
    # asyncio does this only for sockets that it makes itself; without it each reply waits 40 ms for its body.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address: every one that a name stands for."""
    if not host:
        return False  # an empty one is every address there is
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise SystemExit(f"The sandbox cannot listen on {host!r}: there is no such address.") from None
    return all(ipaddress.ip_address(str(address[0]).split("%")[0]).is_loopback for *_, address in found)


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    # A wildcard is no address to call; this machine's own is.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Told(BaseException):
    """A signal asked for the end."""


@contextlib.contextmanager
def _signals_end_it() -> Iterator[None]:
    """SIGINT and SIGTERM end the block quietly: uvicorn, when it has stopped, raises them once more."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def told(number: int, frame: types.FrameType | None) -> None:
        raise _Told

    before = {number: signal.signal(number, told) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except _Told:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
