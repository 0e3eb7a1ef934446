"""What does the service hold of ours that no reply told us of? After an unanswered create, or a lost ledger.

A batch is ours if it is over our file, or else if it carries our tag. The list is read to its end, because
its order is not documented: https://console.groq.com/docs/batch
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from groq_magic.api import Groq
from groq_magic.errors import NoReply
from groq_magic.wire import Batch

MOST_PAGES = 1_000
_CAME_TO_NOTHING = ("failed", "expired", "cancelled")


async def batches(api: Groq, file_id: str, tag: str) -> list[Batch]:
    """The batches over this file, the oldest first; if there is none, a living one with this tag.

    Raises ApiError where the list cannot be had whole.
    """
    ours: dict[str, Batch] = {}
    akin: dict[str, Batch] = {}
    async for batch in listed(api):
        if batch.input_file_id == file_id:
            ours[batch.id] = batch
        elif batch.metadata.get("groq_magic") == tag and batch.status not in _CAME_TO_NOTHING:
            akin[batch.id] = batch
    return _oldest_first(ours) or _oldest_first(akin)[:1]


async def listed(api: Groq) -> AsyncIterator[Batch]:
    """Every batch that the key may see. Raises ApiError where the list has no end."""
    cursor: str | None = None
    seen: set[str | None] = set()
    while cursor not in seen and len(seen) < MOST_PAGES:
        seen.add(cursor)
        page = await api.batches(cursor=cursor)
        for batch in page.batches:
            yield batch
        if page.next_cursor is None:
            return
        cursor = page.next_cursor
    raise NoReply("The list of batches has no end.", maybe_done=True)


def _oldest_first(found: dict[str, Batch]) -> list[Batch]:
    return sorted(found.values(), key=lambda batch: (batch.created_at or 0, batch.id))
