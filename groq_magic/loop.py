"""The one place where async meets sync: a daemon thread that owns one event loop for the whole process.

A task on the kernel's own loop stands still while a cell computes; a thread of its own does not.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextvars
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


class Entered(Exception):
    """A loop runs on this thread, and cannot be entered once more."""


_CANCELLED_BY_S = 2.0

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_pid = 0
_here = threading.local()  # the loop of each thread that has none


def get() -> asyncio.AbstractEventLoop:
    """The running loop, started on first use, and anew in a forked child, which has no threads."""
    global _loop, _thread, _pid
    with _lock:
        if _loop is None or _pid != os.getpid() or not (_thread and _thread.is_alive()):
            _loop, _pid = asyncio.new_event_loop(), os.getpid()
            _thread = threading.Thread(target=_loop.run_forever, name="groq_magic", daemon=True)
            _thread.start()
        return _loop


def submit(coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
    """Starts the coroutine on the loop and returns at once; the future may be waited for elsewhere."""
    # In an empty context: a task would else keep that of the cell which submits, and kernels would take all
    # that it shows for that cell's, which clients that run a notebook cell by cell no longer listen to.
    return contextvars.Context().run(asyncio.run_coroutine_threadsafe, coroutine, get())


def run(coroutine: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
    """Runs the coroutine on the loop and waits here for its result. Not for the loop's own thread."""
    future = submit(coroutine)
    try:
        return future.result(timeout_s)
    except BaseException:
        future.cancel()
        raise


def run_here(awaitable: Awaitable[T]) -> T:
    """Runs an awaitable to its end on the calling thread's own loop, even while that is running.

    What a notebook awaits belongs to the notebook's loop, so it cannot be moved to another one. A running
    loop is entered once more, for which nest_asyncio2 patches asyncio: for good, and only here. An interrupt
    cancels the awaitable. Raises Entered for a loop that cannot be entered again (uvloop's).
    """
    try:
        own = asyncio.get_running_loop()
    except RuntimeError:
        own = _resting()
    else:
        import nest_asyncio2

        try:
            nest_asyncio2.apply(own)
        except ValueError as exc:
            if isinstance(awaitable, Coroutine):
                awaitable.close()
            raise Entered(
                f"the loop that runs here ({type(own).__module__}) cannot be entered again"
            ) from exc
    task = asyncio.ensure_future(awaitable, loop=own)
    with _owed(own):
        try:
            with _interruptible():
                return own.run_until_complete(task)
        except BaseException:
            task.cancel()
            own.run_until_complete(asyncio.wait({task}, timeout=_CANCELLED_BY_S))
            raise


@contextmanager
def _owed(own: asyncio.AbstractEventLoop) -> Iterator[None]:
    """The loop's round that we stand in goes on to call as many callbacks as were ready when it began.

    Those that were called in here are missing to it then, and asyncio's own round ends with an IndexError
    that no one catches: the kernel dies. Empty ones take their place.
    """
    ready = getattr(own, "_ready", None)
    before = len(ready) if ready is not None else 0
    try:
        yield
    finally:
        for _ in range(before - len(ready) if ready is not None else 0):
            own.call_soon(_nothing)


def _nothing() -> None:
    """Takes the place of a callback."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """An interrupt raises KeyboardInterrupt here, as in any cell.

    While a cell awaits, a kernel would cancel that cell's task instead, which stands in here and hears
    nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if before is not None:  # None: not one of Python's
            signal.signal(signal.SIGINT, before)


def _resting() -> asyncio.AbstractEventLoop:
    """The loop of a thread on which none is running: IPython's in a terminal, else one of our own."""
    helpers = sys.modules.get("IPython.core.async_helpers")
    if helpers and threading.current_thread() is threading.main_thread():
        ipythons: asyncio.AbstractEventLoop = helpers.get_asyncio_loop()
        return ipythons
    if getattr(_here, "loop", None) is None:
        _here.loop = asyncio.new_event_loop()
        atexit.register(_here.loop.close)
    found: asyncio.AbstractEventLoop = _here.loop
    return found
