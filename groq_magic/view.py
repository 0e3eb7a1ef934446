"""What is to be seen of a job: frozen snapshots, handed to whoever watches."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from groq_magic import job as jobs
from groq_magic import keys
from groq_magic.answers import Rows, display, spending
from groq_magic.answers.reading import CUT, PENDING, STATUSES
from groq_magic.errors import GroqMagicError
from groq_magic.estimates import Loaned, Reckoning
from groq_magic.job import NAMELESS, Job, Problem, Shard, Snapshot
from groq_magic.ledger import Ledger

Observer = Callable[[Snapshot], None]

log = logging.getLogger("groq_magic")

_QUICK_S, _REST = 0.005, 10  # what takes longer to look at is left alone ten times as long
_HISTORY = 60
_FIRST_ANSWERS = 3
_PROMPT_SHOWN = 2_000


class View:
    """The watchers of one job and what they see: changes on the loop's thread, the end by `settle` too."""

    def __init__(self, job_id: str, ledger: Ledger, rows: Rows) -> None:
        self.checked_at: float | None = None
        self.wanted = False  # whether somebody wants to hear of the next check, whatever it brings
        self._told: tuple[object, ...] = ()  # of which minute and trouble the watchers know
        self._next: asyncio.TimerHandle | None = None
        self._rest_until = 0.0
        self._job_id, self._ledger, self._rows = job_id, ledger, rows
        self._observers: list[Observer] = []
        self._trouble: tuple[str, float] | None = None  # what, and since when
        self._history: list[tuple[float, int]] = []
        self._first_prompt = ""
        self._reckoning = Reckoning(ledger)
        self._failed: set[int] = set()  # observers that could not draw something
        self._spent: tuple[object, dict[str, Any]] = None, {}
        self._first: tuple[int, tuple[tuple[int, str, str], ...]] = 0, ()

    async def watch(self, observer: Observer) -> None:
        """Hands the observer how things stand now, and again whenever that changes."""
        self._observers.append(observer)
        self._tell(observer, self.snapshot())

    def forget_watchers(self) -> None:
        """Nobody is told anything more."""
        self._no_turn()
        self._observers.clear()

    def looked(self) -> None:
        """Tells that the service was asked and nothing has changed: by the minute, or where it is wanted."""
        if self._observers and (self.wanted or self._told != self._to_tell()):
            self.wanted = False
            self.changed()

    def _to_tell(self) -> tuple[object, ...]:
        return self._trouble, (self.checked_at or 0) // 60

    def changed(self) -> None:
        """Tells everybody who watches: at once, or of a job that takes long to look at, not each time."""
        if self._next is not None:
            return
        wait = self._rest_until - time.monotonic()
        if wait <= 0:
            self.tell()
        else:
            self._next = asyncio.get_running_loop().call_later(wait, self.tell)

    def tell(self) -> None:
        """Tells everybody who watches, at once."""
        self._no_turn()
        begun = time.thread_time()
        self._told = self._to_tell()
        snapshot = self.snapshot()
        done = snapshot.answered + snapshot.failed
        if not self._history or self._history[-1][1] != done:
            if len(self._history) >= _HISTORY:
                self._history = self._history[::2]  # the whole way, more coarsely
            self._history.append((snapshot.now, done))
        for observer in list(self._observers):
            self._tell(observer, snapshot)
        took = time.thread_time() - begun
        self._rest_until = time.monotonic() + _REST * took if took > _QUICK_S else 0.0

    def _no_turn(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def settle(self) -> None:
        """Hands the last snapshot to everybody once more, on the caller's thread.

        A client that runs a notebook cell by cell takes in only what the running cell says, so whoever
        waits for the end says it again from there.
        """
        snapshot = self.snapshot()
        observers = list(self._observers)
        if snapshot.done:
            self._observers.clear()  # they have seen the end
        for observer in observers:
            self._tell(observer, snapshot)

    def _tell(self, observer: Observer, snapshot: Snapshot) -> None:
        try:
            observer(snapshot)
        except Exception:
            # A card that cannot be drawn must not stop the batch, nor keep its end from being seen.
            level = logging.DEBUG if id(observer) in self._failed else logging.WARNING
            log.log(level, "groq_magic: a card could not be drawn", exc_info=True)
            self._failed.add(id(observer))

    def trouble(self, exc: BaseException | None) -> None:
        """Notes that something did not work and is tried again."""
        since = self._trouble[1] if self._trouble else time.time()
        said = exc.message if isinstance(exc, GroqMagicError) else f"{exc!r}"
        self._trouble = (display.shortened(said, 300), since)
        self.changed()

    def no_pace(self) -> None:
        """What came until now was read here, and says nothing of how quickly the rest will come."""
        self._history = []

    def no_trouble(self) -> None:
        """Notes that things work (again); seen with the next change."""
        self._trouble = None

    def snapshot(self) -> Snapshot:
        """How things stand, from the ledger and the rows."""
        job, shards, rows = self._ledger.job(self._job_id), self._ledger.shards(self._job_id), self._rows
        # A later run may have begun on the same ledger; what these rows wait for is over.
        phase = (
            "not_sent"
            if rows.not_sent is not None
            else jobs.phase(job, shards, rows.settled, lent=bool(rows.waiting))
        )
        asked_for = self._awaited() if rows.waiting else []
        if phase in ("at_groq", "collecting") and any(shard.state == "direct" for shard in asked_for):
            phase = "sending"  # it is asked one by one for us
        done = phase in ("done", "not_sent")
        served, served_failed = self._served(shards)
        ends = [shard.ended_at for shard in shards if shard.ended_at]
        under_way = [shard for shard in (*shards, *asked_for) if shard.state == "created"]
        expiries = [shard.expires_at for shard in under_way if shard.expires_at]
        files = [shard for shard in shards if _letter(shard)]
        pending = rows.status.find(PENDING)
        readable = len(rows) if pending < 0 else pending
        return Snapshot(
            job_id=job.job_id,
            name=job.name or NAMELESS,
            model=job.model,
            badge=keys.badge(job.service, job.base_url),
            sandbox=job.sandbox,
            prompts=job.prompts,
            phase=phase,
            status=display.shortened(self._status(shards, phase), 80),
            shards=len(files),
            shards_sent=sum(shard.batch_id is not None for shard in files),
            counts={status: n for status, n in rows.counts().items() if n},
            served=served,
            served_failed=served_failed,
            created_at=job.created_at,
            now=time.time(),
            ended_at=max(ends) if done and ends else None,
            expires_at=min(expiries) if expiries else None,
            batch_ids=tuple(shard.batch_id for shard in shards if shard.batch_id),
            window="completion" if job.window == jobs.NOW else job.window,
            direct=any(shard.direct for shard in shards) or any(each.state == "direct" for each in asked_for),
            pace=self._pace() if phase == "sending" else "",
            cancelling=self._is_cancelled(job),
            trouble=None if done else self._trouble_text(),
            stopped=rows.not_sent or job.stopped,
            not_resent=rows.not_resent,
            shared=len(rows.repeated.rows),
            checked_at=self.checked_at,
            problems=tuple(
                Problem(
                    display.shortened(code, 80),
                    display.shortened(seen.message, 400),
                    seen.count,
                    seen.row,
                    STATUSES[rows.status[seen.row]],
                )
                for code, seen in sorted(rows.problems.items(), key=lambda item: -item[1].count)
            ),
            first_prompt=self._read_first_prompt(),
            first_answers=self._first_answers(readable) if phase != "not_sent" else (),
            samples=job.samples,
            notes=tuple(rows.said.values()),
            labels=tuple(self._rows.label_counts().items()) if phase == "done" else (),
            again_done=sum(shard.completed + shard.failed for shard in self._awaited(retried=True)),
            history=tuple(self._history),
            readable=readable,
            files="".join(map(_letter, files)),
            more_tokens=self._more_tokens() if phase == "done" else 0,
            **(self._cost() if done else self._expected(job, shards)),
        )

    def _expected(self, job: Job, shards: list[Shard]) -> dict[str, Any]:
        """What it will have cost."""
        lent = [Loaned(each.lender.job_id, len(each.rows), each.retry) for each in self._rows.lent]
        try:
            found = self._reckoning.look(job, shards, lent)
        except (OSError, ValueError):  # the files are gone or damaged: the card is not the place to say so
            return {}
        return {
            "estimate": found.whole,
            "usd_now": found.now,
            "usd_again": found.again,
            "few_tokens": found.few,
        }

    def _cost(self) -> dict[str, Any]:
        """What it has cost, and what of it this job itself sent; counted anew where rows have changed."""
        rows = self._rows
        stands = tuple(rows.counts().values()), len(rows.settled), len(rows.lent), len(rows.waiting)
        if self._spent[0] != stands:
            try:
                own = spending.own_cost(rows, free=False)
                found = spending.cost(rows, range(len(rows)), free=False)
                unpriced = () if found else spending.unpriced(rows)
            except (OSError, ValueError):
                return {}
            facts = {"cost": found, "usd_now": own and own.paid, "unpriced": unpriced}
            self._spent = stands, facts
        return self._spent[1]

    def _served(self, shards: list[Shard]) -> tuple[int, int]:
        """How many rows the service says it has answered and failed, of those that are not here yet."""
        answered = failed = 0
        for shard in shards:
            if shard.number not in self._rows.settled:
                here_too = shard.state in ("collected", "direct")
                here = self._rows.here(shard.number) if here_too else (0, 0)
                answered += max(0, shard.completed - here[0])
                failed += max(0, shard.failed - here[1])
        return answered, failed

    def _pace(self) -> str:
        """How long it takes to ask the rest one by one, here or for us."""
        lenders = [self._rows.lent[place].lender for place in sorted(self._rows.waiting)]
        return next((rows.pace for rows in (self._rows, *lenders) if rows.pace), "")

    def _status(self, shards: list[Shard], phase: str) -> str:
        """One word for all batches that rows come from, those of other jobs too."""
        if not self._rows.lent:
            return jobs.status(shards, phase)
        if phase == "done":
            counts = self._rows.counts()
            lenders = {lent.lender.job_id for lent in self._rows.lent}
            theirs = [shard for job_id in lenders for shard in self._ledger.shards(job_id)]
            if counts["missing"] and any(map(jobs.left_behind, [*shards, *theirs])):
                return "not collected"
            own = self._ledger.job(self._job_id).cancel_requested_at
            ends = [word for word in ("missing", "expired", *(["cancelled"] if own else [])) if counts[word]]
            return {"missing": "completed"}.get(ends[0], ends[0]) if ends else "completed"
        return jobs.status([*shards, *self._awaited()], phase)

    def _awaited(self, *, retried: bool = False) -> list[Shard]:
        """The shards of other jobs whose answers are waited for; or of those alone that ask once more."""
        waiting = [self._rows.lent[place] for place in sorted(self._rows.waiting)]
        job_ids = [lent.lender.job_id for lent in waiting if lent.retry or not retried]
        return [shard for job_id in job_ids for shard in self._ledger.shards(job_id)]

    def _is_cancelled(self, job: Job) -> bool:
        """Whether what is under way now was asked to end: the job, or the retries of its rows."""
        waiting = [self._rows.lent[place] for place in sorted(self._rows.waiting)]
        retries = [self._ledger.job(lent.lender.job_id) for lent in waiting if lent.retry]
        return any(each.cancel_requested_at is not None for each in retries or [job])

    def _trouble_text(self) -> str | None:
        if self._trouble is None:
            return None
        said, since = self._trouble
        return f"{said} Still trying, since {time.strftime('%H:%M', time.localtime(since))}. Nothing is lost."

    def _read_first_prompt(self) -> str:
        if not self._first_prompt:
            try:
                request = self._rows.request(next(self._rows.asked()))
            except (
                OSError,
                ValueError,
            ):  # the files are gone or damaged: the card is not the place to say so
                return ""
            self._first_prompt = display.prompt_line(display.prompt_of(request), _PROMPT_SHOWN)
        return self._first_prompt

    def _first_answers(self, readable: int) -> tuple[tuple[int, str, str], ...]:
        """Those of the first prompts, as soon as they have come; at the end they are read once more."""
        few = len(self._first[1]) < _FIRST_ANSWERS and self._first[0] != readable
        if few or readable == len(self._rows):
            self._first = readable, self._read_first_answers(readable)
        return self._first[1]

    def _more_tokens(self) -> int:
        """Twice what the first answer that was cut off was allowed; 0 where none was, or it was not said."""
        row = self._rows.status.find(CUT)
        if row < 0:
            return 0
        try:
            body = self._rows.request(row).body
        except (OSError, ValueError):
            return 0
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        # A retry may have been allowed more than the request that stands here.
        return 2 * max(most, self._rows.completion_tokens[row]) if isinstance(most, int) else 0

    def _read_first_answers(self, readable: int) -> tuple[tuple[int, str, str], ...]:
        found = []
        for row in islice(self._rows.asked(), _FIRST_ANSWERS):
            if row >= readable:
                break
            try:
                reply, request = self._rows.reply(row), self._rows.request(row)
                if reply is not None and reply.error is None:
                    asked = display.prompt_line(display.prompt_of(request))
                    said = display.in_words(self._rows.schema, reply.text or "", self._rows.answered(row))
                    found.append((row, asked, display.shortened(said, 200)))
            except (OSError, ValueError):  # the files are gone, or it is just being held against its schema
                break
        return tuple(found)

    def how_far(self, name: str) -> str:
        """One sentence for those who ask too early: how far things are and what to type."""
        now = self.snapshot()
        name = display.shortened(name, 80)
        what = f"{now.answered:,} of {now.prompts:,} answered, {now.status}"
        how = "`.wait()`" if name == NAMELESS else f"`{name}.wait()` or `%groq wait {name}`"
        return f"{what}. Wait for it: {how}."


def _letter(shard: Shard) -> str:
    """What a card's map says of a file: see `Snapshot.files`."""
    if shard.direct or shard.state in ("withdrawn", "saved"):
        return ""  # no file of its own goes
    if shard.state in ("collected", "ended"):
        return "d" if shard.completed or shard.status == "completed" else "x"
    if shard.state in ("refused", "cancelled", "unsure"):
        return "x"
    return "s" if shard.state == "created" else "w"
