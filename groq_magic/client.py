"""submit, attach, batches: everything the magics do, without magics."""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import filelock

from groq_magic import api, keys, loop, policy, prompts, reuse, shards, wire
from groq_magic.answers import Answers, Lent, Rows, Source, Verbs
from groq_magic.answers.reading import CUT, UNANSWERED
from groq_magic.errors import InputError, KeyMissing, StillRunning
from groq_magic.job import NAMELESS, Job, Loan, Shard, Snapshot
from groq_magic.keys import Service
from groq_magic.ledger import Ledger, default_home, new_job_id
from groq_magic.pipeline import Run
from groq_magic.polling import Poller
from groq_magic.prompts import Prompts
from groq_magic.view import Observer, View

DEFAULT_MODEL = "openai/gpt-oss-20b"
# https://console.groq.com/docs/api-reference#chat-create
RANGES = {"temperature": (0.0, 2.0), "max_tokens": (1.0, math.inf), "take": (1.0, math.inf)}
_FIELDS = {"temperature": "temperature", "max_tokens": "max_completion_tokens"}
WINDOWS = ("24h", "7d")  # those with evidence: https://console.groq.com/docs/batch

_ledger: Ledger | None = None
_chosen: Service | None = None
_connections: dict[Service, tuple[api.Groq, Poller]] = {}
_runs: dict[str, Run] = {}
_lock = threading.RLock()


@dataclass(frozen=True)
class Settings:
    """What the prompts are asked with. `options` go into every body as they are."""

    model: str = DEFAULT_MODEL
    window: str = "24h"
    options: Mapping[str, Any] | None = None
    shard_rows: int = shards.MAX_LINES
    take: int = 1


@dataclass(frozen=True)
class Plan:
    """What would be sent: `tokens` is a rough count of the prompts', four characters each."""

    prompts: int
    bytes: int
    shards: int
    tokens: int
    first: str
    settings: str
    model: str
    place: str


# --- where things go ---------------------------------------------------------------------------------


def ledger() -> Ledger:
    """The ledger of this process, opened on first use; another home opens another."""
    global _ledger
    with _lock:
        home = default_home()
        if _ledger is None or _ledger.home != home:
            _ledger = Ledger(home)
        return _ledger


def service() -> Service:
    """Where prompts go now: the sandbox that was chosen, else Groq with the key found. Raises KeyMissing."""
    return _chosen or keys.find()


def use_sandbox(url: str | None = None, *, fresh: bool = False, pace_s: float = 10.0) -> Service:
    """From now on prompts go to a sandbox: the one at `url`, or one inside this process.

    `fresh` begins with an empty store. A whole batch takes about `pace_s` seconds in this process's sandbox.
    """
    global _chosen
    if url is not None:
        if fresh:
            raise InputError(
                "--fresh is for the sandbox in this kernel: start the one at the URL with another --home."
            )
        _chosen = _sandbox_at(keys.root(url))
        return _chosen
    home = ledger().sandbox_home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    stores = sorted(path for path in home.iterdir() if path.is_dir())
    folder = home / f"{time.time_ns():x}" if fresh or not stores else stores[-1]
    store_id = api.sandbox_app(str(folder), pace_s).state.store_id
    _chosen = keys.sandbox(store_id, folder.as_uri(), str(folder), pace_s)
    return _chosen


def use_groq() -> None:
    """From now on prompts go to Groq again, with the key that is found."""
    global _chosen
    _chosen = None


def _sandbox_at(url: str) -> Service:
    import httpx

    if url == keys.GROQ:
        raise InputError(f"{url} is Groq itself: %groq sandbox off sends prompts there.")
    try:
        found = httpx.get(f"{url}/sandbox", timeout=5).raise_for_status().json()
        there = keys.sandbox(str(found["store_id"]), url)
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as exc:
        raise InputError(
            f"No sandbox answers at {url} ({exc!r}). Start one: groq-magic sandbox; it prints its URL."
        ) from exc
    if found.get("token_needed"):
        asked = httpx.get(
            f"{url}/openai/v1/models", headers={"Authorization": f"Bearer {there.key}"}, timeout=5
        )
        if asked.status_code == 401:
            raise InputError(
                f"The sandbox at {url} lets in who has its token: set {keys.SANDBOX_TOKEN} to it in the "
                "environment, and type this again."
            )
    return there


def _service_of(job: Job) -> Service:
    """The service that a job was sent to. Raises KeyMissing, InputError."""
    if _chosen is not None and _chosen.id == job.service:
        return _chosen
    if job.service.startswith("sandbox:"):
        store_id = job.service.removeprefix("sandbox:")
        if job.base_url.startswith("file:"):
            return keys.sandbox(store_id, job.base_url, str(_path(job.base_url)))
        return keys.sandbox(store_id, job.base_url)
    found = keys.find()
    if found.id != job.service:
        raise InputError(f"These prompts went to {job.service}; set GROQ_BASE_URL to it to go on.")
    return found


def _path(uri: str) -> Path:
    from urllib.parse import unquote, urlsplit

    return Path(unquote(urlsplit(uri).path))


def notebook() -> str:
    """What we call the notebook we are in: Jupyter's name for its session, else the working folder."""
    return os.environ.get("JPY_SESSION_NAME") or str(Path.cwd())


# --- submitting --------------------------------------------------------------------------------------


def submit(
    source: object,
    *,
    template: str | None = None,
    model: str = DEFAULT_MODEL,
    system: str | None = None,
    id: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    extra: Mapping[str, Any] | None = None,
    window: str = "24h",
    take: int = 1,
    raw: bool = False,
    variables: Mapping[str, object] | None = None,
    name: str = "",
) -> Answers:
    """Sends every prompt of `source` to Groq's Batch API and returns at once; the Answers fill in place.

    `source` is a list of texts, a dict id → prompt, message lists, rows or a table; `template` (Jinja's
    `{{ }}`) is filled for each row. `temperature` is 0 to 2; `max_tokens` bounds each answer; `extra` is
    merged into every request's body; `window` is "24h" or "7d". Everything is cut and checked before this
    returns; the network is never waited for. What was asked before is not sent again, row by row; another
    `take` is another set of answers. With a `name`, `%groq attach` finds them under it in this notebook.
    Raises InputError, KeyMissing, LedgerError. https://console.groq.com/docs/batch
    """
    asked = prompts.from_source(
        source, template=template, raw=raw, id_column=id, variables=variables or {}, system=system
    )
    options = body_options(temperature=temperature, max_tokens=max_tokens, extra=extra)
    return send(asked, Settings(model, window, options, take=take), name=name)


def body_options(
    *, temperature: float | None = None, max_tokens: int | None = None, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Options as Groq's body fields, only those that were given. Raises InputError.

    https://console.groq.com/docs/api-reference#chat-create: temperature 0 to 2; `max_tokens` is deprecated
    for `max_completion_tokens`.
    """
    given = {"temperature": temperature, "max_tokens": max_tokens}
    options: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        low, high = RANGES[name]
        kinds = int if name == "max_tokens" else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool) or not low <= value <= high:
            whole = "whole numbers from" if name == "max_tokens" else "numbers from"
            upper = "on" if high == math.inf else f"to {high:g}"
            raise InputError(f"{name} is {value!r}; Groq takes {whole} {low:g} {upper}.")
        options[_FIELDS[name]] = float(value) if name == "temperature" else value
    return options | _extra(extra, {name for name, value in given.items() if value is not None})


def _extra(extra: object, given: set[str]) -> dict[str, Any]:
    """What is merged into every body. Raises InputError where it says again what has an option of its own."""
    if extra is None:
        return {}
    if not isinstance(extra, Mapping) or not all(isinstance(key, str) for key in extra):
        raise InputError(
            f'extra is {extra!r:.60}; it is a dict with text keys, for example {{"top_p": 0.9}}.'
        )
    clashes = {"model", "messages"} | {_FIELDS[name] for name in given} | (given & {"max_tokens"})
    if clash := next((key for key in extra if key in clashes), None):
        raise InputError(f"extra holds {clash!r}, which has an option of its own: keep one of them.")
    return dict(extra)


def send(
    asked: Prompts, settings: Settings, *, name: str, bind: Callable[[Answers], None] = lambda answers: None
) -> Answers:
    """Cuts the prompts, puts the job on the ledger, binds the Answers, and only then starts carrying it."""
    if not settings.model.strip():
        raise InputError("The model's name is empty: for example openai/gpt-oss-20b.")
    if settings.window not in WINDOWS:
        raise InputError(f"window is {settings.window!r}; Groq takes {' or '.join(WINDOWS)}.")
    if not isinstance(settings.take, int) or isinstance(settings.take, bool) or settings.take < 1:
        raise InputError(f"take is {settings.take!r}; it is a whole number from 1.")
    where, book = service(), ledger()
    job_id = new_job_id()
    form = shards.Form(settings.model, system=asked.system, options=settings.options)
    with book.cutting(job_id) as folder:
        cuts = shards.cut(asked, form, folder, settings.shard_rows)
        draft = Job(
            job_id=job_id,
            created_at=time.time(),
            service=where.id,
            base_url=where.base_url,
            key_fingerprint=where.key_fingerprint,
            notebook=notebook(),
            name=name,
            model=settings.model,
            endpoint=form.endpoint,
            window=settings.window,
            prompts=sum(cut.lines for cut in cuts),
            content=shards.content_hash(cuts),
            take=settings.take,
        )
        job = _put_down(draft, cuts, folder, settings.shard_rows)
    asked_now, new = 0, job.job_id == job_id
    if not new and _at_rest(job.job_id) and _some_unanswered(job.job_id):
        rows = _read(job)
        asked_now = _ask_again(job, rows, rows.unanswered())
    reused = _reused(job, asked_now, new=new)
    return carry(job, name, frame=asked.frame, service=lambda: where, reused=reused, new=new, bind=bind)


def _put_down(draft: Job, cuts: list[shards.Cut], folder: Path, shard_rows: int) -> Job:
    """The submission on the ledger, with what earlier jobs have of it; or the earlier job that it is."""
    book = ledger()
    if (same := book.same(draft)) is not None:
        return same
    loans = reuse.find(draft, cuts, book, _driven)
    if loans:
        cuts = reuse.left_over(cuts, loans, folder, shard_rows)
    return book.add(draft, cuts, folder, loans)


def _driven(job_id: str) -> bool:
    """Whether a process carries this job now."""
    with _lock:
        run = _runs.get(job_id)
    if run is not None and run.begun and not run.rows.finished.done():
        return True
    lock = filelock.FileLock(ledger().lock_path(job_id))
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return True
    lock.release()
    return False


@dataclass(frozen=True)
class Reused:
    """How many rows are not sent now, and when the first of them were asked for."""

    rows: int = 0
    since: float | None = None


def _reused(job: Job, asked_now: int, *, new: bool) -> Reused:
    book = ledger()
    if not new:
        sent = all(shard.batch_id for shard in book.shards(job.job_id))
        return Reused(job.prompts - asked_now, job.created_at) if sent else Reused()
    loans = [(len(loan.rows), book.job(loan.lender).created_at) for loan in book.loans(job.job_id)]
    return Reused(sum(n for n, _ in loans), min(at for _, at in loans)) if loans else Reused()


# --- asking again ------------------------------------------------------------------------------------


def _ask_again(
    job: Job, rows: Rows, again: list[int], fields: Mapping[str, Any] | None = None, model: str = ""
) -> int:
    """Has rows of a job asked again, by a job of their own that lends it the answers; how many are sent.

    `fields` are changes to Groq's body; without any, the requests are the same ones, sent once more.
    """
    if not again:
        return 0
    book, job_id, fields = ledger(), new_job_id(), fields or {}
    before = [book.job(loan.lender).attempt for loan in book.loans(job.job_id) if loan.kind == "retry"]
    with book.cutting(job_id) as folder:
        cuts = reuse.again(rows, again, folder, job.endpoint, fields)
        draft = replace(
            job,
            job_id=job_id,
            created_at=time.time(),
            key_fingerprint=service().key_fingerprint,
            notebook=notebook(),
            model=model or job.model,
            prompts=len(again),
            content=shards.content_hash(cuts),
            attempt=1 if fields else 1 + max([1, *before]),
            cancel_requested_at=None,
            stopped=None,
        )
        # What is changed may have been asked before; what is not, is meant to be asked once more.
        lender = _put_down(draft, cuts, folder, shards.MAX_LINES) if fields else book.add(draft, cuts, folder)
    loan = Loan(lender.job_id, "retry", time.time(), array("I", again), array("I", range(len(again))))
    book.lend(job.job_id, loan)
    if fields and lender.job_id != job_id and _at_rest(lender.job_id):
        rows = _read(lender)
        return _ask_again(lender, rows, [row for row in range(len(again)) if rows.status[row] in UNANSWERED])
    return len(again)


def _family(job_id: str) -> list[str]:
    """A job, and those that its answers come from, at whatever remove."""
    found: list[str] = []
    waiting = [job_id]
    while waiting:
        if (each := waiting.pop()) not in found:
            found.append(each)
            waiting += reversed([loan.lender for loan in ledger().loans(each)])
    return found


def _at_rest(job_id: str) -> bool:
    """Whether nothing more will come of a job by itself, nor of those that lend to it."""
    return all(_complete(ledger().shards(each)) for each in _family(job_id))


def _some_unanswered(job_id: str) -> bool:
    """Whether there may be rows that ended without an answer; reading them tells."""
    return any(shard.unanswered for each in _family(job_id) for shard in ledger().shards(each))


def _read(job: Job) -> Rows:
    """The rows of a job at rest: those that are here, or read from disk now."""
    book = ledger()
    run = _runs.get(job.job_id)
    if run is not None and run.rows.done and len(run.rows.lent) == len(book.loans(job.job_id)):
        return run.rows
    rows = _rows(job, [_read(book.job(loan.lender)) for loan in book.loans(job.job_id)])
    for shard in book.shards(job.job_id):
        for path in book.results(job.job_id, shard.number):
            rows.collect(shard.number, path)
        rows.close(shard.number, *policy.ending(shard))
    for lent in rows.lent:
        rows.borrow(lent)
    return rows


def retry(answers: Answers, picked: Sequence[int], **changes: Any) -> int:
    """Sends again what has no answer among these rows, changed as `changes` says; how many are sent.

    `changes` are those of `submit`: model, temperature, max_tokens, extra. What was cut off is sent, too, if
    `max_tokens` rises. All Answers over these rows fill in place. Raises StillRunning while the batch runs.
    """
    known = ("model", "temperature", "max_tokens", "extra")
    if unknown := [name for name in changes if name not in known]:
        raise InputError(f"retry knows no {unknown[0]!r}; it takes {', '.join(known)}.")
    job = ledger().job(answers.job_id)
    if not answers.done or not _at_rest(job.job_id):
        raise StillRunning("Not all of it has ended: wait for it, or run its cell again, then retry.")
    model = changes.pop("model", None)
    fields = body_options(**changes) | ({"model": model} if model else {})
    rows, most = _read(job), fields.get("max_completion_tokens", 0)

    def raised(row: int) -> bool:
        return bool(most > rows.request(row).body.get("max_completion_tokens", math.inf))

    again = [
        row
        for row in sorted(picked)
        if rows.status[row] in UNANSWERED or (rows.status[row] == CUT and most and raised(row))
    ]
    sent = _ask_again(job, rows, again, fields, model or "")
    if again:
        _begin(_ensure(job, lambda: _service_of(job)))
    return sent


def plan(asked: Prompts, settings: Settings) -> Plan:
    """What `send` would send; nothing is kept and nothing leaves."""
    import tempfile

    form = shards.Form(settings.model, system=asked.system, options=settings.options)
    with tempfile.TemporaryDirectory(prefix="groq_magic-") as folder:
        cuts = shards.cut(asked, form, Path(folder), settings.shard_rows)
        with cuts[0].path.open("rb") as file:
            first = wire.request(file.readline())
    size = sum(cut.size for cut in cuts)
    count = sum(cut.lines for cut in cuts)
    try:
        place = service().place
    except KeyMissing:
        place = "nowhere yet (no key was found)"
    given = {**(settings.options or {}), "window": settings.window}
    said = ", ".join(f"{key} {value!r}" for key, value in given.items())
    constant = len(form.text_head) + len(form.text_tail) + 60
    tokens = max(0, size - count * constant) // 4 + count * len(asked.system or "") // 4
    return Plan(count, size, len(cuts), tokens, _as_text(first), said, settings.model, place)


def _as_text(request: wire.Request) -> str:
    messages = request.body["messages"]
    return "\n".join(f"[{m.get('role')}] {m.get('content')}" for m in messages)


def carry(
    job: Job,
    name: str,
    *,
    frame: object | None = None,
    service: Callable[[], Service] | None = None,
    reused: Reused | None = None,
    new: bool = False,
    bind: Callable[[Answers], None] = lambda answers: None,
) -> Answers:
    """Starts carrying a job, or joins whoever does in this process; Answers over its rows."""
    run = _ensure(job, service or (lambda: _service_of(job)), new=new)
    if name:
        ledger().name(notebook(), name, job.job_id)
    verbs = _verbs(job.job_id, run, name or NAMELESS, reused or Reused())
    answers = Answers(name or NAMELESS, run.rows, verbs, frame=frame)
    bind(answers)
    _begin(run)
    return answers


def _ensure(job: Job, service: Callable[[], Service], *, new: bool = False) -> Run:
    """The run of a job in this process, made where there is none or where there is more to do.

    A `new` job was put down a moment ago, with all that others have of it.
    """
    book = ledger()
    with _lock:
        run = _runs.get(job.job_id)
        if run is not None and not run.rows.done:
            return run
        loans = book.loans(job.job_id)
        if run is not None and _complete(book.shards(job.job_id)):
            if len(run.rows.lent) == len(loans) and all(lender.rows.done for lender in run.lenders):
                return run
            rows, view = run.rows, run.view
            lenders = [_ensure(book.job(loan.lender), service) for loan in loans]
            rows.reopen([_lent(loan, lender.rows) for loan, lender in zip(loans, lenders, strict=True)])
        else:
            if not new and _reconsidered(job):
                loans = book.loans(job.job_id)
            lenders = [_ensure(book.job(loan.lender), service) for loan in loans]
            rows = _rows(job, [lender.rows for lender in lenders])
            view = View(job.job_id, book, rows)
            rows.describe = view.how_far
        run = Run(job.job_id, book, rows, lambda: _connect(service()), view)
        run.lenders = lenders
        _runs[job.job_id] = run
        return run


def _reconsidered(job: Job) -> bool:
    """Has what others asked meanwhile taken out of what this job never sent; whether there was any.

    The process that cut it has ended; another submission may have asked for the same rows since.
    """
    book = ledger()
    cuts = book.never_sent(job.job_id)
    if not cuts or job.attempt > 1 or _driven(job.job_id):
        return False
    loans = reuse.find(job, cuts, book, _driven)
    if loans:
        with book.cutting(new_job_id()) as folder:
            begin = len(book.shards(job.job_id))
            left = reuse.unlent(cuts, loans, folder, shards.MAX_LINES, begin)
            book.withdraw(job.job_id, cuts, left, loans)
    return bool(loans)


def _begin(run: Run) -> None:
    """Starts a run, and first those that lend to it."""
    _at_exit()
    for lender in run.lenders:
        _begin(lender)
    with _lock:
        if not run.begun:
            run.begun = True
            loop.submit(run.run())


@cache
def _at_exit() -> None:
    """Has `_finish_sending` called when the interpreter ends, before the threads that it needs are gone."""
    import concurrent.futures.thread  # noqa: F401 (it ends threads: ours is to be called first)

    register = getattr(threading, "_register_atexit", atexit.register)
    register(_finish_sending)


def _finish_sending() -> None:
    """At the end of a script, what is on its way is sent; in a notebook, which goes on by itself, nothing."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        return

    def sending() -> list[Snapshot]:
        runs = [run for run in _runs.values() if run.begun and not run.rows.finished.done()]
        return [now for run in runs if (now := run.view.snapshot()).phase == "sending"]

    if found := sending():
        count = sum(now.prompts for now in found)
        print(f"groq_magic: {count:,} prompts are being sent; this ends when they are at {found[0].badge}.")  # noqa: T201
        with suppress(KeyboardInterrupt):
            while sending():
                time.sleep(0.1)


def _complete(found: list[Shard]) -> bool:
    return all(shard.state in ("collected", "cancelled", "withdrawn") for shard in found)


def _rows(job: Job, lenders: list[Rows]) -> Rows:
    """The rows of a job, none of them filled yet; `lenders` are the rows of those that its loans name."""
    book = ledger()
    sources = [
        Source(shard.number, book.shard_path(job.job_id, shard.number), rows, shard.prefix)
        for shard, rows in zip(book.shards(job.job_id), book.rows(job.job_id), strict=True)
    ]
    loans = zip(book.loans(job.job_id), lenders, strict=True)
    return Rows(job.job_id, job.prompts, sources, [_lent(loan, rows) for loan, rows in loans])


def _lent(loan: Loan, lender: Rows) -> Lent:
    return Lent(lender, loan.rows, loan.lender_rows, retry=loan.kind == "retry", ids=loan.ids)


def _connect(where: Service) -> tuple[api.Groq, Poller]:
    """Endpoints and poller of a service and key, shared by all its jobs. On the loop's thread."""
    if where not in _connections:
        endpoints = api.Groq(where)
        _connections[where] = (endpoints, Poller(endpoints))
    return _connections[where]


def _verbs(job_id: str, run: Run, name: str, reused: Reused) -> Verbs:
    def now() -> Run:
        """The run that carries the job now: a retry is another one, over the same rows."""
        return _runs.get(job_id, run)

    def cancel() -> Future[None]:
        for lender, lent in zip(now().lenders, now().rows.lent, strict=False):
            if lent.retry:
                loop.submit(lender.cancel())
        return loop.submit(now().cancel())

    def watch(observer: Observer) -> None:
        # One batch may be held under several names.
        def seen(snapshot: Snapshot) -> None:
            observer(replace(snapshot, name=name, reused=reused.rows, reused_from=reused.since))

        loop.run(run.view.watch(seen))

    return Verbs(
        watch=watch,
        check_now=lambda: loop.submit(now().check_now()),
        cancel=cancel,
        retry=retry,
        settle=run.view.settle,
        status=lambda: run.view.snapshot().status,
        batch_ids=lambda: _batch_ids(job_id),
    )


def _batch_ids(job_id: str) -> list[str]:
    """The batches that a job's answers come from: its own, then those of who lends to it."""
    found = [shard.batch_id for each in _family(job_id) for shard in ledger().shards(each)]
    return list(dict.fromkeys(batch_id for batch_id in found if batch_id))


# --- afterwards --------------------------------------------------------------------------------------


def watch(answers: Answers, observer: Observer) -> None:
    """Hands the observer a Snapshot of the batch now and at every change, on the loop's thread."""
    answers.verbs.watch(observer)


def check_now(answers: Answers) -> Future[None]:
    """Asks how the batch is at once; returns without waiting for the reply. From any thread."""
    return answers.verbs.check_now()


def cancel(answers: Answers) -> Future[None]:
    """Cancels the batch; returns without waiting. From any thread."""
    return answers.verbs.cancel()


def attach(word: str, name: str | None = None) -> Answers:
    """A batch that the ledger knows, by Groq's batch id, our job id, or the name this notebook gave it.

    Goes on where it was: what is at Groq is watched and collected, what is here is read. Raises LedgerError.
    """
    job, known_as = find(word)
    return carry(job, name or known_as)


def find(word: str) -> tuple[Job, str]:
    """The job that `attach` would take up, and the name it goes by. Raises LedgerError."""
    book = ledger()
    for entry in book.named(notebook()):
        if entry.name == word:
            return entry.job, word
    job = book.job_of_batch(word) or book.job(word)
    return job, job.name


def named() -> list[str]:
    """The names under which this notebook had batches, oldest first."""
    return [entry.name for entry in ledger().named(notebook())]


def attach_all() -> list[Answers]:
    """Everything this notebook had, each under its last name, oldest first."""
    return [carry(entry.job, entry.name) for entry in ledger().named(notebook())]


def batches() -> list[tuple[Job, list[Shard]]]:
    """Every job that the ledger knows with its shards, newest first."""
    book = ledger()
    return [(job, book.shards(job.job_id)) for job in reversed(book.jobs())]


def forget(answers: Answers) -> int:
    """Removes a batch and its answers from this machine; how many bytes that were.

    The service keeps what it has, so that the same prompts find it again there. Raises StillRunning,
    InputError where other batches have answers of it.
    """
    book, job_id = ledger(), answers.job_id
    if not answers.done:
        raise StillRunning("It still runs: wait for it or cancel it first.")
    if borrowers := [job.name or NAMELESS for job in book.borrowers(job_id)]:
        raise InputError(f"Its answers are also those of {', '.join(borrowers)}: forget that first.")
    size = book.size(job_id)
    retries = [loan.lender for loan in book.loans(job_id) if loan.kind == "retry"]
    with _lock:
        _runs.pop(job_id, None)
    book.forget(job_id)
    for lender in retries:
        if not book.borrowers(lender):
            size += book.size(lender)
            _runs.pop(lender, None)
            book.forget(lender)
    return size


def leave() -> Future[None]:
    """Stops watching everything; the batches run on and can be attached to. Resolves when all is let go."""
    with _lock:
        runs = list(_runs.values())
        _runs.clear()
    return loop.submit(_leave(runs))


def _in_child() -> None:
    """A forked child has neither our thread nor its connections, and must not write with its parent's."""
    global _ledger, _lock
    _lock, _ledger = threading.RLock(), None
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
