"""What prompts will cost: from the files that they lie in, and what the ledger knows of earlier answers.

All of it is read again whenever it is wanted, so whoever follows a job, or comes back to it, sees the same.
"""

from __future__ import annotations

import mmap
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from groq_magic import costs, wire
from groq_magic.costs import Estimate, Part, Seen
from groq_magic.job import NOW, SEVERAL_MODELS, Job, Shard
from groq_magic.ledger import Ledger
from groq_magic.shards import SEVERAL, Cut

_SAMPLE = 200  # lines of a file whose requests are of one kind
# As we write it: inside a text each quote has a backslash. https://console.groq.com/docs/vision
_PICTURE = b'"type":"image_url"'


@dataclass(frozen=True)
class Expected:
    """What a job will have cost: the `whole`, earlier answers and what was asked again among it, and what of
    it, in USD, it sends `now` itself and has asked `again`. `few` warns of too few tokens an answer.
    """

    whole: Estimate
    few: str | None
    now: float
    again: float


File = Cut | Shard


def parts(path: Path, file: File) -> list[Part]:
    """The requests of a file by kind: each is looked at where it may hold several, else the first ones.

    Raises OSError, ValueError where the file is not what it was.
    """
    few = None if file.form in ("", SEVERAL) else _SAMPLE
    requests: Counter[tuple[str, int | None, str | None]] = Counter()
    sizes: Counter[Any] = Counter()
    text: Counter[Any] = Counter()
    foreign: Counter[Any] = Counter()
    pictures = set[Any]()
    with path.open("rb") as lines:
        for line in islice(lines, few):
            found = wire.weight(line)
            kind = _kind(found)
            requests[kind] += 1
            sizes[kind] += len(line)
            for written in _texts(found):
                length, beyond_ascii = _bytes(written)
                text[kind] += length
                foreign[kind] += beyond_ascii
            if _PICTURE in line:
                pictures.add(kind)
    if few is not None and requests.total() < file.lines:
        (kind,) = list(requests)[:1]
        seen = requests.total()
        # What is not text is alike in each line: what a longer line has more than a shorter one is text.
        beside = (sizes.total() - text.total()) / seen
        more = max(0.0, file.size - sizes.total() - beside * (file.lines - seen))
        by = 1 + more / text.total() if text.total() else 1.0
        return [
            _part(
                kind,
                file.lines,
                file.size,
                by * text.total(),
                file.form,
                foreign=by * foreign.total(),
                pictures=bool(pictures) or _shows_pictures(path),
            )
        ]
    return [
        _part(kind, n, sizes[kind], text[kind], file.form, foreign=foreign[kind], pictures=kind in pictures)
        for kind, n in requests.items()
    ]


def _part(
    kind: tuple[str, int | None, str | None],
    requests: int,
    size: int,
    text: float,
    form: str,
    *,
    foreign: float,
    pictures: bool,
) -> Part:
    model, most, effort = kind
    return Part(model, requests, size, text, most, effort, form, foreign=foreign, pictures=pictures)


def _bytes(text: str) -> tuple[int, int]:
    """How many bytes a text is in UTF-8, and how many of them are no ASCII."""
    if text.isascii():
        return len(text), 0
    size = len(text.encode("utf-8", "replace"))
    return size, size - len(text.encode("ascii", "ignore"))


def _shows_pictures(path: Path) -> bool:
    """Whether there is a picture in any line of a file."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
        return held.find(_PICTURE) >= 0


def _kind(found: wire.Weight) -> tuple[str, int | None, str | None]:
    most, effort = found.max_completion_tokens or found.max_tokens, found.reasoning_effort
    return (
        str(found.model),
        most if isinstance(most, int) else None,
        effort if isinstance(effort, str) else None,
    )


def _texts(found: wire.Weight) -> list[str]:
    """What a model is to read. Pictures are not counted: no document says how many tokens one is."""
    texts = [bytes(raw).decode("utf-8", "replace") for raw in (found.tools, found.response_format)]
    for message in found.messages if isinstance(found.messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        pieces = content if isinstance(content, list) else [{"text": content}]
        said = (piece.get("text") for piece in pieces if isinstance(piece, dict))
        texts += [text for text in said if isinstance(text, str)]
    return texts


def learned(book: Ledger, job: Job, found: Sequence[Part]) -> dict[Part, Seen]:
    """What earlier answers took to requests like these, at the same service."""
    kinds = {(part.model, part.form) for part in found if part.tokens is None}
    known = {kind: book.learned(job.service, *kind) for kind in kinds}
    return {part: seen for part in found if (seen := known.get((part.model, part.form)))}


def of_files(book: Ledger, job: Job, files: Sequence[tuple[Path, File]]) -> tuple[Estimate, str | None]:
    """What it will cost to send these files for a job, and a warning where they allow too few tokens."""
    batch = job.window != NOW
    found = [replace(part, batch=batch) for path, file in files for part in parts(path, file)]
    return reckoned(book, job, found)


def reckoned(book: Ledger, job: Job, found: Sequence[Part]) -> tuple[Estimate, str | None]:
    """What these parts of a job cost, and a warning where they allow too few tokens."""
    seen = learned(book, job, found)
    warnings = (costs.too_few(part, seen.get(part)) for part in found if part.tokens is None)
    return costs.estimate(found, seen), next((said for said in warnings if said), None)


@dataclass(frozen=True)
class Loaned:
    """Rows that a job has from another: how many, and whether they were asked again for it."""

    lender: str
    rows: int
    again: bool


class Reckoning:
    """What one job will have cost: reckoned anew where something of it has come, each file read once."""

    def __init__(self, book: Ledger) -> None:
        self._book = book
        self._parts: dict[tuple[str, int, int], list[Part]] = {}
        self._known: tuple[object, Expected] | None = None

    def look(self, job: Job, shards: Sequence[Shard], loans: Sequence[Loaned]) -> Expected:
        """What is to be expected now. Raises OSError, ValueError, LedgerError."""
        theirs = {loan.lender: self._book.shards(loan.lender) for loan in loans}
        stand = [
            (each.job_id, each.number, each.state, each.lines, each.prompt_tokens, each.completion_tokens)
            for found in (shards, *theirs.values())
            for each in found
        ]
        if self._known is None or self._known[0] != (stand, loans):
            self._known = (stand, list(loans)), self._reckon(job, shards, loans, theirs)
        return self._known[1]

    def _reckon(
        self, job: Job, shards: Sequence[Shard], loans: Sequence[Loaned], theirs: dict[str, list[Shard]]
    ) -> Expected:
        own, earlier, again = self._of(job, shards), list[Part](), list[Part]()
        for loan in loans:
            lender = self._of(self._book.job(loan.lender), theirs[loan.lender])
            lines = sum(shard.lines for shard in theirs[loan.lender])
            if loan.again:
                again += lender
            elif lines:
                earlier += [part.share(loan.rows / lines) for part in lender]
        whole, few = reckoned(self._book, job, [*own, *earlier, *again])
        return Expected(
            whole, few, reckoned(self._book, job, own)[0].usd, reckoned(self._book, job, again)[0].usd
        )

    def _of(self, job: Job, shards: Sequence[Shard]) -> list[Part]:
        """The parts of a job's shards; what has come counts as it is."""
        found: list[Part] = []
        for shard in shards:
            if shard.state in ("cancelled", "saved", "withdrawn"):
                continue
            here = shard.state == "collected" and bool(shard.prompt_tokens or not shard.completed)
            if here and job.model != SEVERAL_MODELS:
                tokens = float(shard.prompt_tokens), float(shard.completion_tokens)
                part = Part(job.model, shard.lines, shard.size, 0, form=shard.form, tokens=tokens)
                found.append(replace(part, batch=job.origin == "saved" or not shard.direct))
                continue
            key = job.job_id, shard.number, shard.lines
            if key not in self._parts:
                self._parts[key] = parts(self._book.shard_path(*key[:2]), shard)
            batch = job.origin == "saved" or not shard.direct
            found += [replace(part, batch=batch) for part in self._parts[key]]
        return found
