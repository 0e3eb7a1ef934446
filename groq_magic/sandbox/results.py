"""An ended batch → the lines of its output file and of its error file.

The output file has only what was answered, the error file only what failed or expired; a row that a
cancel left unanswered is in neither, nor is a line that has no custom_id. The same batch gives the same
bytes each time.
https://console.groq.com/docs/batch
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from . import bodies, ordinary, replies
from .bodies import RowError
from .faults import marks_in
from .forms import Forms, answered, chat_id, line_id, request_id
from .ids import time_part
from .intake import Fault, Line, Order, duplicate, read_line
from .rules import Rules
from .timeline import Batch, Standing

# The guide gives expired lines no shape; this is the one that OpenAI's batches have.
_EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the window expired.",
}


def result_lines(batch: Batch, end: Standing, order: Order, uploaded: Path) -> Iterator[tuple[bool, bytes]]:
    """For each line (True: output, False: errors; the line with its line feed)."""
    encode = msgspec.json.Encoder().encode
    at = end.in_progress_at if end.in_progress_at is not None else batch.created_at
    moment = time_part(at)
    forms = Forms(batch.rules, moment, int(at))
    salted = hashlib.blake2b(f"{batch.id} ".encode(), digest_size=32)
    rows = zip(order.offsets, order.lengths, itertools.pairwise(order.failed), strict=True)
    # Unbuffered: the rows are read out of order, and a buffer would be filled anew for each.
    with uploaded.open("rb", buffering=0) as file:
        for place, (offset, length, (before, after)) in enumerate(rows):
            if place >= end.answered and end.status != "expired":
                return
            file.seek(offset)
            raw, failed = file.read(length), after > before
            salting = salted.copy()
            salting.update(b"%d" % offset)
            salt = salting.hexdigest()
            usual = None if failed or place >= end.answered else ordinary.read(raw)
            if usual is not None:
                yield True, forms.line(*usual, salt)
                continue
            line, error = _line(raw, failed=failed, batch=batch)
            if line is None:
                continue
            head: dict[str, Any] = {"id": line_id(moment, salt), "custom_id": line.custom_id}
            if place >= end.answered:
                yield False, encode({**head, "response": None, "error": _EXPIRED}) + b"\n"
                continue
            prompt = bodies.prompt_of(line.body)
            marks = marks_in(prompt)
            if "[[lose]]" in marks:
                continue
            asked = request_id(moment, salt)
            if error is not None:
                written = encode({**head, **_failed(batch.rules, error, asked)}) + b"\n"
            else:
                body = _body(line, marks, prompt, asked, salt, int(at))
                written = answered(batch.rules, head["id"], line.custom_id, asked, body)
            yield error is None, written * (2 if "[[double]]" in marks else 1)


def _line(raw: bytes, *, failed: bool, batch: Batch) -> tuple[Line | None, RowError | None]:
    """The request on a line and why it failed; no line where that has no id to be named by."""
    try:
        line = read_line(raw, batch.endpoint if batch.rules.line_url == "endpoint" else None)
    except Fault as fault:
        known = Line(fault.custom_id, "POST", "", {}) if fault.custom_id else None
        return known, RowError(400, fault.error)
    if not failed:
        return line, None
    marks = marks_in(bodies.prompt_of(line.body))
    error = replies.error_of(line.url, line.body, marks, batch.rules)
    return line, error or RowError(400, duplicate(line.custom_id).error)


def _failed(rules: Rules, error: RowError, request_id: str) -> dict[str, Any]:
    body = {"error": error.error}
    if rules.error_line == "bare":
        return {"response": {"status_code": error.status, "body": body}}
    return {"response": {"status_code": error.status, "request_id": request_id, "body": body}, "error": None}


def _body(
    line: Line, marks: frozenset[str], prompt: str, request_id: str, salt: str, at: int
) -> dict[str, Any]:
    if line.url in bodies.AUDIO:
        return replies.transcript(line.body, request_id)
    return replies.completion(
        line.body, marks, prompt, request_id=request_id, chat_id=chat_id(salt), at=at, tier="batch"
    )
