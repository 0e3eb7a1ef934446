"""Where a process can be made to die by SIGKILL: at every boundary of a job's way, and at no other moment."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from typing import Any

from groq_magic import api, shards, wire
from groq_magic.answers import Rows
from groq_magic.ledger import Ledger

# Each boundary: what is met there, and whether the process dies before it, after it, or when the service's
# reply is there and not yet read. A state is met when it has been written down.
BOUNDARIES = {
    "before the cut": (shards, "cut", "before"),
    "during the cut": (shards._Cutter, "one", "after"),
    "after the cut": (shards, "cut", "after"),
    "after the job is put down": (Ledger, "add", "after"),
    "before an upload": (Ledger, "uploading", "state"),
    "during an upload": (api.Groq, "upload", "reply"),
    "after an upload": (api.Groq, "upload", "after"),
    "after an upload is written down": (Ledger, "uploaded", "state"),
    "before a create": (Ledger, "creating", "state"),
    "between a create's acceptance and its reply": (api.Groq, "create_batch", "reply"),
    "after a create": (api.Groq, "create_batch", "after"),
    "after a create is written down": (Ledger, "created", "state"),
    "during a poll": (api.Groq, "batches", "reply"),
    "after a poll": (Ledger, "ended", "state"),
    "before a download": (api.Groq, "content", "before"),
    "during a download": (os, "fsync", "before"),
    "after a download": (Ledger, "collected", "state"),
    "before the parsing": (Rows, "collect", "before"),
    "after the parsing": (Rows, "collect", "after"),
}
# The same while prompts are asked one by one; a number is how often a call is met before.
ASKING = {
    "before the first prompt is asked": (api.Groq, "chat", "before"),
    "between an answer and its arrival": (api.Groq, "chat", "reply"),
    "after the first answer": (api.Groq, "chat", "after"),
    "before an answer is kept": (wire, "result_line", 7),
    "after the end is written down": (Ledger, "collected", "state"),
}


def die_at(boundary: str) -> None:
    """From now on this process dies when it comes to the boundary."""
    owner, name, when = (BOUNDARIES | ASKING)[boundary]
    if isinstance(when, int):
        _after_calls(owner, name, when)
    elif when == "state":
        _after_state(name)
    elif when == "reply":
        _before_reading(owner, name)
    elif boundary == "during a download":
        _in_downloads()
    else:
        _around(owner, name, when)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _around(owner: Any, name: str, when: str) -> None:
    real: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(real)
    def dying(*args: Any, **how: Any) -> Any:
        if when == "before":
            _die()
        done = real(*args, **how)
        if hasattr(done, "__await__"):
            return _then_die(done)
        _die()
        return done

    setattr(owner, name, dying)


async def _then_die(done: Any) -> Any:
    found = await done
    _die()
    return found


def _after_calls(owner: Any, name: str, times: int) -> None:
    """Dies before one call more than so many."""
    real, left = getattr(owner, name), iter(range(times))

    def dying(*args: Any) -> Any:
        if next(left, None) is None:
            _die()
        return real(*args)

    setattr(owner, name, dying)


def _after_state(state: str) -> None:
    real = Ledger.update_shard

    def dying(self: Ledger, shard: Any, **facts: object) -> None:
        real(self, shard, **facts)
        if facts.get("state") == state:
            _die()

    Ledger.update_shard = dying  # type: ignore[method-assign]


def _before_reading(owner: Any, name: str) -> None:
    """The service has carried it out; the client has not read what it said."""
    real = getattr(owner, name)

    async def asking(*args: Any, **how: Any) -> Any:
        async def dying(*_: Any, **__: Any) -> bytes:
            _die()
            return b""

        api._bounded = dying
        return await real(*args, **how)

    setattr(owner, name, asking)


def _in_downloads() -> None:
    """The file is here and has not got its name."""
    real = api.Groq.content

    async def downloading(*args: Any, **how: Any) -> int:
        os.fsync = lambda fd: _die()
        return await real(*args, **how)

    api.Groq.content = downloading  # type: ignore[method-assign]
