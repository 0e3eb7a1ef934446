"""An uploaded file → its faults, or the order in which its rows will be answered.

The file is read once, line by line, split at a line feed alone: U+2028 and its like are ordinary
characters. Of each row the sandbox keeps where it is (offset, length) and how many before it fail.
https://console.groq.com/docs/batch
"""

from __future__ import annotations

import array
import dataclasses
import itertools
import json
import random
from pathlib import Path
from typing import Any

import msgspec

from . import replies

MOST_LINES = 50_000
MOST_ERRORS = 100  # the list grows no longer: nobody reads more, and a batch is read at each poll
_KEYS = ("custom_id", "method", "url", "body")


class Line(msgspec.Struct, gc=False):
    """One request as it was uploaded."""

    custom_id: str
    method: str
    url: str
    body: dict[str, Any]


class Fault(Exception):
    """The line cannot be taken, and so the file cannot."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param

    def at(self, line: int | None) -> dict[str, Any]:
        """An entry of a batch's `errors`."""
        return {"code": self.code, "message": self.message, "param": self.param, "line": line}


@dataclasses.dataclass(frozen=True)
class Order:
    """The rows in the order of their answering; `failed[n]` is how many of the first n fail."""

    offsets: array.array[int]
    lengths: array.array[int]
    failed: array.array[int]

    def save(self, path: Path) -> None:
        """Write it: 8 bytes a row, 4 bytes a row, 4 bytes for each of 0 to n rows."""
        with path.open("wb") as out:
            for column in (self.offsets, self.lengths, self.failed):
                column.tofile(out)

    @classmethod
    def load(cls, path: Path, total: int) -> Order:
        """What `save` wrote."""
        order = cls(array.array("Q"), array.array("I"), array.array("I"))
        with path.open("rb") as file:
            order.offsets.fromfile(file, total)
            order.lengths.fromfile(file, total)
            order.failed.fromfile(file, total + 1)
        return order


def failed_among(path: Path, total: int, answered: int) -> int:
    """How many of the first `answered` rows fail: four bytes read, however long the file is."""
    with path.open("rb", buffering=0) as file:
        file.seek(12 * total + 4 * answered)
        return array.array("I", file.read(4))[0]


@dataclasses.dataclass(frozen=True)
class Intake:
    """What the one reading of a file found. With `errors` there is no order."""

    errors: list[dict[str, Any]]
    order: Order
    slow: bool
    expires: bool


def take_in(path: Path, seed: str) -> Intake:
    """Read the file and check each line; `seed` decides the order of the answers."""
    errors: list[dict[str, Any]] = []
    ids: set[str] = set()
    batch_marks: set[str] = set()
    offsets, lengths, fates = array.array("Q"), array.array("I"), bytearray()
    offset = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            start, offset = offset, offset + len(raw)
            if raw.isspace():
                continue
            try:
                line = read_line(raw)
                if line.custom_id in ids:
                    raise Fault("duplicate_custom_id", f"`{line.custom_id}` occurs twice.", "custom_id")
            except Fault as fault:
                errors.append(fault.at(number))
                if len(errors) == MOST_ERRORS:
                    break
                continue
            ids.add(line.custom_id)
            if len(ids) > MOST_LINES:
                errors.append(Fault("too_many_lines", f"A file has at most {MOST_LINES} lines.").at(number))
                break
            marks = replies.marks_in(replies.prompt_of(line.body))
            batch_marks |= marks
            fates.append(_fate(line, marks))
            offsets.append(start)
            lengths.append(len(raw))
    if not offset or not (offsets or errors):
        errors.append(Fault("empty_file", "The file holds no request.").at(None))
    order = _shuffled(offsets, lengths, fates, seed)
    return Intake(errors, order, "[[slow]]" in batch_marks, "[[expire]]" in batch_marks)


def read_line(raw: bytes) -> Line:
    """The request on this line. Raises Fault where the file must be turned down for it.

    Of the codes only `invalid_method` is in Groq's guide and `duplicate_custom_id` was seen by a user; the
    others are named in their manner.
    """
    try:
        line = _decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        line = _read_leniently(raw)
    if line.method != "POST":
        said = f"Invalid value: '{line.method}'. Supported values are: 'POST'"
        raise Fault("invalid_method", said, "method")
    return line


_decoder = msgspec.json.Decoder(Line)


def _read_leniently(raw: bytes) -> Line:
    """Reads also half a surrogate pair, which `json.dumps` writes and a strict reader refuses."""
    try:
        value = json.loads(raw)
        value = json.loads(json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise Fault("invalid_json_line", "This line is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Fault("invalid_json_line", "This line is not a JSON object.")
    for key in _KEYS:
        if key not in value:
            raise Fault("missing_required_parameter", f"Missing required parameter: '{key}'.", key)
        if not isinstance(value[key], dict if key == "body" else str):
            raise Fault("invalid_type", f"Invalid type for '{key}'.", key)
    return Line(**{key: value[key] for key in _KEYS})


_ANSWERED, _FAILED, _LOST = range(3)


def _fate(line: Line, marks: frozenset[str]) -> int:
    if "[[lose]]" in marks:
        return _LOST
    return _ANSWERED if replies.error_of(line.url, line.body, marks) is None else _FAILED


def _shuffled(offsets: array.array[int], lengths: array.array[int], fates: bytearray, seed: str) -> Order:
    """Groq answers in another order than the file's, so the answered rows never keep theirs here."""
    rows = array.array("I", range(len(offsets)))
    random.Random(seed).shuffle(rows)
    seen = [row for row in rows if fates[row] == _ANSWERED]
    if all(before < after for before, after in itertools.pairwise(seen)):
        rows.reverse()
    failed = array.array("I", [0])
    for row in rows:
        failed.append(failed[-1] + (fates[row] == _FAILED))
    return Order(
        array.array("Q", (offsets[row] for row in rows)),
        array.array("I", (lengths[row] for row in rows)),
        failed,
    )
