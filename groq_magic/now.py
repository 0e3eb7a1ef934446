"""Prompts asked one by one through the ordinary endpoint: POST /chat/completions, at on-demand price.

Each outcome is a line of the shard's result file as a batch would have it, there before the next prompt is
asked: what is in the file is never asked again, and a process that is killed pays again at most for the
requests that were in flight. https://console.groq.com/docs/rate-limits
"""

from __future__ import annotations

import asyncio
import mmap
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from groq_magic import policy, wire
from groq_magic.answers import Rows
from groq_magic.answers.reading import PENDING
from groq_magic.errors import ApiError, Refused

AT_ONCE = 8
TRIES = 5  # how often a prompt is asked that gets no usable reply
PUT_DOWN_S = 1.0  # how often what came is made to last, and shown
LIMITED_S = 10.0  # the wait after a 429 that names none

_DAY_S, _MINUTE_S = 86_400.0, 60.0


@dataclass(frozen=True)
class Means:
    """What asking takes from whoever drives the job.

    `pause` may be woken early; `over` says that nothing more is to be asked; `note` writes the counts of
    answered and failed rows down; `trouble` is told what did not work, or None.
    """

    chat: Callable[[bytes], Awaitable[wire.Told]]
    pause: Callable[[float], Awaitable[None]]
    over: Callable[[], bool]
    note: Callable[[int, int], None]
    trouble: Callable[[ApiError | None], None]


class Pace:
    """The limits as replies tell them: when to ask again, and how long the rest takes."""

    def __init__(self) -> None:
        self._limits: wire.Limits | None = None
        self._answers = self._tokens = 0
        self._resumes_at = 0.0  # by the monotonic clock

    def heard(self, told: wire.Told) -> None:
        """Takes in a reply. Where it says that nothing is left, nobody asks before the reset."""
        self._limits = told.limits
        self._answers, self._tokens = self._answers + 1, self._tokens + told.tokens
        if told.limits.retry_after_s:
            self.hold(told.limits.retry_after_s)

    def hold(self, seconds: float) -> None:
        """Nobody asks for so long."""
        self._resumes_at = max(self._resumes_at, time.monotonic() + seconds)

    async def turn(self, pause: Callable[[float], Awaitable[None]]) -> None:
        """Waits until asking is allowed. A wait that somebody is woken from is over for all."""
        while (until := self._resumes_at) > time.monotonic():
            await pause(until - time.monotonic())
            if self._resumes_at == until:  # nobody was told to wait longer
                self._resumes_at = 0.0

    def said(self, left: int) -> str:
        """What the limits mean for so many rows, in a sentence; "" before anything is known of them."""
        limits = self._limits
        if not left or limits is None or not limits.limit_tokens:
            return ""
        seconds = _MINUTE_S * left * self._tokens / self._answers / limits.limit_tokens
        known = f"{limits.limit_tokens:,} tokens a minute"
        if limits.limit_requests:
            known += f", {limits.limit_requests:,} requests a day"
            today = limits.limit_requests if limits.remaining_requests is None else limits.remaining_requests
            seconds = max(seconds, _DAY_S * max(0, left - today) / limits.limit_requests)
        others = "the other one takes" if left == 1 else f"the other {left:,} take"
        return f"At the limits seen ({known}) {others} {_about(seconds)}."


def _about(seconds: float) -> str:
    if seconds < _MINUTE_S:
        return "under a minute"
    for unit_s, unit in ((_DAY_S, "days"), (3_600.0, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * unit_s or unit_s == _MINUTE_S:
            return f"about {seconds / unit_s:.0f} {unit}"
    raise AssertionError(seconds)  # a minute fits whatever is no shorter


class Asking:
    """The prompts of one shard on their way, from where its result file ends. Lives on one event loop."""

    def __init__(self, number: int, rows: Rows, sent: Path, results: Path, pace: Pace, means: Means) -> None:
        self.unanswered = ""  # why the last of those got no reply that got none
        self._number, self._rows, self._pace, self._means = number, rows, pace, means
        self._sent, self._results = sent, results
        self._written = 0
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Asks until every row has its outcome, or until it is over; what is in flight then is taken in.

        Raises Refused where the service will not have any of it, OSError.
        """
        self._written = await asyncio.to_thread(_whole_lines, self._results)
        await asyncio.to_thread(self._rows.collect, self._number, self._results, self._written)
        ended = asyncio.Event()
        with self._sent.open("rb") as sent, self._results.open("ab") as file:
            left = self._left(sent)
            lasting = asyncio.create_task(self._make_last(file, ended))
            try:
                await asyncio.gather(*(self._work(left, file) for _ in range(AT_ONCE)))
            finally:
                ended.set()
                await lasting
        if self._failure is not None:
            raise self._failure

    def _left(self, sent: BinaryIO) -> Iterator[wire.Asked]:
        """The requests without an outcome, read as they are needed."""
        for row, line in zip(self._rows.rows_of(self._number), sent, strict=True):
            if self._rows.status[row] == PENDING:
                yield wire.asked(line)

    async def _work(self, left: Iterator[wire.Asked], file: BinaryIO) -> None:
        """Asks one prompt after the other; several do so at once."""
        try:
            while not self._over and (asked := next(left, None)) is not None:
                if (line := await self._outcome(asked)) is not None:
                    file.write(line)
                    file.flush()
                    self._written += len(line)
        except Exception as exc:
            self._failure = self._failure or exc

    @property
    def _over(self) -> bool:
        return self._failure is not None or self._means.over()

    async def _outcome(self, asked: wire.Asked) -> bytes | None:
        """The line that tells what became of a request; None where there was no reply, or it is over."""
        failures, unasked, why = 0, 0, ""
        while failures < TRIES:
            await self._pace.turn(self._means.pause)
            if self._over:
                return None
            try:
                told = await self._means.chat(asked.body)
            except ApiError as exc:
                meant, why = policy.of_a_prompt(exc), exc.message
                if meant == "refused":
                    raise
                if meant == "failed":
                    return _failed(asked.custom_id, exc)
                self._means.trouble(exc)
                if meant == "limited":
                    self._pace.hold(_asked_for(exc) or LIMITED_S)
                    continue
                failures += meant == "again"
                unasked += meant == "unasked"  # it never left: trying on costs nothing
                if failures < TRIES:
                    await self._means.pause(_asked_for(exc) or policy.pause_s(failures + unasked))
            else:
                self._pace.heard(told)
                self._means.trouble(None)
                return wire.result_line(asked.custom_id, 200, told.request_id, told.body)
        self.unanswered = f"No usable reply in {TRIES} tries; the last time: {why}"
        return None

    async def _make_last(self, file: BinaryIO, ended: asyncio.Event) -> None:
        """Once a second, and at the end: what came is on the disk, in the rows and on the ledger."""
        lasts = self._written
        over = False
        while not over:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), PUT_DOWN_S)
            over = ended.is_set()
            if lasts == self._written:
                continue
            try:
                lasts = self._written
                await asyncio.to_thread(os.fsync, file.fileno())
                await asyncio.to_thread(self._rows.collect, self._number, self._results, lasts)
                self._rows.pace = self._pace.said(self._count_left())
                self._means.note(*self._rows.here(self._number))
            except Exception as exc:
                self._failure = self._failure or exc
                return

    def _count_left(self) -> int:
        numbers = self._rows.open_shards()
        return sum(len(self._rows.rows_of(n)) - sum(self._rows.here(n)) for n in numbers)


def _failed(custom_id: str, exc: ApiError) -> bytes:
    """The line of a request that failed as it would in a batch; of what came too large, one that says so."""
    if isinstance(exc, Refused):
        return wire.result_line(custom_id, exc.status, exc.request_id, wire.error_body(exc.body))
    return wire.result_line(custom_id, 200, "", wire.error_of("reply_too_large", exc.message))


def _asked_for(exc: ApiError) -> float | None:
    return exc.retry_after_s if isinstance(exc, Refused) else None


def _whole_lines(path: Path) -> int:
    """How many bytes of whole lines a file holds; a last line that broke off is cut away."""
    with path.open("ab") as file:
        size = file.tell()
    if not size:
        return 0
    with path.open("r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            whole = held.rfind(b"\n") + 1
        file.truncate(whole)
    return whole
