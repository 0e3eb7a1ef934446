"""A batch that is not on the ledger: from its input file, as the service keeps it, to a job.

Another tool may have made it, or we on another machine. Its prompts are cut anew in our canonical form under
the ids that they have, so that its answers serve later submissions, too.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec
import tenacity

from groq_magic import download, ledger, policy, shards, wire
from groq_magic.api import Groq
from groq_magic.errors import InputError, NoReply, Refused, redact
from groq_magic.job import SEVERAL_MODELS, Job
from groq_magic.ledger import new_job_id
from groq_magic.shards import SEVERAL, Cut, Request, cut_again, fingerprint, form_of

T = TypeVar("T")

_TRIES = 4


async def take_up(api: Groq, batch_id: str) -> Job:
    """Puts a batch that the service knows on the ledger, with its prompts. Sends nothing.

    Raises InputError where the key may not see it or its input file is no longer there, ApiError.
    """
    service, book, job_id = api.service, ledger.current(), new_job_id()
    try:
        batch = await _again(lambda: api.batch(batch_id))
    except Refused as exc:
        if exc.status != 404:
            raise
        raise InputError(
            f"{service.place_first} knows no batch {batch_id!r} for the key from {service.key_from} "
            f"({service.key_fingerprint}), and it is not on the ledger: %groq batches lists what there is."
        ) from exc
    with book.cutting(job_id) as folder:
        came = folder / "input.jsonl"

        async def fetch() -> None:
            size = await api.content(batch.input_file_id, came)
            if size < await download.size_of(api, batch.input_file_id):
                raise NoReply("The prompts broke off on their way.", maybe_done=True)

        try:
            await _again(fetch)
        except Refused as exc:
            if exc.status != 404:
                raise
            raise InputError(
                f"The prompts of {batch_id} are gone: {service.place} has its file {batch.input_file_id!r} "
                "no longer."
            ) from exc
        cut, model = await asyncio.to_thread(cut_anew, came, folder)
        if cut.lines < (batch.total or 0):
            raise InputError(
                f"Of the {batch.total:,} prompts of {batch_id} only {cut.lines:,} came: try again."
            )
        came.unlink()
        job = Job(
            job_id=job_id,
            created_at=batch.created_at or time.time(),
            service=service.id,
            base_url=service.base_url,
            key_fingerprint=service.key_fingerprint,
            notebook=ledger.notebook(),
            name="",
            model=model,
            endpoint=batch.endpoint or wire.CHAT,
            window=batch.window or "24h",
            prompts=cut.lines,
            content=shards.content_hash([cut], batch_id.encode()),
            origin="attach",
        )
        facts = {
            "state": "created",
            "file_id": batch.input_file_id,
            **policy.facts(batch),
            "created_at": job.created_at,
        }
        return book.add(job, [cut], folder, sent=[facts])


async def _again(act: Callable[[], Awaitable[T]]) -> T:
    """Does it a few times, where trying again may help."""
    trying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(policy.passing),
        wait=policy.wait_s,
        stop=tenacity.stop_after_attempt(_TRIES),
        reraise=True,
    )
    async for attempt in trying:
        with attempt:
            found = await act()
    return found


def cut_anew(came: Path, folder: Path) -> tuple[Cut, str]:
    """An input file as one shard of ours, and the model that it asks. Raises InputError for a broken line."""
    forms: set[str] = set()
    models: set[str] = set()
    known: dict[str, int] = {}

    def requests() -> Iterator[Request]:
        with came.open("rb") as file:
            lines = ((number, line) for number, line in enumerate(file, 1) if not line.isspace())
            for row, (number, line) in enumerate(lines):
                try:
                    asked = wire.any_request(line)
                except ValueError as exc:
                    said = f"Line {number} of the batch's input file is no request: {exc}."
                    raise InputError(said) from exc
                if known.setdefault(asked.custom_id, number) != number:
                    raise InputError(f"The batch's input file has the id {asked.custom_id!r} twice.")
                model = redact(str(asked.body.get("model")))
                models.add(model)
                try:
                    forms.add(form_of(asked.url, asked.body))
                except InputError:  # no number of JSON's: nobody of us asks so
                    forms.add("")
                body = msgspec.json.encode(asked.body, order="sorted")
                yield Request(row, _line(asked, body), fingerprint(asked.url, body))

    # One batch is one shard, whatever limits it was made under.
    found = cut_again(requests(), "", folder, sys.maxsize, max_bytes=sys.maxsize, given_ids=True)
    if not found:
        raise InputError("The batch's input file is empty.")
    form = forms.pop() if len(forms) == 1 else SEVERAL
    return replace(found[0], form=form, row_map=None), models.pop() if len(models) == 1 else SEVERAL_MODELS


def _line(asked: wire.Request, body: bytes) -> bytes:
    """A request as we write it."""
    head = msgspec.json.encode(asked.custom_id), msgspec.json.encode(asked.url)
    return b'{"custom_id":%b,"method":"POST","url":%b,"body":%b}\n' % (*head, body)
