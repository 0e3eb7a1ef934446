"""Result files → rows: for each prompt, in which file and where its answer lies, and how it ended.

A million rows are a few flat columns; texts and prompts are read from disk when they are asked for. A row
knows its file and offset, never "line n of my shard", so it does not matter who made the file.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groq_magic import wire
from groq_magic.errors import NotSent, StillRunning

STATUSES = ("pending", "ok", "cut", "failed", "expired", "cancelled", "missing", "skipped")
PENDING, OK, CUT, FAILED, EXPIRED, CANCELLED, MISSING, SKIPPED = range(len(STATUSES))

_LEFT = "Nobody watches this batch any more (the extension was unloaded). Take it up again: %groq attach"

_NOWHERE = 0  # file 0 is no file: the row has no line anywhere

# Words of a line's error that are an end of the batch rather than a failure of the request. Groq documents
# no shape for them; these are the codes of OpenAI's protocol, which Groq's follows.
_CODES = {"batch_expired": EXPIRED, "batch_cancelled": CANCELLED}


@dataclass(frozen=True)
class Source:
    """The requests of one shard, as the ledger keeps them; `prefix` is empty where the ids were given."""

    number: int
    path: Path
    rows: range
    prefix: str


@dataclass(frozen=True)
class Trouble:
    """Failures of one code: an example's message and row, and how many there are."""

    message: str
    row: int
    count: int


class Rows:
    """The columns of one job's answers, filled shard by shard on any thread, read on any other.

    `finished` resolves once every row has its end and whoever watches has seen it.
    """

    def __init__(self, job_id: str, count: int, sources: Sequence[Source]) -> None:
        self.job_id = job_id
        self.status = bytearray(count)
        self.prompt_tokens = array("I", bytes(4 * count))
        self.completion_tokens = array("I", bytes(4 * count))
        self.finished: Future[None] = Future()
        self.not_sent: str | None = None
        self.left = False
        self.problems: dict[str, Trouble] = {}
        # How far things are and what to type, for an Answers of this name.
        self.describe: Callable[[str], str] = lambda name: ""
        self._file = array("H", bytes(2 * count))
        self._offset = array("Q", bytes(8 * count))
        self._paths: list[Path] = [Path()]
        self._sources = list(sources)
        self._ends: dict[int, tuple[str, str]] = {}  # by shard: code and reason of rows without a line
        self._ids: dict[int, list[str]] = {}
        self._offsets: dict[int, array[int]] = {}
        self._finders: dict[int, Callable[[str], int | None]] = {}
        self._lock = threading.Lock()

    # --- filling ------------------------------------------------------------------------------------

    def knows(self, number: int, path: Path) -> bool:
        """Whether a file holds at least one reply to a request of this shard."""
        row_of = self._row_finder(self._sources[number])
        with path.open("rb") as file:
            for line in file:
                with suppress(ValueError):
                    if row_of(wire.outcome(line)[0]) is not None:
                        return True
        return False

    def collect(self, number: int, path: Path) -> None:
        """Takes in a result file of a shard. Lines that are no JSON or nobody's are left out.

        Where an id comes twice, a success is kept rather than a failure, and the first of two successes.
        """
        source = self._sources[number]
        row_of = self._row_finder(source)
        with self._lock:
            self._paths.append(path)
            index = len(self._paths) - 1
            offset = 0
            with path.open("rb") as file:
                for line in file:  # bytes are split at b"\n" alone, as JSONL is
                    start, offset = offset, offset + len(line)
                    if line.isspace():
                        continue
                    try:
                        custom_id, finish, prompt_tokens, completion_tokens, error = wire.outcome(line)
                    except ValueError:
                        continue
                    row = row_of(custom_id)
                    if row is None or self.status[row] in (OK, CUT):
                        continue
                    if self.status[row] != PENDING:
                        self._uncount(row)
                    self._file[row], self._offset[row] = index, start
                    self.prompt_tokens[row], self.completion_tokens[row] = prompt_tokens, completion_tokens
                    if error is None:
                        self.status[row] = CUT if finish == "length" else OK
                    else:
                        self.status[row] = _CODES.get(error[0], FAILED)
                        self._count(error[0], error[1], row)

    def close(self, number: int, status: int, code: str, reason: str) -> None:
        """Says how the rows of a shard ended of which no line came."""
        with self._lock:
            for row in self._sources[number].rows:
                if self.status[row] == PENDING:
                    self.status[row] = status
                    self._count(code, reason, row)
            self._ends[number] = (code, reason)

    def open_shards(self) -> list[int]:
        """The numbers of the shards whose rows have not all ended."""
        return [source.number for source in self._sources if source.number not in self._ends]

    def leave(self) -> None:
        """Nobody fills these rows any more: whoever waits for them is told so."""
        if not self.finished.done():
            self.left = True
            self.finished.set_exception(StillRunning(_LEFT))

    @property
    def settled(self) -> Set[int]:
        """The numbers of the shards whose rows all have their end."""
        return self._ends.keys()

    def _count(self, code: str, message: str, row: int) -> None:
        seen = self.problems.get(code)
        self.problems[code] = replace(seen, count=seen.count + 1) if seen else Trouble(message, row, 1)

    def _uncount(self, row: int) -> None:
        """Takes a failure back of which a further line has come."""
        reply = self.reply(row)
        code = reply.error[0] if reply is not None and reply.error else ""
        seen = self.problems.pop(code, None)
        if seen is not None and seen.count > 1:
            self.problems[code] = replace(seen, count=seen.count - 1)

    def _row_finder(self, source: Source) -> Callable[[str], int | None]:
        """From a custom_id to the row it belongs to, or None."""
        if not source.prefix:
            if source.number not in self._finders:
                first = source.rows.start
                rows_of = {found: first + n for n, found in enumerate(self._given(source))}
                self._finders[source.number] = rows_of.get
            return self._finders[source.number]
        prefix, rows = source.prefix, source.rows
        cut = len(prefix)

        def row_of(custom_id: str) -> int | None:
            line = custom_id[cut:]
            if custom_id[:cut] != prefix or not (line.isascii() and line.isdigit()):
                return None
            return rows[int(line)] if int(line) < len(rows) else None

        return row_of

    # --- reading ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.status)

    def counts(self) -> dict[str, int]:
        """How many rows are in each status."""
        return {name: self.status.count(code) for code, name in enumerate(STATUSES)}

    @property
    def done(self) -> bool:
        """Whether every row has its end, and everyone who watches knows."""
        return self.finished.done() and not self.left

    def check_done(self, what: str, name: str) -> None:
        """Raises StillRunning or NotSent where the whole is not there."""
        if self.not_sent is not None:
            raise NotSent(self.not_sent)
        if self.left:
            raise StillRunning(_LEFT)
        if not self.done:
            raise StillRunning(f"{what} not there yet: {self.describe(name)}")

    def reply(self, row: int, name: str = "answers") -> wire.Reply | None:
        """The line that answered a row, or None where none came. Raises StillRunning, NotSent."""
        if self.status[row] == PENDING or self.not_sent is not None:
            self.check_done(f"The answer to row {row} is", name)
        if self._file[row] == _NOWHERE:
            return None
        with self._paths[self._file[row]].open("rb") as file:
            file.seek(self._offset[row])
            return wire.reply(file.readline())

    def replies(self, rows: Sequence[int]) -> Iterator[wire.Reply | None]:
        """The lines of many rows, each file opened once."""
        files: dict[int, Any] = {}
        try:
            for row in rows:
                index = self._file[row]
                if index == _NOWHERE:
                    yield None
                    continue
                if index not in files:
                    files[index] = self._paths[index].open("rb")
                files[index].seek(self._offset[row])
                yield wire.reply(files[index].readline())
        finally:
            for file in files.values():
                file.close()

    def end(self, row: int) -> tuple[str, str]:
        """Code and reason of a row that ended without a line."""
        return self._ends.get(self._source(row).number, ("unknown", "No reply came."))

    def request(self, row: int) -> wire.Request:
        """What was sent for a row."""
        source = self._source(row)
        with source.path.open("rb") as file:
            file.seek(self._lines(source)[row - source.rows.start])
            return wire.request(file.readline())

    def custom_id(self, row: int) -> str:
        """The id under which a row was sent."""
        source = self._source(row)
        if not source.prefix:
            return self._given(source)[row - source.rows.start]
        return f"{source.prefix}{row - source.rows.start}"

    def row_of(self, custom_id: str) -> int | None:
        """The row that an id was given for, or None."""
        found = (self._row_finder(source)(custom_id) for source in self._sources)
        return next((row for row in found if row is not None), None)

    def _source(self, row: int) -> Source:
        return next(source for source in self._sources if row in source.rows)

    def _given(self, source: Source) -> list[str]:
        if source.number not in self._ids:
            with source.path.open("rb") as file:
                self._ids[source.number] = [wire.request_id(line) for line in file]
        return self._ids[source.number]

    def _lines(self, source: Source) -> array[int]:
        """Where each line of a shard begins; found by one pass on first use."""
        if source.number not in self._offsets:
            starts = array("I", [0])
            with source.path.open("rb") as file:
                for line in file:
                    starts.append(starts[-1] + len(line))
            self._offsets[source.number] = starts
        return self._offsets[source.number]
