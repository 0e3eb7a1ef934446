"""An uploaded file → its faults, or the order in which its rows will be answered.

The file is read once, line by line, split at a line feed alone: U+2028 and its like are ordinary
characters. Of each row the sandbox keeps where it is (offset, length) and how many before it fail.
https://console.groq.com/docs/batch
"""

from __future__ import annotations

import array
import contextlib
import dataclasses
import itertools
import json
import random
from pathlib import Path
from typing import Any

import msgspec

from . import bodies, ordinary, replies
from .faults import marks_in
from .refusals import error_object
from .rules import Rules

MOST_LINES = 50_000
MOST_LINE_BYTES = 16_000_000  # no document has a limit; a line is the one thing that is held in memory whole
DEEPEST = 200  # how deep a reader can go depends on where it is called, and each line is read twice
MOST_ERRORS = 100  # the list grows no longer: nobody reads more, and a batch is read at each poll
_KEYS = ("custom_id", "method", "url", "body")


class Line(msgspec.Struct, gc=False):
    """One request as it was uploaded."""

    custom_id: str
    method: str
    url: str
    body: dict[str, Any]


class Fault(Exception):
    """The line cannot be taken; whether the file can then is a rule (`bad_line`)."""

    def __init__(self, code: str, message: str, param: str | None = None, custom_id: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.param, self.custom_id = code, message, param, custom_id

    @property
    def error(self) -> dict[str, Any]:
        """The error object of its row, where it fails alone."""
        return error_object(self.message, "invalid_request_error", self.code, self.param)

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
    """What the one reading of a file found. The order of a file that is `turned_down` is of no use."""

    errors: list[dict[str, Any]]
    turned_down: bool
    order: Order
    marks: list[str]
    has_output: bool  # whether any row will be answered, if the batch has the time


_ANSWERED, _FAILED, _LOST = range(3)


class _TurnedDown(Exception):
    """Nobody needs to read on."""


class _Reading:
    """The state of the one reading."""

    def __init__(self, endpoint: str, rules: Rules) -> None:
        self._rules = rules
        self._url = endpoint if rules.line_url == "endpoint" else None
        self._rows_fail_alone = rules.bad_line == "row"
        self.errors: list[dict[str, Any]] = []
        self.turned_down = False
        self.marks: set[str] = set()
        self.offsets, self.lengths, self.fates = array.array("Q"), array.array("I"), bytearray()
        self._ids: set[str] = set()

    def take(self, number: int, start: int, raw: bytes) -> None:
        usual = ordinary.read(raw)
        try:
            if usual is None:
                fate = self._fate(raw)
            else:
                self._new(usual[0].custom_id)
                fate = _ANSWERED
        except Fault as fault:
            self.note(fault, number)
            fate = _FAILED
        if len(self.offsets) == MOST_LINES:
            self.turn_down(Fault("too_many_lines", f"A file has at most {MOST_LINES} lines."), number)
        self.fates.append(fate)
        self.offsets.append(start)
        self.lengths.append(len(raw))

    def note(self, fault: Fault, number: int) -> None:
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(fault.at(number))
        self.turned_down = self.turned_down or not self._rows_fail_alone
        if self.turned_down and len(self.errors) == MOST_ERRORS:
            raise _TurnedDown

    def turn_down(self, fault: Fault, number: int | None) -> None:
        self.errors.append(fault.at(number))
        self.turned_down = True
        raise _TurnedDown

    def _fate(self, raw: bytes) -> int:
        line = read_line(raw, self._url)
        marks = marks_in(bodies.prompt_of(line.body))
        if "[[invalid]]" in marks:
            self.turned_down = True
            raise bad_method("GET", line.custom_id)
        self._new(line.custom_id)
        if marks:
            self.marks |= marks
        if "[[lose]]" in marks:
            return _LOST
        return _ANSWERED if replies.error_of(line.url, line.body, marks, self._rules) is None else _FAILED

    def _new(self, custom_id: str) -> None:
        if custom_id in self._ids:
            raise duplicate(custom_id)
        self._ids.add(custom_id)


def take_in(path: Path, seed: str, endpoint: str, rules: Rules) -> Intake:
    """Read the file and check each line; `seed` decides the order of the answers."""
    reading = _Reading(endpoint, rules)
    offset = 0
    with path.open("rb") as file, contextlib.suppress(_TurnedDown):
        for number in itertools.count(1):
            raw = file.readline(MOST_LINE_BYTES + 1)
            if not raw:
                break
            if len(raw) > MOST_LINE_BYTES:
                said = f"A line has at most {MOST_LINE_BYTES} bytes."
                reading.turn_down(Fault("line_too_long", said), number)
            if not raw.isspace():
                reading.take(number, offset, raw)
            offset += len(raw)
        if not reading.offsets:
            reading.turn_down(Fault("empty_file", "The file holds no request."), None)
    order = _shuffled(reading.offsets, reading.lengths, reading.fates, seed)
    answered = not reading.turned_down and _ANSWERED in reading.fates
    return Intake(reading.errors, reading.turned_down, order, sorted(reading.marks), answered)


def duplicate(custom_id: str) -> Fault:
    """The second line with an id. The code was seen by a user; the words are ours."""
    said = f"The custom_id '{custom_id[:200]}' occurs more than once."
    return Fault("duplicate_custom_id", said, "custom_id", custom_id)


def bad_method(method: str, custom_id: str) -> Fault:
    """A line's method is not POST: code and words are those of Groq's guide."""
    said = f"Invalid value: '{method[:200]}'. Supported values are: 'POST'"
    return Fault("invalid_method", said, "method", custom_id)


def read_line(raw: bytes, only_url: str | None = None) -> Line:
    """The request on this line, whose url is `only_url` where that is given. Raises Fault.

    Of the codes only `invalid_method` is in Groq's guide and `duplicate_custom_id` was seen by a user; the
    others are named in their manner.
    """
    try:
        line = _decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        line = _read_leniently(raw)
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and _depth(line.body) > DEEPEST:
        raise Fault(
            "invalid_json_line", f"This line is nested more than {DEEPEST} deep.", None, line.custom_id
        )
    if line.method != "POST":
        raise bad_method(line.method, line.custom_id)
    if line.url not in _URLS or line.url != (only_url or line.url):
        known = [only_url] if only_url else _URLS
        said = f"Invalid value: '{line.url[:200]}'. Supported values are: " + ", ".join(
            f"'{u}'" for u in known
        )
        raise Fault("invalid_url", said, "url", line.custom_id)
    if not line.custom_id:
        raise Fault("invalid_type", "Invalid value: 'custom_id' must not be empty.", "custom_id")
    if not isinstance(line.body.get("model"), str):
        said = "Missing required parameter: 'body.model'."
        raise Fault("missing_required_parameter", said, "body.model", line.custom_id)
    return line


def _depth(value: Any) -> int:
    """How deep lists and objects lie in one another."""
    depth, level = 0, [value]
    while level:
        depth += 1
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [one for each in inner for one in each if isinstance(one, dict | list)]
    return depth


_URLS = (bodies.CHAT, *bodies.AUDIO)


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
    custom_id = value["custom_id"] if isinstance(value.get("custom_id"), str) else ""
    for key in _KEYS:
        if key not in value:
            said = f"Missing required parameter: '{key}'."
            raise Fault("missing_required_parameter", said, key, custom_id)
        if not isinstance(value[key], dict if key == "body" else str):
            raise Fault("invalid_type", f"Invalid type for '{key}'.", key, custom_id)
    return Line(**{key: value[key] for key in _KEYS})


def _shuffled(offsets: array.array[int], lengths: array.array[int], fates: bytearray, seed: str) -> Order:
    """Groq answers in another order than the file's, so the answered rows never keep theirs here."""
    rows = array.array("I", range(len(offsets)))
    random.Random(seed).shuffle(rows)
    seen = [row for row in rows if fates[row] == _ANSWERED]
    if all(before < after for before, after in itertools.pairwise(seen)):
        rows.reverse()
    failed = itertools.accumulate((fates[row] == _FAILED for row in rows), initial=0)
    return Order(
        array.array("Q", map(offsets.__getitem__, rows)),
        array.array("I", map(lengths.__getitem__, rows)),
        array.array("I", failed),
    )
