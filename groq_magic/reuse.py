"""What was asked before? Requests of a new submission → rows of earlier jobs, and what is left to send.

A request is known by its fingerprint within a service and take. The n-th equal row of a submission
is another request, so each row of an earlier job answers one row. What another job cut and never sent counts
only while somebody is driving that job, or is to drive it because he borrows what it has sent.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from groq_magic import wire
from groq_magic.answers import Rows
from groq_magic.job import NEVER_SENT, Job, Loan
from groq_magic.ledger import Ledger
from groq_magic.prompts import rules
from groq_magic.shards import (
    SEVERAL,
    Cut,
    Request,
    asked_twice,
    canonical,
    cut_again,
    fingerprint,
    form_of,
    halves,
)


def repeats(job: Job, cuts: Sequence[Cut]) -> Loan | None:
    """The rows of a submission that ask what an earlier row of it asks."""
    first: dict[bytes, int] = {}
    pairs: dict[int, int] = {}
    twice = asked_twice(cuts)
    for cut in cuts if twice else ():
        for line, (row, half) in enumerate(zip(cut.rows, halves(cut), strict=True)):
            if half not in twice:
                continue
            seen = first.setdefault(cut.fingerprints[16 * line : 16 * line + 16], row)
            if seen != row:
                pairs[row] = seen
    if not pairs:
        return None
    return Loan(job.job_id, "repeat", time.time(), *_in_order(pairs, pairs.values(), _ids(cuts)))


def find(
    job: Job,
    cuts: Sequence[Cut],
    book: Ledger,
    driven: Callable[[str], bool],
    unanswered: Callable[[str], Container[int]],
    repeated: Loan | None = None,
    but: Container[str] = (),
) -> list[Loan]:
    """What other jobs have of a submission that was cut, but for those named in `but`.

    `driven` tells whether a job is being driven; `unanswered` the rows of a job that ended without an answer,
    which are to be asked again. What the job has already from others answers no second row, and rows that are
    `repeated` need no answer.
    """
    used = {loan.lender: set(loan.lender_rows) for loan in book.loans(job.job_id) if loan.kind == "reuse"}
    loans: dict[str, tuple[array[int], array[int]]] = {}
    settled = frozenset(repeated.rows if repeated else ())
    left = [bytearray(row in settled for row in cut.rows) for cut in cuts]  # 1 where a row needs no other
    # Millions of earlier requests are passed over at the speed of a set: only where a quarter of the
    # fingerprint occurs in both is a line looked at by itself.
    quarters = [_quarters(cut.fingerprints) for cut in cuts]
    wanted = set[int]().union(*quarters)

    def take(lender: str, rows: Sequence[int], prints: bytes) -> None:
        theirs = _quarters(prints)
        common = wanted.intersection(theirs)
        if not common:
            return
        places: dict[bytes, list[int]] = {}
        taken, in_vain = used.get(lender, ()), unanswered(lender)
        for line in [line for line, quarter in enumerate(theirs) if quarter in common][::-1]:
            if rows[line] not in taken and rows[line] not in in_vain:
                places.setdefault(prints[16 * line : 16 * line + 16], []).append(rows[line])
        for cut, found, mine in zip(cuts, left, quarters, strict=True):
            for line in [line for line, quarter in enumerate(mine) if quarter in common and not found[line]]:
                if known := places.get(cut.fingerprints[16 * line : 16 * line + 16]):
                    row = cut.rows[line]
                    found[line] = 1
                    here, there = loans.setdefault(lender, (array("I"), array("I")))
                    here.append(row)
                    there.append(known.pop())

    unsent: list[tuple[str, Sequence[int], bytes]] = []
    for lender, state, rows, prints in book.known(job, {cut.form for cut in cuts}):
        if lender in but:
            continue
        if not any(0 in found for found in left):
            break
        if state in NEVER_SENT and not driven(lender):
            unsent.append((lender, rows, prints))
        else:
            take(lender, rows, prints)
    for lender, rows, prints in unsent:
        if lender in loans:  # who borrows from a job carries it, and so sends the rest of it, too
            take(lender, rows, prints)
    now, ids = time.time(), _ids(cuts)
    return [Loan(lender, "reuse", now, *_in_order(*pairs, ids)) for lender, pairs in loans.items()]


def _quarters(fingerprints: bytes) -> array[int]:
    """A quarter of each fingerprint, as a number: the rarely equal ones are compared whole."""
    return array("I", fingerprints)[::4]


def loan(lender: str, places: Mapping[int, int], cuts: Sequence[Cut]) -> Loan:
    """A loan of rows of a submission, each with its row at the lender."""
    return Loan(lender, "reuse", time.time(), *_in_order(places, places.values(), _ids(cuts)))


def left_over(cuts: Sequence[Cut], loans: Iterable[Loan], folder: Path, max_lines: int) -> list[Cut]:
    """The rows that nobody has, cut once more in place of the whole."""
    again = folder / "again"
    again.mkdir()
    done = unlent(cuts, loans, again, max_lines)
    for cut in cuts:
        cut.path.unlink()
    moved = [replace(cut, path=cut.path.rename(folder / cut.path.name)) for cut in done]
    again.rmdir()
    return moved


def unlent(
    cuts: Sequence[Cut], loans: Iterable[Loan], folder: Path, max_lines: int, begin: int = 0
) -> list[Cut]:
    """The rows that nobody has, cut once more into `folder`, the shards numbered from `begin`."""
    lent = {row for loan in loans for row in loan.rows}

    def requests() -> Iterator[Request]:
        for cut in cuts:
            with cut.path.open("rb") as file:
                for n, (row, line) in enumerate(zip(cut.rows, file, strict=True)):
                    if row not in lent:
                        yield Request(row, line, cut.fingerprints[16 * n : 16 * n + 16])

    forms = {cut.form for cut in cuts}
    form = cuts[0].form if len(forms) == 1 else SEVERAL
    return cut_again(requests(), form, folder, max_lines, given_ids=not cuts[0].prefix, begin=begin)


def again(
    rows: Rows,
    wanted: Sequence[int],
    folder: Path,
    fields: Mapping[str, Any],
    sample_of: Callable[[int], int],
) -> list[Cut]:
    """These rows cut once more, as new rows 0, 1 …, their bodies changed by `fields`."""
    forms: set[str] = set()

    def requests() -> Iterator[Request]:
        for place, (row, line) in enumerate(zip(wanted, rows.lines(wanted), strict=True)):
            asked = wire.request(line)
            if fields:
                line = changed(line, fields)
                forms.add(form_of(asked.url, msgspec.json.decode(body_of(line))))
            yield Request(place, line, fingerprint(asked.url, body_of(line), sample_of(row)))

    cuts = cut_again(requests(), "", folder, given_ids=False)
    # The same requests once more have no form: nobody is to find them but the job that asks.
    form = "" if not forms else SEVERAL if len(forms) > 1 else forms.pop()
    return [replace(cut, form=form) for cut in cuts]


_BODY = b'","body":'


def body_of(line: bytes) -> bytes:
    """The canonical body in a line of ours."""
    return line[line.index(_BODY) + len(_BODY) : -2]


def changed(line: bytes, fields: Mapping[str, Any]) -> bytes:
    """The line with other values in some fields of its body, canonical again."""
    body = msgspec.json.decode(body_of(line))
    for pair in rules.EXCLUSIVE:
        for old, new in (pair[:2], pair[1::-1]):
            if fields.get(new) is not None:
                body.pop(old, None)  # as Groq would refuse the two together
    body |= fields
    head = line[: line.index(_BODY) + len(_BODY)]
    return head + canonical(body) + b"}\n"


def most_tokens(line: bytes) -> int:
    """How many tokens a request lets its answer have, by whichever word it says so; 0 if by none."""
    body = msgspec.json.decode(body_of(line))
    found = body.get("max_completion_tokens") or body.get("max_tokens")
    return found if isinstance(found, int) else 0


def _ids(cuts: Sequence[Cut]) -> dict[int, str] | None:
    """The user's own ids by row; None where the ids are ours."""
    if not cuts or cuts[0].prefix:
        return None
    found: dict[int, str] = {}
    for cut in cuts:
        with cut.path.open("rb") as file:
            found.update(zip(cut.rows, map(wire.request_id, file), strict=True))
    return found


def _in_order(
    here: Iterable[int], there: Iterable[int], ids: dict[int, str] | None
) -> tuple[array[int], array[int], tuple[str, ...] | None]:
    pairs = sorted(zip(here, there, strict=True))
    rows = array("I", (row for row, _ in pairs))
    named = tuple(ids[row] for row in rows) if ids is not None else None
    return rows, array("I", (row for _, row in pairs)), named
