"""One poller for each service and key: it asks about all its batches together, up to 200 at a time.

https://console.groq.com/docs/batch: `GET /batches?id=…&id=…` answers for up to 200 ids. A service that does
not know `id` is asked about each batch by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from groq_magic import wire
from groq_magic.api import IDS_AT_ONCE, Groq
from groq_magic.errors import ApiError, NoReply, Refused

_NO_LIST = (400, 403, 404, 405)  # how a service answers that has no such list, or none for this key

log = logging.getLogger("groq_magic")


@dataclass
class _Wish:
    """Somebody asks about a batch: due at `due`, welcome from `early` on (both in loop time)."""

    due: float
    early: float
    told: asyncio.Future[wire.Batch]


class Poller:
    """Answers "how is this batch?" for many who ask, with few requests. Lives on one event loop."""

    def __init__(self, api: Groq) -> None:
        self._api = api
        self._wishes: dict[str, _Wish] = {}
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._knows_ids = True

    async def ask(self, batch_id: str, in_s: float) -> wire.Batch:
        """The batch in about `in_s` seconds, or sooner together with others. Raises ApiError."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        # Early enough that those who were told one after the other are asked about together again.
        wish = _Wish(now + in_s, now + 0.3 * in_s, loop.create_future())
        self._wishes[batch_id] = wish
        self._woken.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        try:
            return await wish.told
        finally:
            self._wishes.pop(batch_id, None)

    def hurry(self, batch_id: str) -> None:
        """Asks about this batch now."""
        if wish := self._wishes.get(batch_id):
            wish.due = wish.early = 0.0
            self._woken.set()

    async def _work(self) -> None:
        """Goes on as long as anybody waits; should it ever break, nobody is left waiting."""
        try:
            await self._rounds()
        except Exception as exc:
            log.warning("groq_magic: asking about batches broke", exc_info=True)
            _tell(self._wishes.values(), NoReply(f"Asking about batches broke: {exc!r}.", maybe_done=True))

    async def _rounds(self) -> None:
        loop = asyncio.get_running_loop()
        while self._wishes:
            self._woken.clear()
            wait = min(wish.due for wish in self._wishes.values()) - loop.time()
            if wait > 0:
                try:
                    await asyncio.wait_for(self._woken.wait(), wait)
                except TimeoutError:
                    pass
                else:
                    continue
            now = loop.time()
            due = [(found, wish) for found, wish in self._wishes.items() if wish.early <= now]
            for start in range(0, len(due), IDS_AT_ONCE):
                await self._round(dict(due[start : start + IDS_AT_ONCE]))
            await asyncio.sleep(0)  # those who were told ask again or are gone

    async def _round(self, wishes: dict[str, _Wish]) -> None:
        left = dict(wishes)
        if self._knows_ids and len(wishes) > 1:
            try:
                page = await self._api.batches(wishes)
            except ApiError as exc:
                if not (isinstance(exc, Refused) and exc.status in _NO_LIST):
                    _tell(left.values(), exc)
                    return
                self._knows_ids = False
            else:
                for batch in page.batches:
                    if batch.id in left:
                        _tell([left.pop(batch.id)], batch)
                    elif batch.id not in wishes:
                        self._knows_ids = False
        for batch_id, wish in left.items():
            try:
                _tell([wish], await self._api.batch(batch_id))
            except ApiError as exc:
                _tell([wish], exc)


def _tell(wishes: Iterable[_Wish], outcome: wire.Batch | ApiError) -> None:
    for wish in list(wishes):
        if wish.told.done():
            continue
        if isinstance(outcome, ApiError):
            wish.told.set_exception(outcome)
        else:
            wish.told.set_result(outcome)
