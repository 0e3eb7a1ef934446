"""submit, attach, batches: everything the magics do, without magics."""

from __future__ import annotations

import json
import os
import time
from array import array
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groq_magic import (
    costs,
    estimates,
    foreign,
    keys,
    ledger,
    loop,
    prompts,
    recall,
    reuse,
    runs,
    services,
    shards,
    wire,
)
from groq_magic import schema as schemas
from groq_magic.answers import Answers, Rows, Verbs, display, saved
from groq_magic.answers.reading import CUT, UNANSWERED
from groq_magic.answers.saved import Saved
from groq_magic.costs import NO_LIMIT, Estimate, Limit
from groq_magic.errors import GroqMagicError, InputError, KeyMissing, StillRunning
from groq_magic.job import NAMELESS, NEVER_SENT, NOW, SEVERAL_MODELS, Job, Loan, Snapshot
from groq_magic.keys import Service
from groq_magic.ledger import new_job_id
from groq_magic.pipeline import Run
from groq_magic.prompts import Prompts
from groq_magic.schema import Schema
from groq_magic.settings import (
    BODY_OPTIONS,
    DEFAULT_MODEL,
    Settings,
    body_options,
    checked_model,
    limit,
    response_format,
)
from groq_magic.view import Observer

CHANGES = ("model", *BODY_OPTIONS, "max_cost")
"""What a retry may say otherwise than the submission did."""
_DIRECT = "each by itself, at on-demand price, twice the batch price"


@dataclass(frozen=True)
class Plan:
    """What would be sent: `tokens` is a rough count of the prompts', `estimate` what it would cost.

    `few_tokens` warns of too few of them an answer; `refused` says why it may not be sent as it is. `reused`
    rows were asked before; `read` are in the file `saved`; `repeats` share the answer of an equal one;
    `skipped` miss a value. What is `free` goes to a sandbox. The source may be `used_up` by looking.
    """

    prompts: int
    bytes: int
    shards: int
    tokens: int
    first: str
    settings: str
    model: str
    place: str
    estimate: Estimate
    reused: int = 0
    repeats: int = 0
    skipped: int = 0
    used_up: bool = False
    free: bool = False
    few_tokens: str | None = None
    refused: str | None = None
    read: int = 0
    saved: str = ""


# --- submitting --------------------------------------------------------------------------------------


def submit(
    source: object,
    *,
    template: str | None = None,
    model: str | None = None,
    system: str | None = None,
    id: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    seed: int | None = None,
    reasoning: str | None = None,
    extra: Mapping[str, Any] | None = None,
    schema: object = None,
    window: str = "24h",
    now: bool = False,
    take: int = 1,
    samples: int = 1,
    unique: bool = False,
    save: str | os.PathLike[str] | None = None,
    raw: bool = False,
    missing: str = "error",
    max_prompts: int = prompts.MAX_PROMPTS,
    max_cost: float | None = None,
    variables: Mapping[str, object] | None = None,
    name: str = "",
) -> Answers:
    """Sends every prompt of `source` to Groq's Batch API and returns at once; the Answers fill in place.

    Everything is cut and checked before this returns; the network is never waited for. What was asked before
    is not sent again, row by row. https://console.groq.com/docs/batch

    What is asked: `source` is anything of the table in `groq_magic.prompts.kinds`: a list of texts, a dict
    id → prompt, message lists, rows, a frame, a file (a `Path`), an iterator of at most `max_prompts`, whole
    request lines … `template` (Jinja's `{{ }}`) is filled for each row, with `variables` as `vars.x`; not
    with `raw`. `id` is the column of unique ids. Rows that miss a value which is used are an error or, with
    `missing="skip"`, are not sent. `system` is a message before every prompt, and may be a template.

    How: `model` is by default openai/gpt-oss-20b, or that of request lines. `temperature` is 0 to 2;
    `max_tokens` bounds each answer, reasoning included; `seed` is a whole number; `reasoning` is low, medium
    or high; `extra` is merged into every request's body. `schema` is what each answer is to fit: a Pydantic
    model, a dataclass, a TypedDict, a msgspec Struct, a JSON Schema dict, or labels ("positive|negative", a
    Literal, an Enum, a list of texts): see `groq_magic.schema`. Each prompt is asked `samples` times; with
    `unique`, equal prompts are sent once and share the answer; another `take` is another set of answers.

    Which way: `window` is "24h" or "7d". With `now` there is no batch: each prompt is asked by itself through
    the ordinary endpoint, at on-demand price, twice the batch price, and only while this process lives.
    Nothing is sent that is estimated to cost more than `max_cost` USD, by default 5. At the end the answers
    are written to the file `save` (.jsonl, .csv, .parquet), which is read first: what it has is not sent, and
    takes no key. With a `name`, `attach` and `%groq attach` find them under it in this notebook or folder.

    Raises InputError, KeyMissing, LedgerError; what the service refuses is in the Answers.
    """
    model_name = DEFAULT_MODEL if model is None else model
    fits = None if schema is None else schemas.schema_of(schema)
    options = body_options(
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        reasoning=reasoning,
        response_format=response_format(fits, model_name),
        extra=extra,
    )
    settings = Settings(
        model_name,
        window,
        options,
        take=take,
        samples=samples,
        unique=unique,
        schema=fits,
        limit=limit(max_cost),
        now=now,
        save=None if save is None else saved.place(save),
    )
    asked = prompts.from_source(
        source,
        template=template,
        raw=raw,
        id_column=id,
        variables=variables or {},
        system=system,
        model=None if model is None else settings.model,
        options=options,
        missing=missing,
        max_prompts=max_prompts,
    )
    return send(asked, settings, name=name)


def send(
    asked: Prompts,
    settings: Settings,
    *,
    name: str,
    bind: Callable[[Answers], None] = lambda answers: None,
    tick: Callable[[int], None] = lambda rows: None,
    before: Answers | None = None,
    cancel_before: bool = False,
    keep: bool = True,
) -> Answers:
    """Cuts the prompts, puts the job on the ledger, binds the Answers, and only then starts carrying it.

    `tick` is told now and then how many prompts were cut. `before` is what the name stood for until now: a
    batch of other prompts that still runs is cancelled first, or the card says that it does. A file of
    answers that is not to `keep` these is read, and not written.
    """
    missing = None
    try:
        where = services.current()
    except KeyMissing as exc:  # what was answered can be had all the same
        where, missing = keys.keyless(), exc
    held = recall.read(settings, where)
    job, new, repeats = _entered(asked, settings, where, name, tick, missing, held)
    asked_now = 0
    if not new and not missing:
        job, asked_now = _go_on(job, settings)
    still = before if before and not before.done and before.job_id != job.job_id else None
    bound: list[Answers] = []

    def held_by_whoever_asked(answers: Answers) -> None:
        if still and cancel_before:
            still.cancel()
        bound.append(answers)
        bind(answers)

    try:
        notes = [recall.taken(held)] if held and held.taken else []
        notes += [_goes_on(still, cancelled=cancel_before)] if still else []
        met = replace(_met(job, asked_now, new=new), repeats=repeats, notes=tuple(notes))
        return carry(
            job,
            name,
            frame=asked.frame,
            service=lambda: where,
            met=met,
            new=new,
            bind=held_by_whoever_asked,
            schema=settings.schema,
            save=settings.save if keep else None,
        )
    except BaseException:
        if new and not bound:  # an interrupt at the last moment: nobody has it, so nothing of it stays
            _take_back(job.job_id)
        raise


def _entered(
    asked: Prompts,
    settings: Settings,
    where: Service,
    name: str,
    tick: Callable[[int], None],
    missing: KeyMissing | None,
    held: Saved | None,
) -> tuple[Job, bool, int]:
    """The submission on the ledger, or the earlier job that it is; whether it is new; how many repeat others.

    Raises as `_put_down` does.
    """
    job_id = new_job_id()
    with ledger.current().cutting(job_id) as folder:
        cuts = _cut(asked, settings, folder, tick)
        if settings.now and asked.models:
            _check_chat(cuts)
        job = _put_down(
            _draft(job_id, asked, cuts, folder, settings, where, name),
            cuts,
            folder,
            settings.shard_rows,
            unique=settings.unique,
            missing=missing,
            held=held,
            bound=settings.limit,
        )
        if held and job.job_id != job_id:
            _mend(job, held, cuts)
        return job, job.job_id == job_id, 0 if settings.unique else shards.repeats(cuts)


def _go_on(job: Job, settings: Settings) -> tuple[Job, int]:
    """An earlier job as it is once a re-run has turned to it, and how many of its rows are asked again.

    Raises InputError where that costs more than the limit.
    """
    book, way = ledger.current(), _way(settings)
    with book.cutting(new_job_id()) as folder:
        left = [(cut.path, cut) for cut in _unanswered(job, folder / "again")]
        _check_cost(replace(job, window=way), [*_unsent([job.job_id]), *left], settings.limit)
    runs.turn(job, way)
    job = book.job(job.job_id)
    if not runs.at_rest(job.job_id) or not runs.some_unanswered(job.job_id):
        return job, 0
    rows = runs.read(job)
    return job, _ask_again(job, rows, rows.unanswered(), settings.limit, window=way)


def _goes_on(before: Answers, *, cancelled: bool) -> str:
    """What becomes of the batch that a name stood for until now."""
    what = f"{before.name} was another batch until now ({display.prompts(len(before))})"
    if cancelled:
        return f"{what}; that one is cancelled."
    stop = f"%groq cancel {before.job_id} stops it, --replace does so from here"
    return f"{what}; that one goes on and is charged: {stop}."


def _way(settings: Settings) -> str:
    """What a job of these settings calls its window."""
    return NOW if settings.now else settings.window


def _check_chat(cuts: list[shards.Cut]) -> None:
    """Raises InputError where a request line asks another endpoint than chat."""
    for cut in cuts:
        with cut.path.open("rb") as file:
            for row, line in zip(cut.rows, file, strict=True):
                if (url := wire.request(line).url) != wire.CHAT:
                    raise InputError(
                        f"Row {row} is for {url}: one by one only {wire.CHAT} is asked. In a batch, without "
                        "--now, it can be sent."
                    )


def _take_back(job_id: str) -> None:
    """Removes a job that was just put down and that nobody has begun to carry or to borrow from."""
    book = ledger.current()
    with book.submitting():
        if not book.borrowers(job_id) and not runs.locked(job_id):
            runs.drop(job_id)
            book.forget(job_id)


def _cut(asked: Prompts, settings: Settings, folder: Path, tick: Callable[[int], None]) -> list[shards.Cut]:
    """The shards of a submission in `folder`; its source is let go of, whatever happens."""
    form = shards.Form(settings.model, system=asked.system, options=settings.options)
    with closing(asked):
        return shards.cut(asked, form, folder, settings.shard_rows, settings.samples, tick)


def _draft(
    job_id: str,
    asked: Prompts,
    cuts: list[shards.Cut],
    folder: Path,
    settings: Settings,
    where: Service,
    name: str,
) -> Job:
    """The job that this submission would be."""
    shares = settings.unique and shards.repeats(cuts) > 0
    skipped = shards.skipped(folder)
    salt = repr((shares, *skipped)).encode() if shares or skipped else b""
    return Job(
        job_id=job_id,
        created_at=time.time(),
        service=where.id,
        base_url=where.base_url,
        key_fingerprint=where.key_fingerprint,
        notebook=ledger.notebook(),
        name=name,
        model=_model(asked, settings),
        endpoint=wire.CHAT,  # audio lines, too: https://console.groq.com/docs/batch
        window=_way(settings),
        prompts=sum(cut.lines for cut in cuts) + len(skipped),
        content=shards.content_hash(cuts, salt),
        samples=settings.samples,
        take=settings.take,
    )


def _model(asked: Prompts, settings: Settings) -> str:
    """The model that the prompts go to: that of the settings, but for whole request lines."""
    if not asked.models:
        return settings.model
    return next(iter(asked.models)) if len(asked.models) == 1 else SEVERAL_MODELS


def _put_down(
    draft: Job,
    cuts: list[shards.Cut],
    folder: Path,
    shard_rows: int,
    *,
    unique: bool = False,
    missing: KeyMissing | None = None,
    held: Saved | None = None,
    but: Container[str] = (),
    bound: Limit = NO_LIMIT,
) -> Job:
    """The submission on the ledger, with what earlier jobs have of it; or the earlier job that it is.

    What nobody has is taken from the file that is `held`. Where a key is `missing`, that is raised before
    anything is put down, unless every answer is here; what costs more than `bound` raises InputError. Jobs
    named in `but` cannot lend to it.
    """
    book = ledger.current()
    same = book.same(draft)
    if same is not None and same.job_id not in but and (missing is None or _answered(same.job_id)):
        return same  # nothing is to be put down: whoever is at it need not be waited for
    with book.submitting():
        while (same := book.same(draft)) is not None:
            if same.job_id in but:
                draft = replace(draft, attempt=draft.attempt + 1)
                continue
            if missing is not None and not _answered(same.job_id) and not _in_file(same, held, cuts):
                raise recall.key_missing(missing, held, cuts)
            return same
        loans = _loans(draft, cuts, unique=unique, but=but)
        wanted = recall.wanted(held, cuts, loans, all_of_it=missing is not None)
        lenders = {loan.lender for loan in loans} - {draft.job_id}
        had = len(wanted) + sum(len(loan.rows) for loan in loans)
        if missing is not None and (had < sum(cut.lines for cut in cuts) or not all(map(_answered, lenders))):
            raise recall.key_missing(missing, held, cuts)
        if held and wanted:
            loans.append(recall.put_down(held, draft, cuts, wanted))
            held.taken = len(wanted)
        if loans:
            cuts = reuse.left_over(cuts, loans, folder, shard_rows)
        _check_cost(draft, [*((cut.path, cut) for cut in cuts), *_unsent(lenders)], bound)
        return book.add(replace(draft, created_at=time.time()), cuts, folder, loans)


def _check_cost(job: Job, files: Sequence[tuple[Path, shards.Cut]], bound: Limit) -> None:
    """Raises InputError where it is estimated to cost more to send these files for a job."""
    if files and (bound.typed or not job.sandbox):
        found, _ = estimates.of_files(ledger.current(), job, files)
        if said := costs.refusal(found, bound, free=job.sandbox):
            raise InputError(said)


def _unsent(job_ids: Iterable[str]) -> list[tuple[Path, shards.Cut]]:
    """What jobs, and those that lend to them, cut and never sent: it goes once they are carried again."""
    every = dict.fromkeys(each for job_id in job_ids for each in runs.family(job_id))
    idle = (job_id for job_id in every if not runs.driven(job_id))
    return [(cut.path, cut) for job_id in idle for cut in ledger.current().never_sent(job_id)]


def _answered(job_id: str) -> bool:
    """Whether nothing is left to ask for about a job."""
    return runs.at_rest(job_id) and not runs.some_unanswered(job_id)


def _loans(
    draft: Job, cuts: list[shards.Cut], *, unique: bool, but: Container[str] = (), look: bool = False
) -> list[Loan]:
    """The rows of a submission that need not be sent, and who has their answers. A `look` changes nothing."""
    repeated = reuse.repeats(draft, cuts) if unique else None
    found = runs.known(draft, cuts, repeated, but, look=look)
    return [repeated, *found] if repeated else found


# --- a file of answers -------------------------------------------------------------------------------


def _in_file(same: Job, held: Saved | None, cuts: list[shards.Cut]) -> bool:
    """Whether all that an earlier job at rest has no answer to is in the file, with whatever status."""
    if held is None or not runs.at_rest(same.job_id):
        return False
    return {*runs.read(same).unanswered()} <= recall.matches(held, cuts).keys()


def _mend(same: Job, held: Saved, cuts: list[shards.Cut]) -> None:
    """Has an earlier job take the answers that it lacks from the file."""
    if not runs.at_rest(same.job_id) or not runs.some_unanswered(same.job_id):
        return
    lacks, numbers = runs.read(same).unanswered(), recall.matches(held, cuts)
    wanted = {row: numbers[row] for row in lacks if row in numbers and recall.answered(held, numbers[row])}
    if wanted:
        with ledger.current().submitting():
            loan = recall.put_down(held, same, cuts, wanted)
            _hand_on(same.job_id, replace(loan, kind="retry", ids=None))
        held.taken = len(wanted)


@dataclass(frozen=True)
class Met:
    """What became of a submission, for its card: how many rows are `reused` and since when the first of them,
    how many only repeat another, how many of an earlier one are asked `again`; what to type to go on;
    whatever else is to be said.
    """

    reused: int = 0
    since: float | None = None
    repeats: int = 0
    again: int = 0
    go_on: str = ""
    notes: tuple[str, ...] = ()


def _met(job: Job, asked_now: int, *, new: bool) -> Met:
    book = ledger.current()
    if not new:
        found = book.shards(job.job_id)
        sent = all(shard.batch_id or shard.state in ("withdrawn", "collected") for shard in found)
        reused = job.prompts - len(book.skipped(job.job_id)) - asked_now
        return Met(reused, job.created_at, again=asked_now) if sent else Met()
    loans = [(len(loan.rows), book.job(loan.lender).created_at) for loan in book.loans(job.job_id)]
    return Met(sum(n for n, _ in loans), min(at for _, at in loans)) if loans else Met()


# --- asking again ------------------------------------------------------------------------------------


def _ask_again(
    job: Job,
    rows: Rows,
    again: list[int],
    bound: Limit,
    fields: Mapping[str, Any] | None = None,
    model: str = "",
    window: str = "",
) -> int:
    """Has rows of a job asked again, by a job of their own that lends it the answers; how many are sent.

    `fields` are changes to Groq's body; without any, the requests are the same ones, sent once more. They go
    the way that the job went, unless there is another `window`.
    """
    if not again:
        return 0
    book, job_id, fields = ledger.current(), new_job_id(), fields or {}
    with book.cutting(job_id) as folder:
        cuts = reuse.again(rows, again, folder, fields, runs.samples(job))
        draft = replace(
            job,
            job_id=job_id,
            created_at=time.time(),
            key_fingerprint=services.of_job(job).key_fingerprint,
            notebook=ledger.notebook(),
            model=model or job.model,
            window=window or job.window,
            prompts=len(again),
            samples=1,  # which ones they are of is known by whose rows they are: `runs.samples`
            origin="retry",
            content=shards.content_hash(cuts),
            attempt=1 if fields else 2,
            cancel_requested_at=None,
            stopped=None,
        )
        # What is changed may have been asked before; what is not, is meant to be asked once more.
        if fields:
            but = {job.job_id, *runs.borrowers(job.job_id)}  # those that will have its answers from this one
            lender = _put_down(draft, cuts, folder, shards.MAX_LINES, but=but, bound=bound)
        else:
            lender = _one_more(draft, cuts, folder, bound)
        if lender.job_id != job_id:
            _check_cost(lender, _unsent([lender.job_id]), bound)
    places = array("I", range(len(again)))
    with book.submitting():
        still = book.job(lender.job_id)  # nobody has forgotten it meanwhile
        _hand_on(job.job_id, Loan(still.job_id, "retry", time.time(), array("I", again), places))
    if fields and lender.job_id != job_id and runs.at_rest(lender.job_id):
        rows = runs.read(lender)
        still_not = [row for row in range(len(again)) if rows.status[row] in UNANSWERED]
        return _ask_again(lender, rows, still_not, bound, window=window or job.window)
    return len(again)


def _drop_unsent(job_id: str) -> None:
    """Retries of a job of which nothing could be sent are forgotten: the next one takes their place.

    Not so where somebody holds one under a name, having submitted the same, or has borrowed from it.
    """
    book = ledger.current()
    with book.submitting():
        for retry in [loan.lender for loan in book.loans(job_id) if loan.kind == "retry"]:
            states = {shard.state for shard in book.shards(retry)}
            unsent = bool(states) and states <= NEVER_SENT | {"direct"} and not book.came(retry)
            if not unsent or runs.locked(retry) or book.notebooks(retry):
                continue
            borrowed = [loan for other in book.borrowers(retry) for loan in book.loans(other.job_id)]
            if not any(loan.kind == "reuse" and loan.lender == retry for loan in borrowed):
                runs.drop(retry)
                book.forget(retry)


def _one_more(draft: Job, cuts: list[shards.Cut], folder: Path, bound: Limit) -> Job:
    """The next attempt at these rows on the ledger; or the one that is under way."""
    book = ledger.current()
    with book.submitting():
        while (same := book.same(draft)) is not None:
            if not runs.at_rest(same.job_id):
                return same
            draft = replace(draft, attempt=draft.attempt + 1)
        _check_cost(draft, [(cut.path, cut) for cut in cuts], bound)
        return book.add(replace(draft, created_at=time.time()), cuts, folder)


def _hand_on(job_id: str, loan: Loan) -> None:
    """Has a job take over what is asked again, and also those that it has these very rows from."""
    book = ledger.current()
    for earlier in book.loans(job_id):
        if earlier.kind == "reuse" and earlier.lender not in runs.family(loan.lender):
            there = dict(zip(earlier.rows, earlier.lender_rows, strict=True))
            pairs = sorted(
                (there[row], asked)
                for row, asked in zip(loan.rows, loan.lender_rows, strict=True)
                if row in there
            )
            if pairs:
                rows, asked = (array("I", column) for column in zip(*pairs, strict=True))
                _hand_on(earlier.lender, replace(loan, rows=rows, lender_rows=asked))
    book.lend(job_id, loan)


def retry(answers: Answers, picked: Sequence[int], *, bound: Limit | None = None, **changes: Any) -> int:
    """Sends again what has no answer among these rows, changed as `changes` says; how many are sent.

    `changes` are those of `submit` that `CHANGES` names. What was cut off is sent, too, if `max_tokens`
    rises. `bound` is the limit where it is not the usual default. All Answers over these rows fill in place.
    Raises StillRunning while the batch runs.
    """
    if unknown := [name for name in changes if name not in CHANGES]:
        raise InputError(f"retry knows no {unknown[0]!r}; it takes {', '.join(CHANGES)}.")
    bound = bound or limit(changes.pop("max_cost", None))
    job = ledger.current().job(answers.job_id)
    if answers.done:
        _drop_unsent(job.job_id)
    if not answers.done or not runs.at_rest(job.job_id):
        raise StillRunning("Not all of it has ended: wait for it, or run its cell again, then retry.")
    model = changes.pop("model", None)
    model = None if model is None else checked_model(model)
    fields = body_options(**changes) | ({} if model is None else {"model": model})
    rows, most = runs.read(job), fields.get("max_completion_tokens", 0)

    wanted = sorted({rows.first(row) for row in picked})
    cut = [row for row in wanted if most and rows.status[row] == CUT]
    pairs = zip(cut, rows.lines(cut), strict=True)
    had = [reuse.most_tokens(line) or rows.completion_tokens[row] for row, line in pairs]
    raised = {row for row, limit in zip(cut, had, strict=True) if most > limit}
    again = [row for row in wanted if rows.status[row] in UNANSWERED or row in raised]
    sent = _ask_again(job, rows, again, bound, fields, model or "")
    if again:
        run = runs.ensure(job, lambda: services.of_job(job))
        word = job.job_id if answers.name == NAMELESS else answers.name
        met = Met(again=sent, go_on=f"%groq attach {word} goes on")
        answers.verbs = _verbs(job.job_id, run, answers.name, met)
        runs.begin(run)
    return sent


def plan(asked: Prompts, settings: Settings, tick: Callable[[int], None] = lambda rows: None) -> Plan:
    """What `send` would send; nothing is kept and nothing leaves."""
    import tempfile

    try:
        where = services.current()
        place = where.place
    except KeyMissing:
        where, place = keys.keyless(), "nowhere yet (no key was found)"
    with tempfile.TemporaryDirectory(prefix="groq_magic-") as folder:
        cuts = _cut(asked, settings, Path(folder), tick)
        first, skipped = _first(cuts), len(shards.skipped(Path(folder)))
        draft, repeats = _draft(new_job_id(), asked, cuts, Path(folder), settings, where, ""), 0
        held, read = recall.read(settings, where), 0
        if same := ledger.current().same(draft):
            cuts = _unanswered(same, Path(folder) / "again")
            cuts += [] if runs.driven(same.job_id) else ledger.current().never_sent(same.job_id)
            reused = draft.prompts - skipped - sum(cut.lines for cut in cuts)
        else:
            loans = _loans(draft, cuts, unique=settings.unique, look=True)
            wanted = recall.wanted(held, cuts, loans, all_of_it=False)
            read = len(wanted)
            reused, repeats = (
                sum(len(loan.rows) for loan in loans if loan.kind == kind) for kind in ("reuse", "repeat")
            )
            loans += [reuse.loan("", wanted, cuts)] if wanted else []
            cuts = reuse.left_over(cuts, loans, Path(folder), settings.shard_rows) if loans else cuts
        first = _first(cuts) if cuts else first
        book, files = ledger.current(), [(cut.path, cut) for cut in cuts]
        estimate, few = estimates.of_files(book, draft, files)
    count, size = sum(cut.lines for cut in cuts), sum(cut.size for cut in cuts)
    given = dict(settings.options or {})
    if settings.schema is not None:
        given["schema"] = given.pop("response_format")["json_schema"]["name"]
    said = [f"{key} {value!r}" for key, value in given.items()]
    return Plan(
        prompts=count,
        bytes=size,
        shards=len(cuts),
        tokens=estimate.prompt_tokens,
        first=_as_text(first),
        settings=", ".join([*said, _DIRECT if settings.now else f"window {settings.window!r}"]),
        model=_model(asked, settings),
        place=place,
        reused=reused,
        repeats=repeats,
        skipped=skipped,
        used_up=not asked.again,
        estimate=estimate,
        free=where.sandbox,
        few_tokens=few,
        refused=costs.refusal(estimate, settings.limit, free=where.sandbox) if cuts else None,
        read=read,
        saved=saved.shown(settings.save) if settings.save else "",
    )


def _first(cuts: list[shards.Cut]) -> wire.Request:
    with cuts[0].path.open("rb") as file:
        return wire.request(file.readline())


def _unanswered(job: Job, folder: Path) -> list[shards.Cut]:
    """What a re-run of this job sends: the rows that ended without an answer, cut once more."""
    half_way = job.job_id in runs.left_half_way()
    if not half_way and not (runs.at_rest(job.job_id) and runs.some_unanswered(job.job_id)):
        return []
    folder.mkdir()
    rows = runs.read(job)
    return reuse.again(rows, rows.unanswered(), folder, {}, runs.samples(job))


def _as_text(request: wire.Request) -> str:
    """A request for people: who says what; a content of several parts as JSON."""
    if not (messages := request.body.get("messages")):
        return f"[{request.url}] {display.prompt_of(request)}"
    said = [(message.get("role"), message.get("content")) for message in messages]
    return "\n".join(
        f"[{role}] {content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)}"
        for role, content in said
    )


def carry(
    job: Job,
    name: str,
    *,
    frame: object | None = None,
    service: Callable[[], Service] | None = None,
    met: Met | None = None,
    new: bool = False,
    bind: Callable[[Answers], None] = lambda answers: None,
    schema: Schema | None = None,
    save: Path | None = None,
) -> Answers:
    """Starts carrying a job, or joins whoever does in this process; Answers over its rows.

    At the end they are saved in the file `save`.
    """
    if service is None and not runs.at_rest(job.job_id):
        with suppress(GroqMagicError):  # a key is looked for here, too: Colab answers the main thread alone
            services.of_job(job)
    run = runs.ensure(job, service or (lambda: services.of_job(job)), new=new)
    if name:
        ledger.current().name(ledger.notebook(), name, job.job_id)
    verbs = _verbs(job.job_id, run, name or NAMELESS, met or Met())
    if schema is not None:
        run.rows.judge(schema)
    answers = Answers(name or NAMELESS, run.rows, verbs, frame=frame, schema=schema)
    bind(answers)
    if save is not None:
        answers.save_at_end(save)
    runs.begin(run)
    return answers


def _verbs(job_id: str, run: Run, name: str, met: Met) -> Verbs:
    def now() -> Run:
        """The run that carries the job now: a retry is another one, over the same rows."""
        return runs.held(job_id) or run

    def cancel(anyway: bool) -> Future[None]:
        if not anyway and (others := runs.shared(job_id)):
            verb = "" if name == NAMELESS else f"%groq cancel {name} --anyway, or "
            raise InputError(f"{others} To cancel it all the same: {verb}`{name}.cancel(anyway=True)`.")
        for lender, lent in zip(now().lenders, now().rows.lent, strict=False):
            if lent.retry:
                loop.submit(lender.cancel())
        return loop.submit(now().cancel())

    def watch(observer: Observer) -> None:
        # One batch may be held under several names.
        def seen(snapshot: Snapshot) -> None:
            notes = (*met.notes, *snapshot.notes)
            seen_here = replace(snapshot, name=name, reused=met.reused, reused_from=met.since, notes=notes)
            observer(replace(seen_here, repeats=met.repeats, again=met.again, go_on=met.go_on))

        loop.run(run.view.watch(seen))

    return Verbs(
        watch=watch,
        check_now=lambda: loop.submit(now().check_now()),
        cancel=cancel,
        shared=lambda: runs.shared(job_id),
        retry=retry,
        settle=run.view.settle,
        status=lambda: run.view.snapshot().status,
        batch_ids=lambda: runs.batch_ids(job_id),
        asked=lambda: recall.asked(job_id),
    )


# --- afterwards --------------------------------------------------------------------------------------


def watch(answers: Answers, observer: Observer) -> None:
    """Hands the observer a Snapshot of the batch now and at every change, on the loop's thread."""
    answers.verbs.watch(observer)


def look(answers: Answers) -> Snapshot:
    """How the batch stands now."""
    seen: list[Snapshot] = []
    answers.verbs.watch(seen.append)
    return seen[0]


def check_now(answers: Answers) -> Future[None]:
    """Asks how the batch is at once; returns without waiting for the reply. From any thread."""
    return answers.verbs.check_now()


def cancel(answers: Answers) -> Future[None]:
    """Cancels the batch, whoever else counts on it; returns without waiting. From any thread."""
    return answers.verbs.cancel(True)


def attach(word: str, name: str | None = None) -> Answers:
    """A batch by Groq's batch id, our job id, or the name that this notebook gave it.

    Goes on where it was: what is at Groq is watched and collected, what is here is read. A batch that the
    ledger does not know is asked for at the service, and its prompts are fetched; that is waited for.
    Raises InputError, ApiError, KeyMissing, LedgerError.
    """
    job, known_as = find(word)
    return carry(job, name or known_as)


def find(word: str) -> tuple[Job, str]:
    """The job that `attach` would take up, and the name it goes by. Raises as `attach` does."""
    book = ledger.current()
    for entry in book.named(ledger.notebook()):
        if entry.name == word:
            return entry.job, word
    job = book.job_of_batch(word)
    if job is None and word.startswith(wire.BATCH):
        job = loop.run(_taken_up(word))
    job = job or book.job(word)
    return job, job.name


def known(word: str) -> bool:
    """Whether this is the id of a job of ours or of its batch."""
    book = ledger.current()
    return word in {job.job_id for job in book.jobs()} or book.job_of_batch(word) is not None


async def _taken_up(batch_id: str) -> Job:
    endpoints, _ = runs.connect(services.current())
    return await foreign.take_up(endpoints, batch_id)


def named() -> list[str]:
    """The names under which this notebook had batches, oldest first."""
    return [entry.name for entry in ledger.current().named(ledger.notebook())]


def attach_all() -> list[Answers]:
    """Everything this notebook had, each under its last name, oldest first."""
    return [carry(entry.job, entry.name) for entry in ledger.current().named(ledger.notebook())]


def forget(answers: Answers) -> int:
    """Removes a batch and its answers from this machine; how many bytes that were.

    The service keeps what it has, so that the same prompts find it again there. Raises StillRunning,
    InputError where other batches have answers of it.
    """
    book, job_id = ledger.current(), answers.job_id
    if not answers.done:
        raise StillRunning("It still runs: wait for it or cancel it first.")
    with book.submitting():
        if borrowers := [job.name or NAMELESS for job in book.borrowers(job_id)]:
            raise InputError(f"Its answers are also those of {', '.join(borrowers)}: forget that first.")
        gone = [job_id]
        for each in gone:  # with it go the retries, and what was read from files, that nobody else has
            loans = [loan for loan in book.loans(each) if loan.lender not in gone]
            own = [it for it in loans if it.kind == "retry" or book.job(it.lender).origin == "saved"]
            lenders = dict.fromkeys(loan.lender for loan in own)
            gone += [one for one in lenders if {job.job_id for job in book.borrowers(one)} <= {*gone}]
        if any(map(runs.locked, gone)):
            raise StillRunning("It still runs, here or in another notebook: wait for it or cancel it first.")
        size = sum(book.size(each) for each in gone)
        for each in gone:
            runs.drop(each)
            book.forget(each)
    return size
