"""Reuse: a re-run looks its requests up among millions that the ledger knows."""

from __future__ import annotations

import os
import time
from array import array
from pathlib import Path
from typing import Any

from tests.benchmarks import made
from tests.benchmarks.contest import Act, Contest, Facts, Group, Place, at_most

_JOBS, _AGAIN, _NEW = 20, 50_000, 5_000
_SERVICE = "http://benchmark"


def _job(job_id: str, rows: int) -> Any:
    from groq_magic.job import Job

    return Job(
        job_id,
        time.time(),
        name="answers",
        model=made.MODEL,
        endpoint=made.ENDPOINT,
        window="24h",
        prompts=rows,
        content=job_id,
        service=_SERVICE,
        base_url=_SERVICE,
        key_fingerprint="0" * 8,
        notebook="notebook.ipynb",
    )


def _cuts(folder: Path) -> Any:
    from groq_magic import prompts, shards

    asked = made.prompts(_AGAIN)
    return shards.cut(prompts.from_source(asked), shards.Form(made.MODEL), folder)


def _ledger(earlier: int, folder: Path) -> None:
    """A ledger of so many requests by twenty jobs; some of each are asked again, `_NEW` of them are not."""
    from groq_magic.ledger import Ledger
    from groq_magic.shards import Cut, Form

    (folder / "cut").mkdir()
    known = b"".join(cut.fingerprints for cut in _cuts(folder / "cut"))[: 16 * (_AGAIN - _NEW)]
    book, form = Ledger(folder / "home"), Form(made.MODEL).key
    rows, shared = earlier // _JOBS, len(known) // 16 // _JOBS
    for number in range(_JOBS):
        prints = known[16 * shared * number : 16 * shared * (number + 1)]
        prints += os.urandom(16 * rows - len(prints))
        job_id, cuts = f"{number:012x}", []
        with book.cutting(job_id) as cutting:
            for place, first in enumerate(range(0, rows, made.LINES)):
                part = prints[16 * first : 16 * (first + made.LINES)]
                path, lines = cutting / f"shard-{place:04}.jsonl", len(part) // 16
                prefix = f"{form}-{place}-"
                cuts.append(Cut(place, path, first, lines, 1, part, prefix, form, job_id, None))
            sent = [{"state": "collected"}] * len(cuts)
            book.add(_job(job_id, rows), cuts, cutting, sent=sent)
    book.close()


def _ours(earlier: int, place: Place) -> Act:
    from groq_magic import reuse
    from groq_magic.ledger import Ledger

    book = Ledger(place.shared / "home")
    place.opened.callback(book.close)
    cuts = _cuts(place.own)
    job = _job("f" * 12, _AGAIN)

    def act() -> Facts:
        loans = reuse.find(job, cuts, book, lambda job_id: False, lambda job_id: array("I"))
        found = sum(len(loan.rows) for loan in loans)
        assert found == _AGAIN - _NEW, found
        size = (place.shared / "home" / "ledger.sqlite").stat().st_size
        return {"bytes": size, "reused": found}

    return act


GROUP = Group(
    "reusing",
    "Reuse: 50,000 prompts looked up among the earlier requests of the ledger",
    (
        Contest(
            "lookup",
            {"ours": _ours},
            sizes=(1_000_000, 10_000_000),
            quick=(1_000_000,),
            targets=(at_most("seconds", "seconds", 1.0),),
            give=_ledger,
            warm=False,
        ),
    ),
)
