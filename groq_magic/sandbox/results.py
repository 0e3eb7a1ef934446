"""An ended batch → the lines of its output file and of its error file.

The output file has only what was answered, the error file only what failed or expired; a row that a
cancel left unanswered is in neither. The same batch gives the same bytes each time.
https://console.groq.com/docs/batch
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from . import replies
from .ids import time_part
from .intake import Line, Order, read_line
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
    rows = zip(order.offsets, order.lengths, strict=True)
    # Unbuffered: the rows are read out of order, and a buffer would be filled anew for each.
    with uploaded.open("rb", buffering=0) as file:
        for place, (offset, length) in enumerate(rows):
            if place >= end.answered and end.status != "expired":
                return
            file.seek(offset)
            line = read_line(file.read(length))
            prompt = replies.prompt_of(line.body)
            marks = replies.marks_in(prompt)
            if "[[lose]]" in marks:
                continue
            salt = hashlib.blake2b(f"{batch.id} {offset}".encode(), digest_size=32).hexdigest()
            head: dict[str, Any] = {"id": f"batch_req_out_{moment}{salt[:16]}", "custom_id": line.custom_id}
            if place >= end.answered:
                yield False, encode({**head, "response": None, "error": _EXPIRED}) + b"\n"
                continue
            response = _response(line, marks, prompt, salt, moment, int(at))
            answered = response["status_code"] == 200
            yield answered, encode({**head, "response": response, "error": None}) + b"\n"


def _response(
    line: Line, marks: frozenset[str], prompt: str, salt: str, moment: str, at: int
) -> dict[str, Any]:
    request_id = f"req_{moment}{salt[16:32]}"
    status = 200
    failure = replies.error_of(line.url, line.body, marks)
    if failure is not None:
        status, body = failure.status, {"error": failure.error}
    elif line.url in replies.AUDIO:
        body = replies.transcript(line.body, request_id)
    else:
        body = replies.completion(
            line.body, marks, prompt, request_id=request_id, chat_id=chat_id(salt), at=at, tier="batch"
        )
    return {"status_code": status, "request_id": request_id, "body": body}


def chat_id(salt: str) -> str:
    """`chatcmpl-` and a version 4 UUID, out of at least 64 hex digits of which the last 32 are used."""
    return f"chatcmpl-{salt[32:40]}-{salt[40:44]}-4{salt[45:48]}-a{salt[49:52]}-{salt[52:64]}"
