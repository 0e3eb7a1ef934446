"""The one place where async meets sync: a daemon thread that owns one event loop for the whole process.

A task on the kernel's own loop stands still while a cell computes; a thread of its own does not.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_pid = 0


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
