"""One thread, one event loop, for everything asynchronous."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from groq_magic import loop

cell: contextvars.ContextVar[str] = contextvars.ContextVar("cell", default="none")


def test_everything_runs_on_one_daemon_thread() -> None:
    """Whoever submits, coroutines run on the same thread, which does not keep the process alive."""

    async def where() -> threading.Thread:
        return threading.current_thread()

    first, second = loop.run(where()), loop.run(where())
    assert first is second
    assert first.daemon
    assert first is not threading.current_thread()


def test_what_is_submitted_does_not_belong_to_the_submitting_cell() -> None:
    """A coroutine does not see the submitter's context: what it shows is not taken for that cell's."""

    async def seen() -> str:
        return cell.get()

    cell.set("the cell")
    assert loop.run(seen()) == "none"


def test_an_error_is_raised_where_it_is_waited_for() -> None:
    """What a coroutine raises reaches whoever runs it."""

    async def breaks() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        loop.run(breaks())


def test_a_wait_that_is_given_up_cancels_what_was_waited_for() -> None:
    """When the time is over the coroutine is cancelled and does not go on unseen."""
    ended = threading.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(TimeoutError):
        loop.run(endless(), timeout_s=0.05)
    assert ended.wait(10)
