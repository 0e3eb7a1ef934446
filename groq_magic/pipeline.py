"""The story of a job: shards → upload → batch → poll → answers. Start at `Run.run`.

What the ledger holds decides the next step, so a first run, a re-run and a run after a crash are one path.
Errors are met verb by verb: an upload, a poll, a download is tried again and noted on the card; a create is
never repeated unless it surely was not carried out; a failed row is data.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from difflib import get_close_matches
from typing import Any, ClassVar, TypeVar

import filelock
import tenacity

from groq_magic import download, now, orphans, policy
from groq_magic import job as jobs
from groq_magic.answers import Lent, Rows
from groq_magic.answers.reading import CANCELLED, MISSING, PENDING
from groq_magic.api import Groq
from groq_magic.errors import ApiError, GroqMagicError, LedgerError, NoReply, NotSent, Refused, redact
from groq_magic.job import Shard
from groq_magic.ledger import Ledger
from groq_magic.polling import Poller
from groq_magic.view import View
from groq_magic.wire import Batch, File

T = TypeVar("T")

# How many of a run's signals the running task knows of.
_heard: ContextVar[int] = ContextVar("heard", default=0)

log = logging.getLogger("groq_magic")

UPLOADS_AT_ONCE = 4
SEARCHES = 6  # how often a list is asked for that does not come
SURE_AFTER_S = 30.0  # two complete lists so far apart prove that a batch is not there
LATE_FILES_S = 60.0  # how long a batch that has ended may go without naming its answers
LATE_ERRORS_S = 10.0  # and its failures, which some services never name
NEW_BATCH_S = 60.0  # how long a new batch may be unknown to the service
FOLLOW_S = 1.0


class _NoList(Exception):
    """The service does not say what there is."""


class Run:
    """One job on its way: driven by this process, or followed where another drives it. Lives on the loop.

    `connect` gives the endpoints and the poller; it is called only where something is left to ask for.
    """

    def __init__(
        self,
        job_id: str,
        ledger: Ledger,
        rows: Rows,
        connect: Callable[[], tuple[Groq, Poller]],
        view: View,
    ) -> None:
        self.job_id, self.rows, self.view = job_id, rows, view
        self._ledger, self._connect = ledger, connect
        self._api: Groq | None = None
        self._poller: Poller | None = None
        self.left = asyncio.Event()  # nothing is done any more: at the end, or after `leave`
        self.begun = False
        self.lenders: list[Run] = []  # the runs of those whose answers this job takes over
        self._in_sight: set[int] = set()  # shards whose file this run has uploaded, or found by its name
        self._woken = asyncio.Event()
        self._signals = 0  # how often somebody wanted things done at once
        self._leaving = False
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._asking, self._pace = asyncio.Lock(), now.Pace()
        self._driving = False
        self._late: dict[int, float] = {}
        self._files: asyncio.Task[list[File]] | None = None

    async def run(self) -> None:
        """Carries the job from where the ledger says it is to its end. Never raises: an error is a reason."""
        borrowing = [asyncio.create_task(self._borrow(place)) for place in range(len(self.rows.lent))]
        lock = None
        try:
            lock = await self._become_driver()
            if lock is not None:
                self._driving = True
                await self._drive()
        except Exception as exc:
            if not self._leaving:
                self._stop(exc)
        finally:
            await asyncio.gather(*borrowing)
            try:
                if not self._leaving:
                    if self.rows.not_sent is None:
                        await asyncio.to_thread(self.rows.end_all)
                    self.view.tell()
            except Exception:
                log.warning("groq_magic: the end could not be shown", exc_info=True)
            finally:
                if lock is not None:
                    lock.release()  # whoever has waited for the end may take it
                if self._leaving:
                    self.rows.leave()
                else:
                    self.rows.finished.set_result(None)
                self.left.set()

    def use(self, connect: Callable[[], tuple[Groq, Poller]]) -> None:
        """Where the key in use is refused, the one that `connect` brings is tried. From any thread."""
        self._connect = connect
        for lender in self.lenders:
            lender.use(connect)

    async def _drive(self) -> None:
        """Every shard goes its way; the first ones uploaded are the first ones answered."""
        for shard in self._ledger.shards(self.job_id):
            if (state := jobs.in_a_later_run(shard)) != shard.state:
                self._note(shard, state=state, reason=None)
        shards = self._ledger.shards(self.job_id)
        resting = [shard for shard in shards if jobs.next_step(shard) == "rest"]
        if len(resting) < len(shards):
            self._ledger.update_job(self.job_id, stopped=None)
            for shard in resting:
                await self._carry(shard.number)  # what is here is read with any key, and with none
            self.view.no_pace()
            self._api, self._poller = self._connect()
        self.view.changed()
        if any(jobs.next_step(shard) in ("upload", "create", "ask") for shard in shards):
            await self._check_model()
        ends = await asyncio.gather(*(self._carry(shard.number) for shard in shards), return_exceptions=True)
        for broken in ends:
            if isinstance(broken, BaseException):
                raise broken

    # --- one shard ----------------------------------------------------------------------------------

    async def _carry(self, number: int) -> None:
        """Takes one step after another with a shard until it rests."""
        while not self._leaving:
            _heard.set(self._signals)
            shard, used = self._shard(number), self._api
            step = jobs.next_step(shard)
            try:
                if step == "rest":
                    await self._take_in(shard)
                    return
                if step in ("upload", "create") and self._cancelling:
                    self._note(shard, state="cancelled", reason="Cancelled before it was sent.")
                else:
                    await self._STEPS[step](self, shard)
            except NoReply as exc:
                self.view.trouble(exc)  # cancelling or leaving cut a step short: the next turn decides
            except Refused as exc:
                if policy.passing(exc) and (self._cancelling or self._leaving):
                    self.view.trouble(exc)
                    continue
                if used is not None and self._another_key_than(used):
                    continue
                for path in self._ledger.results(self.job_id, shard.number):  # of two files, one may be here
                    await asyncio.to_thread(self.rows.collect, shard.number, path)
                self._give_up(self._shard(number), exc)
                return
            except Exception as exc:
                log.debug("a shard broke", exc_info=True)
                self._settle(shard, MISSING, "stopped", redact(str(exc) or repr(exc)))
                return

    async def _upload(self, shard: Shard) -> None:
        async with self._uploads:
            if self._cancelling or self._leaving:
                return
            if shard.state == "cut" and shard.file_id is None and (known := await self._uploaded(shard)):
                # A ledger was lost: the search tells whether there is a batch, too.
                self._in_sight.add(shard.number)
                self._note(shard, state="creating", file_id=known, key_fingerprint=self._key)
                return
            self._note(shard, state="uploading")
            path = self._ledger.shard_path(self.job_id, shard.number)
            name = policy.file_name(self._job, shard)
            file_id = await self._again(lambda api: api.upload(path, name))
            self._in_sight.add(shard.number)
            self._note(shard, state="uploaded", file_id=file_id)

    async def _uploaded(self, shard: Shard) -> str | None:
        """The id of this very file, if it was uploaded under another ledger. The list is asked for once."""
        if self._files is None:
            self._files = asyncio.create_task(self._again(_a_few_times(lambda api: api.files())))
        name = policy.file_name(self._job, shard)
        try:
            found = await self._files
        except _NoList:
            return None  # a service that lists no files
        same = [file for file in found if file.filename == name and file.bytes in (None, shard.size)]
        return min(same, key=lambda file: file.created_at or 0).id if same else None

    async def _create(self, shard: Shard) -> None:
        job, api = self._job, self._connected()
        waits = iter((0.5, 1.0, 2.0, 4.0, 8.0))  # a file may not be visible at once after its upload
        while not (self._cancelling or self._leaving):
            self._note(shard, state="creating", key_fingerprint=self._key)
            try:
                metadata = {"groq_magic": policy.tag(job, shard)}
                batch = await api.create_batch(shard.file_id or "", job.endpoint, job.window, metadata)
            except NoReply as exc:
                if exc.maybe_done:
                    self.view.trouble(exc)  # the next step searches for it
                    return
                self._note(shard, state="uploaded")
                self.view.trouble(exc)
                await self._pause(5.0)
            except Refused as exc:
                if exc.status >= 500:
                    self.view.trouble(exc)
                    return
                self._note(shard, state="uploaded")
                unseen = exc.status in (400, 404) and "file" in exc.message.lower()
                if unseen and shard.number not in self._in_sight:
                    # An earlier run's: uploaded with a key of another account, or gone since.
                    self._note(shard, state="cut", file_id=None)
                    return
                passing = exc.status in (408, 429)
                wait = 10.0 if passing else next(waits, None) if unseen else None
                if wait is None:
                    raise
                self.view.trouble(exc)
                await self._pause(exc.retry_after_s or wait)
            else:
                self.view.no_trouble()
                created_at = batch.created_at or time.time()
                self._note(shard, state="created", **policy.facts(batch), created_at=created_at)
                return

    async def _watch(self, shard: Shard) -> None:
        batch_id, age_s = shard.batch_id or "", time.time() - (shard.created_at or time.time())
        refused: Refused | None = None
        try:
            if self._cancelling and shard.status not in jobs.ENDED | {"cancelling"}:
                batch, refused = await self._cancel_batch(batch_id)
            else:
                batch = await self._asked(batch_id, jobs.ask_again_s(age_s))
        except NoReply as exc:
            self.view.trouble(exc)
            await self._pause(jobs.ask_again_s(age_s))
            return
        except Refused as exc:
            late = age_s > NEW_BATCH_S or self._another_key_made(shard)
            if exc.status in (401, 403) or (exc.status == 404 and late):
                raise
            self.view.trouble(exc)
            await self._pause(exc.retry_after_s or jobs.ask_again_s(age_s))
            return
        self.view.no_trouble()
        facts = policy.facts(batch)
        if batch.status in jobs.ENDED and not self._files_late(shard.number, batch):
            ended_at = batch.ended_at or time.time()
            facts |= {"state": "ended", "ended_at": ended_at, "reason": policy.reason(batch)}
        elif batch.status in jobs.ENDED:
            said = "The batch has ended and does not name its results yet."
            self.view.trouble(NoReply(said, maybe_done=True))
        self.view.checked_at = time.time()
        if any(getattr(shard, name) != fact for name, fact in facts.items()):
            self._note(shard, **facts)
        else:
            self.view.looked()
        if refused is not None and batch.status not in jobs.ENDED:
            self.view.trouble(refused)
            await self._pause(refused.retry_after_s or jobs.ask_again_s(age_s))

    async def _asked(self, batch_id: str, in_s: float) -> Batch:
        self._connected()
        assert self._poller is not None  # connected together with the endpoints
        return await self._poller.ask(batch_id, in_s)

    async def _cancel_batch(self, batch_id: str) -> tuple[Batch, Refused | None]:
        """Cancels; where that is refused, for it has ended or for whatever reason, the batch as it is."""
        try:
            return await self._again(lambda api: api.cancel_batch(batch_id), despite_cancel=True), None
        except Refused as exc:
            return await self._again(lambda api: api.batch(batch_id), despite_cancel=True), exc

    def _files_late(self, number: int, batch: Batch) -> bool:
        """Whether a batch that has ended has yet to name its files: some do so a poll or two later."""
        unnamed = policy.unnamed(batch)
        if unnamed is None:
            return False
        since = self._late.setdefault(number, time.time())
        return time.time() - since < (LATE_FILES_S if unnamed == "output" else LATE_ERRORS_S)

    async def _collect(self, shard: Shard) -> None:
        for kind, file_id in (("output", shard.output_file_id), ("error", shard.error_file_id)):
            path = self._ledger.result_path(self.job_id, shard.number, kind)
            if file_id and not path.exists():
                counted = shard.completed if kind == "output" else shard.failed
                fetched = download.results(file_id, path, self.rows, shard, counted)
                await self._again(fetched, despite_cancel=True)
        self._note(shard, state="collected")

    async def _search(self, shard: Shard) -> None:
        """A create was not answered: its batch is found, or created again where it surely is not there."""
        tag = policy.tag(self._job, shard)
        look = _a_few_times(lambda api: orphans.batches(api, shard.file_id or "", tag))
        surely_at: float | None = None  # when a second complete list without it is proof enough
        while not self._leaving:
            try:
                found = await self._again(look, despite_cancel=True)
            except _NoList as exc:
                self._note(shard, state="unsure", reason=str(exc))
                return
            if found:
                await self._adopt(shard, found)
                return
            if self._another_key_made(shard):  # the list proves something only if it is of the same account
                await self._again(lambda api: api.file_size(shard.file_id or ""), despite_cancel=True)
            if surely_at is not None and time.monotonic() >= surely_at:
                asks = self._job.window == jobs.NOW
                self._note(shard, state="direct" if asks else "uploaded")
                return
            surely_at = surely_at or time.monotonic() + SURE_AFTER_S
            await self._pause(max(0.0, surely_at - time.monotonic()))

    async def _adopt(self, shard: Shard, found: list[Batch]) -> None:
        """The oldest of the batches over our file is the shard's; of two, the younger was not meant to be."""
        batch, *others = found
        for other in others:
            if other.status not in jobs.ENDED:
                log.warning(
                    "groq_magic: %s was created twice over one file; %s is cancelled", batch.id, other.id
                )
                await self._cancel_batch(other.id)
        self._note(shard, state="created", **policy.facts(batch), created_at=batch.created_at or time.time())

    async def _ask(self, shard: Shard) -> None:
        """Asks what is not asked yet, prompt by prompt; one shard after the other."""
        async with self._asking:
            if self._leaving:
                return
            begun_at = shard.created_at or time.time()
            self._note(shard, key_fingerprint=self._key, created_at=begun_at, status="in_progress")
            asking = now.Asking(
                shard.number,
                self.rows,
                self._ledger.shard_path(self.job_id, shard.number),
                self._ledger.result_path(self.job_id, shard.number, "output"),
                self._pace,
                now.Means(
                    chat=self._connected().chat,
                    pause=lambda seconds: self._pause(seconds),
                    over=lambda: self._leaving or self._cancelling,
                    note=lambda completed, failed: self._note(shard, completed=completed, failed=failed),
                    trouble=lambda exc: self.view.trouble(exc) if exc else self.view.no_trouble(),
                ),
            )
            await asking.run()
        left = any(self.rows.status[row] == PENDING for row in self.rows.rows_of(shard.number))
        if self._cancelling and left:
            self._note(shard, state="collected", status="cancelled", ended_at=time.time())
        elif not self._leaving:
            why = asking.unanswered or None
            self._note(shard, state="collected", status="completed", ended_at=time.time(), reason=why)

    _STEPS: ClassVar[dict[jobs.Step, Callable[[Run, Shard], Awaitable[None]]]] = {
        "upload": _upload,
        "create": _create,
        "watch": _watch,
        "collect": _collect,
        "search": _search,
        "ask": _ask,
    }

    async def _take_in(self, shard: Shard) -> None:
        """Files that are here → rows; rows without a line get their reason."""
        if shard.number in self.rows.settled:
            return
        asked = answered = 0
        for path in self._ledger.results(self.job_id, shard.number):
            tokens = await asyncio.to_thread(self.rows.collect, shard.number, path)
            asked, answered = asked + tokens[0], answered + tokens[1]
        await asyncio.to_thread(self._settle, shard, *policy.ending(shard))
        if self._driving:
            unanswered = len(self.rows.unanswered(self.rows.rows_of(shard.number)))
            facts = {"unanswered": unanswered, "prompt_tokens": asked, "completion_tokens": answered}
            if any(getattr(shard, name) != value for name, value in facts.items()):
                self._ledger.update_shard(shard, **facts)
        self.view.changed()

    async def _borrow(self, place: int) -> None:
        """Takes over what another job brings for rows of ours, until it has ended."""
        lent = self.rows.lent[place]
        lender, had = lent.lender, (-1, -1)
        ended = asyncio.wrap_future(lender.finished)
        ended.add_done_callback(lambda future: future.cancelled() or future.exception())  # it was heard
        try:
            while not self._leaving:
                last, has = lender.finished.done(), (len(lender.settled), len(lender.waiting))
                if last or has != had:  # each time it looks at every row
                    first, had = had == (-1, -1), has
                    await asyncio.to_thread(self.rows.borrow, lent)
                    if first:
                        self.view.no_pace()
                if last or (self._cancelling and not lent.retry):
                    break
                if place < len(self.lenders):
                    self.view.checked_at = self.lenders[place].view.checked_at or self.view.checked_at
                self.view.changed()
                woken = asyncio.create_task(self._woken.wait())
                either: list[asyncio.Future[Any]] = [ended, woken]
                await asyncio.wait(either, timeout=FOLLOW_S, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
            if not self._leaving:
                self._close_lent(lent)
                self.rows.waiting.discard(place)
                self.view.changed()
        except Exception as exc:
            log.debug("a loan broke", exc_info=True)
            self.rows.close_lent(lent, MISSING, "stopped", redact(str(exc) or repr(exc)))
            self.rows.waiting.discard(place)

    def _close_lent(self, lent: Lent) -> None:
        if lent.lender.not_sent is not None:
            if lent.retry:
                self.rows.not_resent = lent.lender.not_sent
            self.rows.close_lent(lent, MISSING, "not_sent", lent.lender.not_sent)
        else:
            said = "Cancelled here. It is part of an earlier batch, which goes on: %groq batches lists it."
            self.rows.close_lent(lent, CANCELLED, "not_waited_for", said)

    # --- when things go wrong -----------------------------------------------------------------------

    async def _check_model(self) -> None:
        """Raises NotSent where the key may not use the model, before anything is uploaded."""
        try:
            listed, model = await self._again(lambda api: api.models()), self._job.model
        except ApiError as exc:
            if self._cancelling:
                return  # nothing will be sent anyway
            if isinstance(exc, Refused) and exc.status in (404, 405):
                return  # a service that does not list its models says itself what it does not have
            raise
        models = sorted(each.id for each in listed)
        if models and model not in (*models, jobs.SEVERAL_MODELS):
            service, near = self._connected().service, get_close_matches(model.lower(), models, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise NotSent(
                f"{service.place_first} has no model {model!r} for this key.{meant} "
                f"It has: {', '.join(models)}."
            )

    async def _again(self, act: Callable[[Groq], Awaitable[T]], *, despite_cancel: bool = False) -> T:
        """Does what may be done twice until it succeeds; each failure is noted. A lasting Refused is raised.

        Cancelling and leaving end the trying: the last error is raised then.
        """
        api = self._connected()
        trying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(policy.passing),
            wait=policy.wait_s,
            stop=lambda _: self._leaving or (self._cancelling and not despite_cancel),
            sleep=self._pause,
            before_sleep=lambda state: self.view.trouble(policy.error(state)),
            reraise=True,
        )
        async for attempt in trying:
            with attempt:
                found = await act(api)
        self.view.no_trouble()
        return found

    def _connected(self) -> Groq:
        assert self._api is not None, "a step that talks to the service runs only once connected"
        return self._api

    def _another_key_than(self, used: Groq) -> bool:
        """Whether there is another key by now than the one that was refused; it is in use then."""
        if self._connected() is used and not self._leaving:
            with suppress(GroqMagicError):  # no key at all, or one for another service
                api, poller = self._connect()
                if api.service.key != used.service.key:
                    self._api, self._poller = api, poller
        return self._connected() is not used

    @property
    def _key(self) -> str:
        return self._connected().service.key_fingerprint

    def _another_key_made(self, shard: Shard) -> bool:
        return policy.made_with(self._job, shard) != self._key

    def _advice(self, exc: Refused, shard: Shard | None = None) -> str:
        return policy.advice(exc, self._job, self._connected().service, shard)

    def _give_up(self, shard: Shard, exc: Refused) -> None:
        """A refusal that trying again cannot mend: what was sent stays as it is, the rest is not sent."""
        said, step = self._advice(exc, shard), jobs.next_step(shard)
        if step in ("upload", "create"):
            self._ledger.update_shard(shard, state="refused", reason=exc.message)
        self._settle(shard, MISSING, exc.code or f"http_{exc.status}", said)
        if step in ("upload", "create", "ask"):
            shards = self._ledger.shards(self.job_id)
            if all(jobs.next_step(other) == "rest" or other.number in self.rows.settled for other in shards):
                self._not_sent(said)
        self.view.changed()

    def _stop(self, exc: Exception) -> None:
        """The run as a whole cannot go on."""
        log.debug("a run ended early", exc_info=exc)
        said = redact(str(exc) or repr(exc))
        with suppress(LedgerError):
            refused = exc if isinstance(exc, Refused) and self._api is not None else None
            self._not_sent(self._advice(refused) if refused else said)
            for shard in self._ledger.shards(self.job_id):
                why = self._advice(refused, shard) if refused else said + policy.stays(shard)
                self._settle(shard, MISSING, "stopped", why)
            return
        # The ledger cannot be read, so nothing is claimed about what was sent.
        for number in self.rows.open_shards():
            self.rows.close(number, MISSING, "stopped", said)

    def _not_sent(self, said: str) -> None:
        """If nothing of the job has reached the service, the job as a whole is not sent."""
        shards = self._ledger.shards(self.job_id)
        some = any(shard.batch_id or shard.state == "unsure" for shard in shards)
        if not self.rows.lent and not some and not self._ledger.came(self.job_id):
            self._ledger.update_job(self.job_id, stopped=said)
            self.rows.not_sent = said

    def _settle(self, shard: Shard, status: int, code: str, reason: str) -> None:
        if shard.number not in self.rows.settled:
            self.rows.close(shard.number, status, code, reason)

    # --- driving, following, leaving ------------------------------------------------------------------

    async def _become_driver(self) -> filelock.BaseFileLock | None:
        """Takes the job's lock, following whoever holds it until then; None where the end came first."""
        lock = filelock.FileLock(self._ledger.lock_path(self.job_id), thread_local=False)
        while not self._leaving:
            with suppress(filelock.Timeout):
                lock.acquire(blocking=False)
                return lock
            shards = self._ledger.shards(self.job_id)
            for shard in shards:
                if jobs.next_step(shard) == "rest":
                    await self._take_in(shard)
            if len(self.rows.settled) == len(shards):
                return None
            self.view.changed()
            await self._pause(FOLLOW_S)
        return None

    async def _pause(self, seconds: float) -> None:
        """Sleeps, unless woken by a button or by leaving."""
        if _heard.get() == self._signals:  # nobody has called since this turn began
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), seconds)
        _heard.set(self._signals)

    async def check_now(self) -> None:
        """Does at once what was to be done later: asks again, tries again; of those, too, who ask for us."""
        self.view.wanted = True
        await self._hurry()
        for lender in self.lenders:
            await lender.check_now()

    async def _hurry(self) -> None:
        self._signals += 1
        woken, self._woken = self._woken, asyncio.Event()
        woken.set()
        for shard in self._ledger.shards(self.job_id):
            if shard.batch_id and self._poller is not None:
                self._poller.hurry(shard.batch_id)

    async def cancel(self) -> None:
        """Stops further sending, then has the job's own batches cancelled."""
        if not self.rows.done and not self._cancelling:
            self._ledger.update_job(self.job_id, cancel_requested_at=time.time())
            self.view.changed()
            await self._hurry()

    async def leave(self) -> None:
        """Stops watching, at the end of the step under way. The batches run on; the ledger knows them."""
        self._leaving = True
        self.view.forget_watchers()
        await self._hurry()

    @property
    def _job(self) -> jobs.Job:
        return self._ledger.job(self.job_id)

    @property
    def _cancelling(self) -> bool:
        return self._job.cancel_requested_at is not None

    def _shard(self, number: int) -> Shard:
        return self._ledger.shard(self.job_id, number)

    def _note(self, shard: Shard, **facts: object) -> None:
        """Facts about a shard, onto the ledger and then to whoever watches."""
        self._ledger.update_shard(shard, **facts)
        self.view.changed()


def _a_few_times(ask: Callable[[Groq], Awaitable[T]]) -> Callable[[Groq], Awaitable[T]]:
    """Asks for a list; raises _NoList where it is refused, or has not come after `SEARCHES` times.

    To a key that is not welcome at all nothing is said of the list: that is raised as it is.
    """
    tries = iter(range(SEARCHES))

    async def asked(api: Groq) -> T:
        try:
            return await ask(api)
        except (NoReply, Refused) as exc:
            welcome = not (isinstance(exc, Refused) and exc.status == 401)
            if welcome and (not policy.passing(exc) or next(tries, None) is None):
                raise _NoList(exc.message) from exc
            raise

    return asked
