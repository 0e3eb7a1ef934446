"""Result files → rows: for each prompt, in which file and where its answer lies, and how it ended.

A million rows are a few flat columns; texts and prompts are read from disk when they are asked for. A row
knows its file and offset, never "line n of my shard", so it does not matter who made the file.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import accumulate, compress
from pathlib import Path
from typing import IO, cast

from groq_magic import wire
from groq_magic.costs import Rate
from groq_magic.errors import NotSent, StillRunning
from groq_magic.schema import Misfit, Schema

STATUSES = ("pending", "ok", "cut", "failed", "expired", "cancelled", "missing", "skipped")
PENDING, OK, CUT, FAILED, EXPIRED, CANCELLED, MISSING, SKIPPED = range(len(STATUSES))

# What a retry sends again.
UNANSWERED = frozenset({FAILED, EXPIRED, CANCELLED, MISSING})

_LEFT = "Nobody watches this batch any more (the extension was unloaded). Take it up again: %groq attach"

_NOWHERE = 0  # file 0 is no file: the row has no line anywhere

_BLOCK = 2**16  # bytes of a file that are read at once: as much as a processor has at hand

MISFIT = "schema_mismatch"
"""The code of a reply that does not fit its schema: ours, the reply is there."""
_NO_RATE = Rate("")

# Words of a line's error that are an end of the batch rather than a failure of the request. Groq documents
# no shape for them; these are the codes of OpenAI's protocol, which Groq's follows.
_CODES = {"batch_expired": EXPIRED, "batch_cancelled": CANCELLED}


@dataclass(frozen=True)
class Source:
    """The requests of one shard, as the ledger keeps them; `prefix` is empty where the ids were given."""

    number: int
    path: Path
    rows: Sequence[int]
    prefix: str
    direct: bool = False  # asked one by one, in no batch

    def line_of(self, row: int) -> int:
        """Which line asks about this row. The rows are in order."""
        return row - self.rows.start if isinstance(self.rows, range) else bisect_left(self.rows, row)


@dataclass(frozen=True)
class Lent:
    """Rows that another job asks about: `rows[n]` here, in order, is `lender_rows[n]` of `lender`.

    Those of a `retry` count only where they are answered. `ids` are the user's own, if any.
    """

    lender: Rows
    rows: Sequence[int]
    lender_rows: Sequence[int]
    retry: bool = False
    ids: Sequence[str] | None = None


@dataclass(frozen=True)
class Repeated:
    """Rows that ask what an earlier row asks and share its answer: `rows[n]`, in order, is `first[n]`.

    `ids` are the user's own for these rows, if any.
    """

    rows: Sequence[int]
    first: Sequence[int]
    ids: Sequence[str] | None = None


@dataclass(frozen=True)
class Held:
    """How many requests of a shard a file answers, and how many of its lines answer none of them."""

    ours: int
    others: int


@dataclass(frozen=True)
class Trouble:
    """Failures of one code: an example's message and row, and how many there are."""

    message: str
    row: int
    count: int


class Rows:
    """The columns of one job's answers, filled shard by shard on any thread, read on any other.

    Each prompt has `samples` rows, one after the other. `skipped` rows are asked by nobody: what each misses,
    and its id or "". What this job itself sends is paid at `rate`. `finished` resolves once every row has its
    end and whoever watches has seen it.
    """

    def __init__(
        self,
        job_id: str,
        count: int,
        sources: Sequence[Source],
        lent: Sequence[Lent] = (),
        *,
        samples: int = 1,
        repeated: Repeated | None = None,
        skipped: Mapping[int, tuple[str, str]] | None = None,
        rate: Rate = _NO_RATE,
    ) -> None:
        self.job_id, self.samples, self.rate = job_id, samples, rate
        self.repeated = repeated or Repeated((), ())
        self.lent = list(lent)
        self.waiting = set(range(len(self.lent)))  # the loans of which not all has come
        self.status = bytearray(count)
        self.prompt_tokens = array("I", bytes(4 * count))
        self.completion_tokens = array("I", bytes(4 * count))
        self.finished: Future[None] = Future()
        self.not_sent: str | None = None
        self.not_resent: str | None = None  # why a retry could not be sent
        self.left = False
        self.problems: dict[str, Trouble] = {}
        self.schema: Schema | None = None  # what the replies are to fit: see `judge`
        self._misfits: dict[int, str] = {}  # by row: where a reply does not fit, and why
        self._label = array("H")  # which label each row got, from 1; empty where there are none
        # How far things are and what to type, for an Answers of this name.
        self.describe: Callable[[str], str] = lambda name: ""
        self.pace = ""  # while rows are asked one by one: how long the others take
        self._file = array("H", bytes(2 * count))
        self._offset = array("Q", bytes(8 * count))
        self._own_files: set[int] = set()
        self._replaced: dict[int, tuple[int, int]] = {}  # tokens of own answers that others' stand in for
        self._paths: list[Path] = [Path()]
        self._read: dict[Path, tuple[int, int, int, int]] = {}  # by file: its index, how far, and the tokens
        self._sources = list(sources)
        self._asked_in = array(
            "H", bytes(2 * count)
        )  # which source asks about a row, from 1; 0: none of ours
        for place, source in enumerate(self._sources, 1):
            if isinstance(source.rows, range):
                several = array("H", (place,)) * len(source.rows)
                self._asked_in[source.rows.start : source.rows.stop] = several
            else:
                for row in source.rows:
                    self._asked_in[row] = place
        self._skipped = dict(skipped or {})
        for row in self._skipped:
            self.status[row] = SKIPPED
        self._lent_ends: dict[int, tuple[str, str]] = {}  # by row, where a lender has no line for it
        self._ends: dict[int, tuple[str, str]] = {}  # by shard: code and reason of rows without a line
        self._counted: dict[int, str] = {}  # under which code a row's failure is counted
        self._ids: dict[int, list[str]] = {}
        self._offsets: dict[int, array[int]] = {}
        self._finders: dict[int, Callable[[str], int | None]] = {}
        self._lock = threading.Lock()
        self._version = 0  # how often rows have changed
        self._counts: tuple[int, dict[str, int]] = -1, {}  # at which version, and what was counted
        self._label_counts: tuple[int, dict[str, int]] = -1, {}
        self._at_end: dict[str, Callable[[], str]] = {}
        self._ended = False  # whether what is to be done at the end is being done, or was
        self.said: dict[str, str] = {}  # what came of it

    # --- at the end ---------------------------------------------------------------------------------

    def at_end(self, key: str, act: Callable[[], str]) -> None:
        """Has this done once all rows have their end, and after every retry; at once if that is over.

        It never raises, and gives what is to be said of it. Of one `key` the last is done.
        """
        with self._lock:
            self._at_end[key] = act
            late = self._ended
        if late:
            self.said[key] = act()

    def end_all(self) -> None:
        """Does what is to be done at the end."""
        with self._lock:
            self._ended, acts = True, dict(self._at_end)
        for key, act in acts.items():
            self.said[key] = act()

    # --- filling ------------------------------------------------------------------------------------

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Keeps others from filling meanwhile; what was counted before is counted anew."""
        with self._lock:
            try:
                yield
            finally:
                self._version += 1

    def inspect(self, number: int, path: Path) -> Held:
        """What a result file holds of a shard, before it is taken in."""
        source = self._sources[number]
        ours, others = bytearray(len(self.status)), 0
        for lines, _ in _blocks(path, 0, None):
            custom_ids = wire.result_ids(lines)
            rows = None if custom_ids is None else self._rows_of(source, custom_ids)
            if isinstance(rows, range):
                ours[rows.start : rows.stop] = b"\1" * len(rows)
                continue
            for row in rows if rows is not None else self._row_of_each(source, lines):
                if row is None:
                    others += 1
                else:
                    ours[row] = 1
        return Held(ours.count(1), others)

    def _row_of_each(self, source: Source, lines: list[bytes]) -> Iterator[int | None]:
        """The row that each line is for, None where there is none; blank lines are left out."""
        row_of = self._row_finder(source)
        for line in lines:
            if not line.isspace():
                row = None
                with suppress(ValueError):
                    row = row_of(wire.result_id(line))
                yield row

    def collect(self, number: int, path: Path, until: int | None = None) -> tuple[int, int]:
        """Takes in a result file of a shard, from where it was read to; the tokens that all of it tells of,
        asked and answered.

        A file that grows is read `until` so many bytes, which end with a line. Lines that are no JSON or
        nobody's are left out. Where an id comes twice, a success is kept rather than a failure, and the first
        of two successes.
        """
        source = self._sources[number]
        with self._changing():
            if path not in self._read:
                self._paths.append(path)
                self._read[path] = len(self._paths) - 1, 0, 0, 0
                self._own_files.add(len(self._paths) - 1)
            index, offset, asked, answered = self._read[path]
            for lines, starts in _blocks(path, offset, until):
                offset = starts.pop()
                told = self._take_all(source, index, lines, starts)
                told = told or self._take_each(source, index, lines, starts)
                asked, answered = asked + told[0], answered + told[1]
            self._read[path] = index, offset, asked, answered
            self._repeat()
        return asked, answered

    def _take_all(
        self, source: Source, index: int, lines: list[bytes], starts: list[int]
    ) -> tuple[int, int] | None:
        """Takes in lines that are the first answers to rows of ours; None, and nothing is done, where one
        is not.
        """
        found = wire.ordinary(lines, texts=self.schema is not None)
        rows = None if found is None else self._rows_of(source, found.ids)
        if found is None or rows is None:
            return None
        states = bytes([CUT if reason == "length" else OK for reason in found.finish_reasons])
        columns = states, starts, found.prompt_tokens, found.completion_tokens
        if isinstance(rows, range):
            if any(self.status[rows.start : rows.stop]):
                return None
            self._put_run(rows, index, *columns)
        else:
            if any(map(self.status.__getitem__, rows)) or len(set(rows)) < len(rows):
                return None
            self._put(rows, index, *columns)
        for row, text in zip(rows, found.texts, strict=False):
            if self.status[row] == OK:
                self._fit(row, text)
        return sum(found.prompt_tokens), sum(found.completion_tokens)

    def _put_run(
        self, rows: range, index: int, states: bytes, starts: list[int], asked: list[int], answered: list[int]
    ) -> None:
        """Sets the columns of rows that follow each other."""
        these = slice(rows.start, rows.stop)
        self._file[these] = array("H", (index,)) * len(rows)
        self._offset[these] = array("Q", starts)
        self.prompt_tokens[these] = array("I", asked)
        self.completion_tokens[these] = array("I", answered)
        self.status[these] = states

    def _put(
        self,
        rows: Sequence[int],
        index: int,
        states: bytes,
        starts: list[int],
        asked: list[int],
        answered: list[int],
    ) -> None:
        """The same of rows in any order."""
        status, files, offsets = self.status, self._file, self._offset
        prompt_tokens, completion_tokens = self.prompt_tokens, self.completion_tokens
        for row, state, start, before, after in zip(rows, states, starts, asked, answered, strict=True):
            files[row], offsets[row] = index, start
            prompt_tokens[row], completion_tokens[row] = before, after
            status[row] = state

    def _take_each(
        self, source: Source, index: int, lines: list[bytes], starts: list[int]
    ) -> tuple[int, int]:
        """Takes in any lines, one by one."""
        row_of = self._row_finder(source)
        asked = answered = 0
        for line, start in zip(lines, starts, strict=True):
            if line.isspace():
                continue
            try:
                custom_id, finish, prompt_tokens, completion_tokens, error = wire.outcome(line)
            except ValueError:
                continue
            row = row_of(custom_id)
            if row is None:
                continue
            asked, answered = asked + prompt_tokens, answered + completion_tokens
            if self.status[row] in (OK, CUT):
                if self._file[row] not in self._own_files:
                    self._replaced[row] = prompt_tokens, completion_tokens
                continue
            if self.status[row] != PENDING:
                self._uncount(row)
            self._file[row], self._offset[row] = index, start
            self.prompt_tokens[row], self.completion_tokens[row] = prompt_tokens, completion_tokens
            if error is None:
                self.status[row] = CUT if finish == "length" else OK
                if self.schema is not None and finish != "length":
                    self._fit(row, wire.text_of(line))
            else:
                self.status[row] = _CODES.get(error[0], FAILED)
                self._count(error[0], error[1], row)
        return asked, answered

    def judge(self, schema: Schema) -> None:
        """From now on replies are to fit this schema, those too that are here; one that does not has failed.

        It is asked for again by a retry, and by nothing else: it was answered, and paid.
        """
        with self._changing():
            for row in self._misfits:
                self._counted.pop(row, None)
                self.status[row] = OK
            self._misfits.clear()
            self.problems.pop(MISFIT, None)
            self.schema = schema
            self._label = array("H", bytes(2 * len(self.status) if schema.labels else 0))
            self._fit_all([row for row, status in enumerate(self.status) if status == OK])

    def _fit_all(self, rows: Sequence[int]) -> None:
        for row, line in zip(rows, self.found(rows), strict=True):
            if line is not None:
                self._fit(row, wire.text_of(line))

    def _fit(self, row: int, text: str | None) -> None:
        """Holds a row's reply against the schema."""
        assert self.schema is not None, "there is a schema wherever this is called"
        try:
            if self._label:
                self._label[row] = 1 + self.schema.place(text or "")
            else:
                self.schema.parse(text or "")
        except Misfit as exc:
            self.status[row], self._misfits[row] = FAILED, str(exc)
            self._count(MISFIT, str(exc), row)

    def label_counts(self, rows: Iterable[int] | None = None) -> dict[str, int]:
        """How often each label was given, in the schema's order; {} where there are no labels."""
        if rows is not None:
            return self._count_labels(self._label[row] for row in rows) if self._label else {}
        version = self._version
        if self._label_counts[0] != version:
            self._label_counts = version, self._count_labels(self._label)
        return dict(self._label_counts[1])

    def _count_labels(self, places: Iterable[int]) -> dict[str, int]:
        labels = self.schema.labels if self._label and self.schema else None
        seen = Counter(places) if labels else {}
        return {label: seen.get(place, 0) for place, label in enumerate(labels or (), 1)}

    def close(self, number: int, status: int, code: str, reason: str) -> None:
        """Says how the rows of a shard ended of which no line came."""
        with self._changing():
            for row in self._pending(self._sources[number].rows):
                self.status[row] = status
                self._count(code, reason, row)
            self._ends[number] = (code, reason)
            self._finders.pop(number, None)  # a million ids of the user's own are not kept in memory
            self._repeat()

    def reopen(self, lent: Sequence[Lent]) -> None:
        """More is to come for these rows, from these lenders; those known before come first among them."""
        self.lent = list(lent)
        self.waiting = set(range(len(self.lent)))
        self.finished, self._ended = Future(), False
        self.left, self.not_resent = False, None

    def borrow(self, lent: Lent) -> None:
        """Takes over how the lender's rows stand, as far as they have ended."""
        other = lent.lender
        with self._changing():
            places: dict[int, int] = {}
            retried = any(
                other.lent[place].retry for place in tuple(other.waiting)
            )  # its failures may be mended yet
            fresh: list[int] = []
            for here, there in zip(lent.rows, lent.lender_rows, strict=True):
                # Whether it fits a schema is for these rows to say.
                state, mine = other.status[there], self.status[here]
                if state == PENDING or (retried and state != OK):
                    continue
                state = OK if there in other._misfits else state
                # What was not there before may be now: then with another key, or after a search.
                new = mine == PENDING or (mine == MISSING and state != MISSING)
                if not (_better(state, mine) if lent.retry else new):
                    continue
                if mine not in (PENDING, OK, CUT):
                    self._uncount(here)
                file = other._file[there]
                if self._file[here] in self._own_files:
                    self._replaced[here] = self.prompt_tokens[here], self.completion_tokens[here]
                if file and file not in places:
                    self._paths.append(other._paths[file])
                    places[file] = len(self._paths) - 1
                self._file[here] = places[file] if file else _NOWHERE
                self._offset[here] = other._offset[there]
                self.prompt_tokens[here] = other.prompt_tokens[there]
                self.completion_tokens[here] = other.completion_tokens[there]
                self.status[here] = state
                if state == OK:
                    fresh.append(here)
                elif state != CUT:
                    code, said = other.why(there)
                    if not file:
                        self._lent_ends[here] = (code, said)
                    self._count(code, said, here)
            if self.schema is not None:
                self._fit_all(fresh)
            self._repeat()

    def _pending(self, rows: Sequence[int]) -> list[int]:
        if isinstance(rows, range) and self.status.find(PENDING, rows.start, rows.stop) < 0:
            return []
        return [row for row in rows if self.status[row] == PENDING]

    def close_lent(self, lent: Lent, status: int, code: str, reason: str) -> None:
        """Says how the rows ended that a lender did not bring to an end."""
        with self._changing():
            for row in lent.rows:
                if self.status[row] == PENDING:
                    self.status[row] = status
                    self._lent_ends[row] = (code, reason)
                    self._count(code, reason, row)
            self._repeat()

    def _repeat(self) -> None:
        """Rows that repeat another stand as it does; the tokens are counted once."""
        for here, there in zip(self.repeated.rows, self.repeated.first, strict=True):
            state, mine = self.status[there], self.status[here]
            lies = self._file[there], self._offset[there]
            if state == mine and lies == (self._file[here], self._offset[here]):
                continue
            if mine not in (PENDING, OK, CUT):
                self._uncount(here)
            self._file[here], self._offset[here] = lies
            self.status[here] = state
            if there in self._misfits:
                self._misfits[here] = self._misfits[there]
            if self._label:
                self._label[here] = self._label[there]
            if state not in (PENDING, OK, CUT):
                self._count(*self.why(there), here)

    def first(self, row: int) -> int:
        """The row whose answer this row's is: itself, unless it repeats another."""
        if not self.repeated.rows:
            return row
        n = bisect_left(self.repeated.rows, row)
        repeats = n < len(self.repeated.rows) and self.repeated.rows[n] == row
        return self.repeated.first[n] if repeats else row

    def unanswered(self, rows: Iterable[int] | None = None) -> list[int]:
        """Of these rows, or of all that repeat none, those that ended without being answered or refused."""
        rows = range(len(self.status)) if rows is None else rows
        found = [row for row in rows if self.status[row] in (EXPIRED, MISSING)]
        return [row for row in found if self.first(row) == row]

    def why(self, row: int) -> tuple[str, str]:
        """Code and reason of a row that ended without an answer."""
        if row in self._misfits:
            return MISFIT, self._misfits[row]
        reply = self.reply(row) if self._file[row] != _NOWHERE else None
        return reply.error if reply is not None and reply.error else self.end(row)

    def here(self, number: int) -> tuple[int, int]:
        """How many rows of a shard have been answered, and how many have failed, so far."""
        rows = self._sources[number].rows
        if isinstance(rows, range):
            found = bytes(self.status[rows.start : rows.stop])
        else:
            found = bytes(self.status[row] for row in rows)
        return found.count(OK) + found.count(CUT), found.count(FAILED)

    def own_of(self, row: int) -> tuple[int, int]:
        """The tokens, asked and answered, of what this job itself sent for a row."""
        if row in self._replaced:
            return self._replaced[row]
        return (self.prompt_tokens[row], self.completion_tokens[row]) if self.is_own(row) else (0, 0)

    def is_own(self, row: int) -> bool:
        """Whether the answer of a row is one that this job itself has brought."""
        return self._file[row] in self._own_files

    def own_tokens(self, wanted: bytearray) -> tuple[int, int]:
        """The same of all rows of which `wanted` has a 1; those that repeat another took none."""
        if not self.lent:  # every answer is its own
            return sum(compress(self.prompt_tokens, wanted)), sum(compress(self.completion_tokens, wanted))
        found = [self.own_of(row) for row in compress(range(len(self)), wanted)]
        return sum(asked for asked, _ in found), sum(said for _, said in found)

    @property
    def direct(self) -> list[int]:
        """The numbers of the shards whose prompts are asked one by one."""
        return [source.number for source in self._sources if source.direct]

    @property
    def shard_numbers(self) -> list[int]:
        """The numbers of the shards."""
        return [source.number for source in self._sources]

    def rows_of(self, number: int) -> Sequence[int]:
        """The rows that a shard asks about."""
        return self._sources[number].rows

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
        if seen is None:
            self.problems[code] = Trouble(message, row, 1)
        else:
            self.problems[code] = replace(seen, row=min(row, seen.row), count=seen.count + 1)
        self._counted[row] = code

    def _uncount(self, row: int) -> None:
        """Takes a failure back of which a further line has come."""
        code = self._counted.pop(row, "")
        self._lent_ends.pop(row, None)
        self._misfits.pop(row, None)
        seen = self.problems.pop(code, None)
        if seen is not None and seen.count > 1:
            row = min(other for other, its_code in self._counted.items() if its_code == code)
            self.problems[code] = replace(seen, row=row, count=seen.count - 1)

    def _row_finder(self, source: Source) -> Callable[[str], int | None]:
        """From a custom_id to the row it belongs to, or None."""
        if not source.prefix:
            if source.number not in self._finders:
                with source.path.open("rb") as file:
                    ids = map(wire.request_id, file)
                    self._finders[source.number] = dict(zip(ids, source.rows, strict=False)).get
            return self._finders[source.number]
        prefix, rows = source.prefix, source.rows
        cut = len(prefix)

        def row_of(custom_id: str) -> int | None:
            line = custom_id[cut:]
            # As we write it: without a further zero, and no longer than any line's number is.
            if custom_id[:cut] != prefix or not (line.isascii() and line.isdigit() and len(line) < 10):
                return None
            if line[0] == "0" and line != "0":
                return None
            return rows[int(line)] if int(line) < len(rows) else None

        return row_of

    def _rows_of(self, source: Source, custom_ids: list[str]) -> Sequence[int] | None:
        """The rows of ids, as a range where they follow each other; None where one is nobody's."""
        if not source.prefix:
            found = list(map(self._row_finder(source), custom_ids))
            return None if None in found else cast(list[int], found)
        numbers, rows = _numbers(source.prefix, custom_ids), source.rows
        if not numbers or min(numbers) < 0 or max(numbers) >= len(rows):
            return None
        if isinstance(numbers, range):
            return rows[numbers.start : numbers.stop]
        return [rows[number] for number in numbers]

    # --- reading ------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.status)

    def counts(self) -> dict[str, int]:
        """How many rows are in each status: counted once after each file, not for each snapshot."""
        version = self._version  # read first: what changes meanwhile is counted again
        if self._counts[0] != version:
            self._counts = version, {name: self.status.count(code) for code, name in enumerate(STATUSES)}
        return dict(self._counts[1])

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
        """The lines of many rows, read."""
        return (None if line is None else wire.reply(line) for line in self.found(rows))

    def found(self, rows: Sequence[int]) -> Iterator[bytes | None]:
        """The lines that answered many rows, as they lie on disk; None where none came. Each file is opened
        once.
        """
        with ExitStack() as opened:
            files: dict[int, IO[bytes]] = {}
            ends: dict[int, int] = {}  # where the last line read ends, which mostly is where the next begins
            for row in rows:
                index, offset = self._file[row], self._offset[row]
                if index == _NOWHERE:
                    yield None
                    continue
                if index not in files:
                    files[index] = opened.enter_context(self._paths[index].open("rb", buffering=_BLOCK))
                if ends.get(index) != offset:
                    files[index].seek(offset)
                line = files[index].readline()
                ends[index] = offset + len(line)
                yield line

    def states(self, rows: Sequence[int]) -> bytes:
        """The status of each of these rows, as a number."""
        if isinstance(rows, range) and rows.step > 0:
            return bytes(self.status[rows.start : rows.stop : rows.step])
        return bytes(map(self.status.__getitem__, rows))

    def answered(self, row: int) -> bool:
        """Whether a row has a whole answer, one that fits its schema."""
        return self.status[row] == OK

    def end(self, row: int) -> tuple[str, str]:
        """Code and reason of a row that ended without a line, or with a reply that does not fit."""
        if row in self._misfits:
            return MISFIT, self._misfits[row]
        if row in self._skipped:
            missing, _ = self._skipped[row]
            return "skipped", f"`{missing}` is missing in this row, so nothing was asked about it."
        row = self.first(row)
        source, unknown = self._source(row), ("unknown", "No reply came.")
        if row in self._lent_ends:
            return self._lent_ends[row]
        return self._ends.get(source.number, unknown) if source else unknown

    def asked(self) -> Iterator[int]:
        """The rows that are not skipped, in order."""
        return (row for row in range(len(self)) if row not in self._skipped)

    def request(self, row: int) -> wire.Request:
        """What was sent for a row."""
        return wire.request(self.line(row))

    def line(self, row: int) -> bytes:
        """The line that was sent for a row, as it lies on disk."""
        return next(self.lines([row]))

    def lines(self, rows: Iterable[int]) -> Iterator[bytes]:
        """The lines that were sent for many rows, each file opened once."""
        with ExitStack() as opened:
            files: dict[Path, IO[bytes]] = {}
            ends: dict[Path, int] = {}
            for row in rows:
                path, offset = self._lies(row)
                if path not in files:
                    files[path] = opened.enter_context(path.open("rb", buffering=_BLOCK))
                if ends.get(path) != offset:
                    files[path].seek(offset)
                line = files[path].readline()
                ends[path] = offset + len(line)
                yield line

    def _lies(self, row: int) -> tuple[Path, int]:
        """The file that a row was sent in, and where its line begins."""
        row = self.first(row)
        source = self._source(row)
        if source is None:
            lent, n = self._lent(row)
            return lent.lender._lies(lent.lender_rows[n])
        return source.path, self._lines(source)[source.line_of(row)]

    def sample(self, row: int) -> int:
        """Which of its prompt's samples a row is, from 1."""
        return row % self.samples + 1

    @property
    def given_ids(self) -> bool:
        """Whether the rows have ids of the user's own."""
        return any(not source.prefix for source in self._sources) or any(lent.ids for lent in self.lent)

    def custom_id(self, row: int) -> str:
        """The id under which a row was sent, or that the user gave it."""
        if row in self._skipped:
            return self._skipped[row][1]
        if self.repeated.ids and self.first(row) != row:
            return self.repeated.ids[bisect_left(self.repeated.rows, row)]
        row = self.first(row)
        source = self._source(row)
        if source is None:
            lent, n = self._lent(row)
            if lent.ids:
                return lent.ids[n]
            # Two jobs may have sent under one id.
            return f"{lent.lender.job_id}/{lent.lender.custom_id(lent.lender_rows[n])}"
        if not source.prefix:
            return self._given(source)[source.line_of(row)]
        return f"{source.prefix}{source.line_of(row)}"

    def row_of(self, custom_id: str) -> int | None:
        """The row that an id was given for, or None."""
        for source in self._sources:
            if (row := self._row_finder(source)(custom_id)) is not None:
                return row
        for row, (_, given) in self._skipped.items():
            if given and given == custom_id:
                return row
        if self.repeated.ids and custom_id in self.repeated.ids:
            return self.repeated.rows[self.repeated.ids.index(custom_id)]
        for lent in self.lent:
            if lent.retry:
                continue
            if lent.ids:
                if custom_id in lent.ids:
                    return lent.rows[lent.ids.index(custom_id)]
            elif custom_id.startswith(f"{lent.lender.job_id}/"):
                there = lent.lender.row_of(custom_id.removeprefix(f"{lent.lender.job_id}/"))
                if there is not None and there in lent.lender_rows:
                    return lent.rows[lent.lender_rows.index(there)]
        return None

    def _source(self, row: int) -> Source | None:
        place = self._asked_in[row]
        return self._sources[place - 1] if place else None

    def _lent(self, row: int) -> tuple[Lent, int]:
        """Who was asked about a row that is none of ours, and the place in that loan."""
        for lent in self.lent:
            n = bisect_left(lent.rows, row)
            if not lent.retry and n < len(lent.rows) and lent.rows[n] == row:
                return lent, n
        raise LookupError(f"nobody asks about row {row}")

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


def _better(state: int, than: int) -> bool:
    """Whether what came of asking again is worth more than what was there."""
    return state == OK != than or (state == CUT and than != OK) or than == PENDING


def _blocks(path: Path, offset: int, until: int | None) -> Iterator[tuple[list[bytes], list[int]]]:
    """A file's lines from an offset on, some tens of kilobytes at a time, with where each begins and the last
    ends; `until` is where a line ends. Bytes are split at b"\n" alone, as JSONL is.
    """
    with path.open("rb", buffering=2 * _BLOCK) as file:
        file.seek(offset)
        while (until is None or offset < until) and (lines := file.readlines(_BLOCK)):
            starts = list(accumulate(map(len, lines), initial=offset))
            if until is not None and starts[-1] > until:
                starts = starts[: bisect_left(starts, until) + 1]
                del lines[len(starts) - 1 :]
            offset = starts[-1]
            yield lines, starts


def _numbers(prefix: str, custom_ids: list[str]) -> Sequence[int] | None:
    """The numbers behind a prefix, as a range where they follow each other; None where one is not as we
    write it.
    """
    cut = len(prefix)
    try:
        first = int(custom_ids[0][cut:])
        run = range(first, first + len(custom_ids))
        if custom_ids[-1] == f"{prefix}{run[-1]}" and custom_ids == [f"{prefix}{n}" for n in run]:
            return run
        numbers = [int(custom_id[cut:]) for custom_id in custom_ids]
    except ValueError:
        return None
    return numbers if custom_ids == [f"{prefix}{n}" for n in numbers] else None
