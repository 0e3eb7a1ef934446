"""What this process carries: one run a job, whoever holds its answers, until the end or a `leave`."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import cache

import filelock

from groq_magic import api, ledger, loop, policy, reuse, schema, shards, wire
from groq_magic.answers import Lent, Repeated, Rows, Source
from groq_magic.costs import Rate
from groq_magic.job import NAMELESS, NOW, SEVERAL_MODELS, Job, Loan, Shard, Snapshot
from groq_magic.keys import Service
from groq_magic.ledger import new_job_id
from groq_magic.pipeline import Run
from groq_magic.polling import Poller
from groq_magic.schema import Schema
from groq_magic.shards import SEVERAL, Cut
from groq_magic.view import View

_connections: dict[Service, tuple[api.Groq, Poller]] = {}
_runs: dict[str, Run] = {}
_lock = threading.RLock()

_ABOUT_TO_S = 5.0  # between putting a job down and holding its lock


# --- what there is of a job, here and at those that lend to it ----------------------------------------


def family(job_id: str) -> list[str]:
    """A job, and those that its answers come from, at whatever remove."""
    found: list[str] = []
    waiting = [job_id]
    while waiting:
        if (each := waiting.pop()) not in found:
            found.append(each)
            waiting += reversed([loan.lender for loan in ledger.current().loans(each)])
    return found


def at_rest(job_id: str) -> bool:
    """Whether nothing more will come of a job by itself, nor of those that lend to it."""
    return all(_complete(ledger.current().shards(each)) for each in family(job_id))


def some_unanswered(job_id: str) -> bool:
    """Whether there may be rows that ended without an answer; reading them tells."""
    return any(shard.unanswered for each in family(job_id) for shard in ledger.current().shards(each))


def unanswered(half_way: Container[str] = ()) -> Callable[[str], Container[int]]:
    """Tells which rows of a job ended as expired or missing, once nothing more will come of it.

    Of those left `half_way` it tells what was not asked. What is read for that is read once.
    """
    known: dict[str, Rows] = {}

    @cache
    def of(job_id: str) -> Container[int]:
        if job_id not in half_way and not (some_unanswered(job_id) and at_rest(job_id)):
            return ()
        return frozenset(read(ledger.current().job(job_id), known).unanswered())

    return of


def borrowers(job_id: str) -> set[str]:
    """Those that have answers of a job, at whatever remove: it cannot have theirs."""
    found: set[str] = set()
    waiting = [job_id]
    while waiting:
        more = {job.job_id for job in ledger.current().borrowers(waiting.pop())} - found
        found |= more
        waiting += more
    return found


def batch_ids(job_id: str) -> list[str]:
    """The batches that a job's answers come from: its own, then those of who lends to it."""
    found = [shard.batch_id for each in family(job_id) for shard in ledger.current().shards(each)]
    return list(dict.fromkeys(batch_id for batch_id in found if batch_id))


def shared(job_id: str) -> str | None:
    """Who else counts on a job's batches, in a sentence; None where nobody does."""
    book = ledger.current()
    job = book.job(job_id)
    if job.origin == "attach":
        return "It was not sent from here: somebody else may wait for it."
    waiting = [
        other.name or NAMELESS
        for other in book.borrowers(job_id)
        if not other.cancel_requested_at and not at_rest(other.job_id)
    ]
    if waiting:
        return f"Answers of it are awaited by {', '.join(dict.fromkeys(waiting))}, too."
    if job.notebook != ledger.notebook():
        return f"It was sent by another notebook ({job.notebook})."
    if holders := [held for held in book.notebooks(job_id) if held != ledger.notebook()]:
        return f"Another notebook ({', '.join(holders)}) has the same prompts and waits for it, too."
    return None


def samples(job: Job) -> Callable[[int], int]:
    """Which sample of its prompt each row of a job is; of a retry's, those tell that it is asked for;
    of a saved file's, those that have it.
    """
    if job.origin not in ("retry", "saved"):
        return lambda row: row % job.samples + 1
    known: dict[int, int] = {}
    book = ledger.current()
    for borrower in book.borrowers(job.job_id):
        of_theirs = samples(borrower)
        for loan in book.loans(borrower.job_id):
            if loan.lender == job.job_id:
                known.update(zip(loan.lender_rows, map(of_theirs, loan.rows), strict=True))
    return lambda row: known.get(row, 1)


def read(job: Job, known: dict[str, Rows] | None = None) -> Rows:
    """The rows of a job at rest: those that are here, or read from disk now; `known` are read already."""
    book, known = ledger.current(), {} if known is None else known
    if job.job_id in known:
        return known[job.job_id]
    run, loans = _runs.get(job.job_id), book.loans(job.job_id)
    if run is not None and run.rows.done and len(run.rows.lent) == len(loans):
        return run.rows
    rows = _rows(job, loans, [read(book.job(loan.lender), known) for loan in loans])
    for shard in book.shards(job.job_id):
        for path in book.results(job.job_id, shard.number):
            rows.collect(shard.number, path)
        rows.close(shard.number, *policy.ending(shard))
    for lent in rows.lent:
        rows.borrow(lent)
    known[job.job_id] = rows
    return rows


def _rows(job: Job, loans: list[Loan], lenders: list[Rows]) -> Rows:
    """The rows of a job, none of them filled yet; `lenders` are the rows of those that its `loans` name."""
    book = ledger.current()
    sources = [
        Source(
            shard.number,
            book.shard_path(job.job_id, shard.number),
            rows,
            shard.prefix,
            shard.direct and job.origin != "saved",
        )
        for shard, rows in zip(book.shards(job.job_id), book.rows(job.job_id), strict=True)
    ]
    found = book.repeats(job.job_id)
    repeated = Repeated(found.rows, found.lender_rows, found.ids) if found else None
    lent = _lent(loans, lenders)
    rows = Rows(
        job.job_id,
        job.prompts,
        sources,
        lent,
        samples=job.samples,
        repeated=repeated,
        skipped={each.row: (each.missing, each.id or "") for each in book.skipped(job.job_id)},
        rate=Rate(
            "" if job.model == SEVERAL_MODELS else job.model,
            free=job.sandbox,
        ),
    )
    if found_schema := _schema(job, sources, loans, lenders):
        rows.judge(found_schema)
    return rows


def _schema(job: Job, sources: list[Source], loans: list[Loan], lenders: list[Rows]) -> Schema | None:
    """What the replies are to fit, as the requests say; those of request lines may each say another thing."""
    if SEVERAL in {shard.form for shard in ledger.current().shards(job.job_id)}:
        return None
    for source in sources:
        with suppress(OSError, ValueError), source.path.open("rb") as file:
            if line := file.readline():
                return schema.of_wire(wire.request(line).body)
    theirs = [rows.schema for loan, rows in zip(loans, lenders, strict=True) if loan.kind == "reuse"]
    return next(iter(theirs), None)


def _lent(loans: list[Loan], lenders: list[Rows]) -> list[Lent]:
    return [
        Lent(lender, loan.rows, loan.lender_rows, retry=loan.kind == "retry", ids=loan.ids)
        for loan, lender in zip(loans, lenders, strict=True)
    ]


def _complete(found: list[Shard]) -> bool:
    return all(shard.state in ("collected", "cancelled", "saved", "withdrawn") for shard in found)


def driven(job_id: str) -> bool:
    """Whether a process carries this job now, or put it down a moment ago and is about to."""
    job, run = ledger.current().job(job_id), _runs.get(job_id)
    young = time.time() - job.created_at < _ABOUT_TO_S and not (run is not None and run.begun)
    return (young and not job.stopped and not job.cancel_requested_at) or locked(job_id)


def locked(job_id: str) -> bool:
    """Whether a process carries this job now. Takes no lock of ours: who submits asks this."""
    run = _runs.get(job_id)
    if run is not None and run.begun and not run.rows.finished.done():
        return True
    lock = filelock.FileLock(ledger.current().lock_path(job_id))
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return True
    lock.release()
    return False


# --- asked one by one -----------------------------------------------------------------------------------


def left_half_way() -> set[str]:
    """The jobs whose prompts were being asked one by one when whoever did so ended."""
    return {job_id for job_id in ledger.current().asking() if not driven(job_id)}


def ended(job_id: str) -> bool:
    """Has a job that was left half-way end where it is: what it has not asked counts as unanswered.

    False where somebody goes on with it meanwhile.
    """
    book = ledger.current()
    lock = filelock.FileLock(book.lock_path(job_id), blocking=False)
    with suppress(filelock.Timeout), lock:
        rows = read(book.job(job_id))
        for shard in book.shards(job_id):
            if shard.state == "direct":
                book.update_shard(shard, **_as_it_is(rows, shard))
        return True
    return False


def _as_it_is(rows: Rows, shard: Shard) -> dict[str, object]:
    """The facts of a shard that is asked about no more."""
    mine = rows.rows_of(shard.number)
    completed, failed = rows.here(shard.number)
    return {
        "state": "collected",
        "status": "completed",
        "ended_at": time.time(),
        "reason": "It was left before this prompt was asked: run the cell again.",
        "completed": completed,
        "failed": failed,
        "unanswered": len(rows.unanswered(mine)),
        "prompt_tokens": sum(rows.prompt_tokens[row] for row in mine),
        "completion_tokens": sum(rows.completion_tokens[row] for row in mine),
    }


def turn(job: Job, window: str) -> None:
    """Has what is not asked of a job, and of retries for it, go this way, where nobody carries it.

    To be asked one by one are the files that were never sent. The other way, a job of which nothing came is
    sent as if it had never been begun, and any other ends where it is: what is left can be asked again.
    """
    for job_id in family(job.job_id):
        if window != NOW:
            _turn_back(job_id, window)
        elif job_id == job.job_id or ledger.current().job(job_id).origin == "retry":
            _turn_to_now(job_id)


def _turn_to_now(job_id: str) -> None:
    book = ledger.current()
    if not book.never_sent(job_id) or locked(job_id):
        return
    _reconsidered(book.job(job_id))
    lock = filelock.FileLock(book.lock_path(job_id), blocking=False)
    with suppress(filelock.Timeout), lock:
        book.turn(job_id, NOW, [cut.number for cut in book.never_sent(job_id)])


def _turn_back(job_id: str, window: str) -> None:
    book = ledger.current()
    if job_id not in left_half_way():
        return
    if book.came(job_id):
        ended(job_id)
        return
    lock = filelock.FileLock(book.lock_path(job_id), blocking=False)
    with suppress(filelock.Timeout), lock:
        book.turn(job_id, window, [each.number for each in book.shards(job_id) if each.state == "direct"])


def known(
    job: Job,
    cuts: Sequence[Cut],
    repeated: Loan | None = None,
    but: Container[str] = (),
    *,
    look: bool = False,
) -> list[Loan]:
    """What other jobs have of a submission that was cut, see `reuse.find`.

    One that was left half-way lends what it has and is ended, so that nobody asks the rest of it for this;
    a mere `look` changes nothing.
    """
    while True:
        half_way = left_half_way()
        loans = reuse.find(job, cuts, ledger.current(), driven, unanswered(half_way), repeated, but)
        if look or all(ended(loan.lender) for loan in loans if loan.lender in half_way):
            return loans


# --- carrying -------------------------------------------------------------------------------------------


def ensure(job: Job, service: Callable[[], Service], *, new: bool = False) -> Run:
    """The run of a job in this process, made where there is none or where there is more to do.

    A `new` job was put down a moment ago, with all that others have of it.
    """
    book = ledger.current()
    with _lock:
        run = _runs.get(job.job_id)
        if run is not None and not run.rows.done:
            run.use(lambda: connect(service()))  # there may be another key by now
            return run
        loans = book.loans(job.job_id)
        if run is not None and _complete(book.shards(job.job_id)):
            heard = len(run.rows.lent) == len(loans) and all(lender.rows.done for lender in run.lenders)
            if heard and at_rest(job.job_id):
                return run
            rows, view = run.rows, run.view
            lenders = [ensure(book.job(loan.lender), service) for loan in loans]
            rows.reopen(_lent(loans, [lender.rows for lender in lenders]))
        else:
            if not new and _reconsidered(job):
                loans = book.loans(job.job_id)
            lenders = [ensure(book.job(loan.lender), service) for loan in loans]
            rows = _rows(job, loans, [lender.rows for lender in lenders])
            view = View(job.job_id, book, rows)
            rows.describe = view.how_far
        run = Run(job.job_id, book, rows, lambda: connect(service()), view)
        run.lenders = lenders
        _runs[job.job_id] = run
        return run


def _reconsidered(job: Job) -> bool:
    """Has what others asked meanwhile taken out of what this job never sent; whether there was any.

    The process that cut it has ended; another submission may have asked for the same rows since.
    """
    book = ledger.current()
    cuts = book.never_sent(job.job_id)
    if not cuts or job.attempt > 1 or driven(job.job_id):
        return False
    lock = filelock.FileLock(book.lock_path(job.job_id), blocking=False)
    with suppress(filelock.Timeout), lock, book.submitting():
        if loans := known(job, cuts, but=borrowers(job.job_id)):
            with book.cutting(new_job_id()) as folder:
                begin = len(book.shards(job.job_id))
                left = reuse.unlent(cuts, loans, folder, shards.MAX_LINES, begin)
                book.withdraw(job.job_id, cuts, left, loans)
                return True
    return False  # nobody has any of it, or somebody has begun to drive it


def held(job_id: str) -> Run | None:
    """The run that carries a job in this process now, or carried it last."""
    return _runs.get(job_id)


def drop(job_id: str) -> None:
    """Lets go of a job's run. Takes no lock of ours: who forgets holds the ledger's."""
    _runs.pop(job_id, None)


def begin(run: Run) -> None:
    """Starts a run, and first those that lend to it."""
    _at_exit()
    for lender in run.lenders:
        begin(lender)
    with _lock:
        if not run.begun:
            run.begun = True
            loop.submit(run.run())


def connect(where: Service) -> tuple[api.Groq, Poller]:
    """Endpoints and poller of a service and key, shared by all its jobs. On the loop's thread."""
    if where not in _connections:
        endpoints = api.Groq(where)
        _connections[where] = (endpoints, Poller(endpoints))
    return _connections[where]


@cache
def _at_exit() -> None:
    """Has `_finish_sending` called when the interpreter ends, before the threads that it needs are gone."""
    import concurrent.futures.thread  # noqa: F401 (it ends threads: ours is to be called first)

    register = getattr(threading, "_register_atexit", atexit.register)
    register(_finish_sending)


def _finish_sending() -> None:
    """At the end of a script, what is on its way is sent and what has come is saved.

    Not in a notebook, which goes on by itself.
    """
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        return
    if found := _unfinished():
        sending = [now for now in found if now.phase == "sending"]
        count = sum(now.prompts for now in sending)
        if count:
            what = "1 prompt is" if count == 1 else f"{count:,} prompts are"
            print(f"groq_magic: {what} being sent; this ends when that is at {sending[0].badge}.")  # noqa: T201
        with suppress(KeyboardInterrupt):
            while _unfinished():
                time.sleep(0.1)


def _unfinished() -> list[Snapshot]:
    """What a script that ends waits for: all that sends, and all that only has its end to write.

    For what is at the service nobody waits. What lends to another of them counts for it.
    """
    found: dict[Run, Snapshot] = {}
    for run in list(_runs.values()):
        if run.begun and not run.rows.finished.done():
            now = run.view.snapshot()
            if now.phase in ("sending", "done") or at_rest(run.job_id):
                found[run] = now
    return [now for run, now in found.items() if not found.keys() & {*run.lenders}]


def leave() -> Future[None]:
    """Stops watching everything; the batches run on and can be attached to. Resolves when all is let go."""
    with _lock:
        runs = list(_runs.values())
        _runs.clear()
    return loop.submit(_leave(runs))


def _in_child() -> None:
    """A forked child has neither our thread nor its connections."""
    global _lock
    _lock = threading.RLock()
    for run in _runs.values():
        run.rows.left = True
    _runs.clear()
    _connections.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


async def _leave(runs: list[Run]) -> None:
    connections = list(_connections.values())
    _connections.clear()
    for run in runs:
        await run.leave()
    for run in runs:
        if run.begun:
            await run.left.wait()
    for endpoints, _ in connections:
        await endpoints.close()
