"""A result file: fetched to the side of its place, held against what it should be, then moved there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from groq_magic import policy
from groq_magic.answers import Held, Rows
from groq_magic.api import Groq
from groq_magic.errors import NoReply, Refused
from groq_magic.job import Shard

log = logging.getLogger("groq_magic")

TRIES = 4  # how often a file that broke off, or holds nothing of ours, is fetched again


def results(
    file_id: str, path: Path, rows: Rows, shard: Shard, counted: int
) -> Callable[[Groq], Awaitable[None]]:
    """One attempt at a shard's result file, to be repeated on NoReply; `counted` lines are to be expected.

    Raises Refused where nothing but something else comes in its place.
    """
    side, tries = path.with_name(path.name + ".new"), iter(range(TRIES))
    before: tuple[int, Held] | None = None

    async def fetch(api: Groq) -> None:
        nonlocal before
        try:
            size = await api.content(file_id, side)
            held = await asyncio.to_thread(rows.inspect, shard.number, side)
            whole = await size_of(api, file_id)
            wrong, odd = policy.no_results(size, whole, held), policy.oddity(held, counted)
            # Where the service does not tell the size, what comes twice is all there is.
            again, before = before == (size, held), (size, held)
            unsure = bool(odd) and not whole and not again
            if again and held.ours and held.ours >= counted:
                wrong = ""  # every reply that was counted is there: it is the size that is wrong
            if wrong or unsure:
                if next(tries, None) is not None:
                    raise NoReply(wrong or odd, maybe_done=True)
                if wrong:
                    raise Refused(200, "no_results", f"{wrong} They are still there: run the cell again.")
            if odd:
                log.warning("groq_magic: %s: %s", shard.batch_id, odd)
            side.replace(path)
        finally:
            side.unlink(missing_ok=True)

    return fetch


async def size_of(api: Groq, file_id: str) -> int:
    """How many bytes the service says that a file has; 0 where it does not say."""
    try:
        return await api.file_size(file_id)
    except Refused as exc:
        if policy.passing(exc):
            raise
        return 0
