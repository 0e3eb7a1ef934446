"""What a saved file has of a submission becomes a job of its own, whose answers are here already.

From then on it is found like anything that was asked before. Nothing is sent for such a job, now or later;
its rows are known by whose they are. What a row of the file is known by is told here, too: see `asked`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from groq_magic import ledger, reuse, shards, wire
from groq_magic.answers import saved
from groq_magic.answers.reading import CUT, EXPIRED, FAILED, MISSING, OK, STATUSES
from groq_magic.answers.saved import Asked, Saved
from groq_magic.errors import KeyMissing
from groq_magic.job import Job, Loan
from groq_magic.keys import Service
from groq_magic.ledger import Ledger, new_job_id
from groq_magic.settings import Settings
from groq_magic.shards import SEVERAL, Cut, Request, cut_again

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def asked(job_id: str) -> Asked:
    """What each row of a job asks. Raises LedgerError where it is forgotten."""
    book = ledger.current()
    job = book.job(job_id)
    return Asked(_requests(book, job), job.take, job.sandbox)


def _requests(book: Ledger, job: Job) -> bytearray:
    """The fingerprints of a job's rows, those of others among them."""
    found = bytearray(16 * job.prompts)
    for rows, prints in book.prints(job.job_id):
        if isinstance(rows, range):
            found[16 * rows.start : 16 * rows.stop] = prints
            continue
        for n, row in enumerate(rows):
            found[16 * row : 16 * row + 16] = prints[16 * n : 16 * n + 16]
    for loan in book.loans(job.job_id):
        if loan.kind == "reuse":
            theirs = _requests(book, book.job(loan.lender))
            for here, there in zip(loan.rows, loan.lender_rows, strict=True):
                found[16 * here : 16 * here + 16] = theirs[16 * there : 16 * there + 16]
    return found


# --- what the file has of it ---------------------------------------------------------------------------


def read(settings: Settings, where: Service) -> Saved | None:
    """What the file has in which the answers are to be saved. Raises InputError where it is none of ours."""
    if settings.save is None:
        return None
    return saved.read(settings.save, settings.take, sandbox=where.sandbox)


def matches(held: Saved, cuts: Sequence[Cut]) -> dict[int, int]:
    """For each row of a submission that the file has, the number of the file's row.

    The n-th equal row takes the n-th.
    """
    seen: dict[bytes, int] = {}
    found: dict[int, int] = {}
    for cut in cuts:
        for line, row in enumerate(cut.rows):
            request = cut.fingerprints[16 * line : 16 * line + 16]
            if request not in held.numbers:
                continue
            nth = seen[request] = seen.get(request, -1) + 1
            if nth < len(held.numbers[request]):
                found[row] = held.numbers[request][nth]
    return found


def wanted(
    held: Saved | None, cuts: Sequence[Cut], loans: Sequence[Loan], *, all_of_it: bool
) -> dict[int, int]:
    """The rows of a submission that nobody has, each with the number of its row in the file.

    Those that came to nothing are to be asked again, unless `all_of_it` is wanted as it stands.
    """
    if held is None:
        return {}
    had = frozenset(row for loan in loans for row in loan.rows)
    found = {row: number for row, number in matches(held, cuts).items() if row not in had}
    again = () if all_of_it else (EXPIRED, MISSING)
    return {row: number for row, number in found.items() if held.status[number] not in again}


def answered(held: Saved, number: int) -> bool:
    """Whether this row of the file holds an answer."""
    return held.status[number] in (OK, CUT)


def taken(held: Saved) -> str:
    """How much of the file was of use, as a note."""
    what = "1 answer was" if held.taken == 1 else f"{held.taken:,} answers were"
    return f"{what} read from {saved.shown(held.path)}."


def key_missing(exc: KeyMissing, held: Saved | None, cuts: Sequence[Cut]) -> KeyMissing:
    """The error, with what the file has of the submission."""
    if held is None:
        return exc
    has, count = len(matches(held, cuts)), sum(cut.lines for cut in cuts)
    return KeyMissing(f"{saved.shown(held.path)} has {has:,} of these {count:,}. {exc.message}")


# --- the job -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Part:
    """Rows that go into the same shards: those with a line, or those that ended in one way without any."""

    rows: list[int]
    status: int | None = None
    code: str = ""
    said: str = ""

    def facts(self, lines: int, statuses: Mapping[int, int]) -> dict[str, object]:
        """What the ledger is told of a shard; `statuses` counts those of its rows."""
        facts: dict[str, object] = {"state": "collected", "status": "completed"}
        if self.status is not None:
            facts = {"state": "saved", "status": STATUSES[self.status], "reason": f"{self.code}: {self.said}"}
        answered = statuses.get(OK, 0) + statuses.get(CUT, 0)
        unanswered = statuses.get(EXPIRED, 0) + statuses.get(MISSING, 0)
        counts = {"completed": answered, "failed": statuses.get(FAILED, 0), "unanswered": unanswered}
        return facts | counts


def put_down(held: Saved, draft: Job, cuts: Sequence[Cut], wanted: Mapping[int, int]) -> Loan:
    """Has a job of its own answer the rows `wanted` of a submission: the loan of them.

    Each is wanted with the number of its row in the file.
    """
    book, job_id = ledger.current(), new_job_id()
    rows = sorted(wanted)
    places = {row: place for place, row in enumerate(rows)}
    with book.cutting(job_id) as folder:
        done: list[Cut] = []
        facts: list[dict[str, object]] = []
        with_lines: list[Cut] = []
        forms = {cut.form for cut in cuts}
        form = forms.pop() if len(forms) == 1 else SEVERAL
        for part in _parts(held, rows, wanted):
            new = cut_again(
                _requests_of(cuts, part.rows, places), form, folder, begin=len(done), given_ids=False
            )
            done += new
            with_lines += new if part.status is None else []
            for cut in new:
                states = [held.status[wanted[rows[place]]] for place in cut.rows]
                facts.append(part.facts(cut.lines, {state: states.count(state) for state in {*states}}))
        tokens = _write_lines(held, with_lines, [wanted[row] for row in rows], folder, book)
        for fact, (asked, answered) in zip(facts, tokens, strict=False):  # shards with lines come first
            fact |= {"prompt_tokens": asked, "completion_tokens": answered}
        job = replace(
            draft,
            job_id=job_id,
            created_at=held.written_at,
            prompts=len(rows),
            content=shards.content_hash(done, repr(facts).encode()),
            samples=1,  # which ones they are of is known by whose rows they are: `runs.samples`
            attempt=1,
            origin="saved",
        )
        lender = book.add(job, done, folder, sent=facts)
    return reuse.loan(lender.job_id, places, cuts)


def _parts(held: Saved, rows: Sequence[int], wanted: Mapping[int, int]) -> list[_Part]:
    parts: dict[tuple[int, str] | None, _Part] = {None: _Part([])}
    for row in rows:
        number = wanted[row]
        if number not in held.ends:
            parts[None].rows.append(row)
            continue
        code, said = held.ends[number]
        status = held.status[number]
        parts.setdefault((status, code), _Part([], status, code, said)).rows.append(row)
    return list(parts.values())


def _requests_of(cuts: Sequence[Cut], rows: Sequence[int], places: Mapping[int, int]) -> Iterator[Request]:
    """These rows' requests, under their places in the new job."""
    wanted = frozenset(rows)
    for cut in cuts:
        with cut.path.open("rb") as file:
            for n, (row, line) in enumerate(zip(cut.rows, file, strict=True)):
                if row in wanted:
                    yield Request(places[row], line, cut.fingerprints[16 * n : 16 * n + 16])


def _write_lines(
    held: Saved, cuts: Sequence[Cut], numbers: Sequence[int], folder: Path, book: Ledger
) -> list[list[int]]:
    """Writes the file's lines as results of these shards, under their ids.

    `numbers` tells by a row's place where it stands in the file. What comes back are, for each shard, the
    tokens that its lines tell of, asked and answered.
    """
    tokens = [[0, 0] for _ in cuts]
    wanted = {numbers[place]: (n, line) for n, cut in enumerate(cuts) for line, place in enumerate(cut.rows)}
    with ExitStack() as opened:
        files = []
        for cut in cuts:
            path = folder / book.result_path("", cut.number, "output").name
            files.append(opened.enter_context(path.open("xb")))
        for number, request, said in held.lines():
            if number not in wanted:
                continue
            n, line = wanted[number]
            cut = cuts[n]
            if cut.fingerprints[16 * line : 16 * line + 16] == request:  # the file may be another one by now
                named = {"custom_id": msgspec.Raw(b'"%b%d"' % (cut.prefix.encode(), line))}
                text = _encode(_fields(said) | named)
                files[n].write(text + b"\n")
                with suppress(ValueError, RecursionError):
                    _, _, asked, answered, _ = wire.outcome(text)
                    tokens[n] = [tokens[n][0] + asked, tokens[n][1] + answered]
        for file in files:
            file.flush()
            os.fsync(file.fileno())
    return tokens
