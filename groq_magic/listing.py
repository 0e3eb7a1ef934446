"""Every batch that the ledger or the service knows, in one table: how it stands, and what to type."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import overload

from groq_magic import job as jobs
from groq_magic import keys, ledger, loop, orphans, policy, prices, runs, services, table
from groq_magic.answers.display import shortened
from groq_magic.errors import ApiError, InputError, KeyMissing
from groq_magic.job import Job, Shard
from groq_magic.keys import Service
from groq_magic.wire import Batch

_SHOWN = 50
_ASK_S = 10.0


@dataclass(frozen=True)
class Entry:
    """One batch, or the batches of one submission. Times are epoch seconds, `cost` USD (None: not known).

    `job_id` is None for a batch that only the service knows; `reused` rows are answered by earlier batches,
    `repeats` by another row.
    """

    name: str
    job_id: str | None
    batch_ids: tuple[str, ...]
    model: str | None
    prompts: int | None
    answered: int
    failed: int
    reused: int
    repeats: int
    status: str
    created_at: float
    place: str
    cost: float | None
    take_up: str

    @property
    def counts(self) -> str:
        """The numbers in words: "1,204: 1,200 answered, 4 failed"."""
        parts = [
            f"{n:,} {word}"
            for n, word in (
                (self.reused, "reused"),
                (self.answered, "answered"),
                (self.failed, "failed"),
                (self.repeats, "repeated"),
            )
            if n
        ]
        whole = "?" if self.prompts is None else f"{self.prompts:,}"
        return f"{whole}: {', '.join(parts)}" if parts else whole


class Listing(Sequence[Entry]):
    """Batches, the youngest first; shown as a table. `note` says where the service could not be asked."""

    def __init__(self, entries: Sequence[Entry], note: str) -> None:
        self._entries, self.note = tuple(entries), note

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, key: int) -> Entry: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Entry]: ...
    def __getitem__(self, key: int | slice) -> Entry | Sequence[Entry]:
        return self._entries[key]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __repr__(self) -> str:
        return f"<Listing: {len(self):,} {'batch' if len(self) == 1 else 'batches'}>"

    def _rows(self) -> list[tuple[str, ...]]:
        now = time.time()
        return [
            (
                shortened(entry.name, 30) or "–",
                age(now - entry.created_at),
                shortened(entry.status, 30),
                entry.counts,
                _money(entry),
                shortened(entry.place, 40),
                shortened(entry.take_up, 120),
            )
            for entry in self._entries[:_SHOWN]
        ]

    def _after(self) -> list[str]:
        more = len(self) - _SHOWN
        note = shortened(self.note, 500)
        older = [f"… and {more:,} older {'one' if more == 1 else 'ones'}"] if more > 0 else []
        return [*older, *([note] if note else [])]

    def _text(self) -> str:
        if not self._entries:
            none = "No batches yet. %%groq_batch makes one; %groq sandbox lets you practise."
            return "\n".join([none, *self._after()])
        return "\n".join([table.as_text([_HEAD, *self._rows()]), *self._after()])

    def _html(self) -> str:
        after = "".join(f"<p>{escape(said)}</p>" for said in self._after())
        if not self._entries:
            return f"<p>{escape(self._text())}</p>"
        shown = table.as_html(_HEAD, self._rows(), whole=_ON_ONE_LINE, code=_HEAD[-1:])
        return f"{shown}{after}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": self._text(), "text/html": self._html()}


_ON_ONE_LINE = ("age", "status", "cost")
_HEAD = ("name", "age", "status", "prompts", "cost", "where", "to take it up")


def batches() -> Listing:
    """Every batch on the ledger, and those that the service lists besides. Sends nothing.

    The service is waited for, ten seconds at the most; where it does not answer, the ledger alone is shown.
    """
    book = ledger.current()
    listed, place, note = _listed()
    here = {entry.job.job_id: entry.name for entry in book.named(ledger.notebook())}
    entries: list[Entry] = []
    known: set[str | None] = set()
    for job in book.jobs():
        if job.origin == "saved":  # no batch: a file
            continue
        shards = _heard(job.job_id, listed)
        known.update(shard.batch_id for shard in shards)
        entries.append(_of_job(job, shards, here, status(job, listed)))
    entries += [_of_service(batch, place) for batch in listed.values() if batch.id not in known]
    return Listing(sorted(entries, key=lambda entry: entry.created_at, reverse=True), note)


def status(job: Job, listed: Mapping[str, Batch] | None = None) -> str:
    """How the batches that a job's answers come from stood when they were last heard of, fetched or not."""
    own, *others = (_heard(job_id, listed or {}) for job_id in runs.family(job.job_id))
    open_now = [shard for shards in others for shard in shards if jobs.next_step(shard) != "rest"]
    resting = {shard.number for shard in own if jobs.next_step(shard) == "rest"}
    phase = jobs.phase(job, own, resting, lent=bool(open_now))
    return jobs.status([*own, *open_now], phase).replace("_", " ")


def _heard(job_id: str, listed: Mapping[str, Batch]) -> list[Shard]:
    """The shards of a job with what the service says of their batches now; one that has ended is at rest."""
    found = []
    for shard in ledger.current().shards(job_id):
        if shard.state != "collected" and (batch := listed.get(shard.batch_id or "")):
            shard = replace(shard, **policy.facts(batch))  # type: ignore[arg-type]
        found.append(replace(shard, state="collected") if shard.status in jobs.ENDED else shard)
    return found


def _listed() -> tuple[dict[str, Batch], str, str]:
    """What the service lists, by id, and which service that is; or why it does not."""
    alone = "From this machine's ledger alone:"
    try:
        where = services.current()
        return {batch.id: batch for batch in loop.run(_list(where))}, where.badge, ""
    except KeyMissing:
        return {}, "", f"{alone} no key was found to ask Groq with."
    except TimeoutError:
        return {}, "", f"{alone} {where.place_first} did not answer in time."
    except (ApiError, InputError) as exc:
        return {}, "", f"{alone} {exc.message}"


async def _list(where: Service) -> list[Batch]:
    endpoints, _ = runs.connect(where)
    async with asyncio.timeout(_ASK_S):
        return [batch async for batch in orphans.listed(endpoints)]


def _of_job(job: Job, shards: list[Shard], here: Mapping[str, str], status: str) -> Entry:
    book, name = ledger.current(), here.get(job.job_id)
    found = tuple(shard.batch_id for shard in shards if shard.batch_id)
    called = name or job.name
    take_up = name or f"{found[0] if len(found) == 1 else job.job_id} {job.name or 'answers'}"
    if job.origin == "retry":  # its answers are in those that it was asked for
        called = f"{called} (retry)"
        whole = [here[other.job_id] for other in book.borrowers(job.job_id) if other.job_id in here]
        take_up = whole[-1] if whole else f"{take_up}_retry"
    return Entry(
        name=called,
        job_id=job.job_id,
        batch_ids=found,
        model=job.model,
        prompts=job.prompts,
        answered=sum(shard.completed for shard in shards),
        failed=sum(shard.failed for shard in shards),
        reused=sum(len(loan.rows) for loan in book.loans(job.job_id) if loan.kind == "reuse"),
        repeats=len(repeats.rows) if (repeats := book.repeats(job.job_id)) else 0,
        status=status,
        created_at=job.created_at,
        place=keys.badge(job.service, job.base_url),
        cost=_cost(job, shards),
        take_up=f"%groq attach {take_up}",
    )


def _cost(job: Job, shards: list[Shard]) -> float | None:
    if job.sandbox:
        return 0.0
    found = [
        prices.cost(job.model, shard.prompt_tokens, shard.completion_tokens, batch=not shard.direct)
        for shard in shards
        if shard.prompt_tokens
    ]
    known = [usd for usd in found if usd is not None]
    return sum(known) if known and len(known) == len(found) else None


def _of_service(batch: Batch, place: str) -> Entry:
    return Entry(
        name="",
        job_id=None,
        batch_ids=(batch.id,),
        model=None,
        prompts=batch.total,
        answered=batch.completed or 0,
        failed=batch.failed or 0,
        reused=0,
        repeats=0,
        status=batch.status.replace("_", " "),
        created_at=batch.created_at or 0.0,
        place=place,
        cost=None,
        take_up=f"%groq attach {batch.id} answers",
    )


def _money(entry: Entry) -> str:
    """The cost as people write it; a dash where it is not known."""
    if entry.cost is None:
        return "–"
    return prices.money(entry.cost) if entry.cost else "free"


def age(seconds: float) -> str:
    """How long ago, in the largest unit that fits: "45 s", "3 min", "2 h", "4 days"."""
    for unit_s, unit in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if seconds >= unit_s:
            count = int(seconds // unit_s)
            return f"{count:,} {unit}{'s' if unit == 'day' and count > 1 else ''}"
    return f"{max(0, int(seconds))} s"
