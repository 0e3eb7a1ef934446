"""A file of answers: written beside a notebook once they have ended, read there in place of asking again.

It has the columns of `to_dicts()`, a pandas source's named index levels in front of them, and one more, which
is the last, whatever it had to be called: for each row a `Record`, JSON on one line. The others are for
people. A row is known by what it asks (see `shards`), so a file may be sorted, filtered, or of other prompts.
"""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import stat
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from groq_magic import wire
from groq_magic.answers import cells, frames
from groq_magic.answers.reading import CUT, OK, PENDING, STATUSES
from groq_magic.errors import InputError

if TYPE_CHECKING:
    from groq_magic.answers.answers import Answers

_STALE_S = 3_600.0  # so old is what a process left aside that was killed while it wrote
_SANDBOX = "sandbox/"  # how the sandbox's answers begin the name of their model


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the last column holds. `line` is the line of the result file, null where none came.

    `request` is the fingerprint of what was asked, in hex; null where nothing was: a row that was skipped, or
    that shares the answer of an equal one. `why` is code and message of a row without an answer. `take` is
    that of the submission; `sandbox` says that no model was asked.
    """

    request: str | None
    status: str
    why: tuple[str, str] | None
    line: msgspec.Raw
    take: int = 1
    sandbox: bool = False

    @property
    def answered(self) -> bool:
        """Whether a line came of it: an answer, or the error that Groq has given for one."""
        return self.request is not None and bytes(self.line) != b"null"

    @property
    def key(self) -> tuple[str | None, int]:
        """What it is known by."""
        return self.request, self.take


Row = tuple[Mapping[str, object], Record | None]
"""A row of a file: the cells of the other columns by name, and what the last one says, if it can be read."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True)
class Asked:
    """What the rows of a job ask, 16 bytes for each, zeros where nothing is asked; the take, and whom."""

    requests: bytes | bytearray
    take: int
    sandbox: bool


# --- where ---------------------------------------------------------------------------------------------


def place(path: str | os.PathLike[str]) -> Path:
    """The file that is meant, absolute. Raises InputError where no answers can be kept in it."""
    named = os.fspath(path) if isinstance(path, str | os.PathLike) else path
    if not isinstance(named, str) or not named.strip() or "\0" in named:
        raise InputError(f"Answers are saved in a file, and {path!r} names none: save='answers.csv'")
    try:
        found = Path(named).expanduser().absolute()
        if found.suffix.lower() not in cells.FORMS and not found.is_dir():
            known = " or ".join((", ".join([*cells.FORMS][:-1]), [*cells.FORMS][-1]))
            raise InputError(f"Answers are saved as {known}, not as {named!r}: --save answers.csv")
        _check(found, named)
    except (OSError, RuntimeError, ValueError) as exc:  # a name that no file can have, no home
        if isinstance(exc, InputError):
            raise
        raise InputError(f"No file can be called {named!r}: {_why(exc)}.") from exc
    if found.suffix.lower() == ".parquet":
        cells.arrow()
    return found


def _check(found: Path, named: str) -> None:
    """Raises InputError, or OSError, where no file can be written."""
    target = _target(found)
    if target.is_dir():
        raise InputError(f"{named} is a folder: name a file in it, for example {named}/answers.csv")
    if not target.parent.is_dir():
        raise InputError(f"There is no folder {str(target.parent)!r} to save answers in: make it first.")
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(target.stat().st_mode):
            raise InputError(f"{named} is no ordinary file: save under another name.")


def _target(path: Path) -> Path:
    """The file that is written: where links lead to, also if there is none yet. A loop is an OSError."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def _there(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def shown(path: Path) -> str:
    """The file's name for people: from the working folder on, if it lies in there."""
    with contextlib.suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _why(exc: Exception) -> str:
    return exc.strerror if isinstance(exc, OSError) and exc.strerror else " ".join(str(exc).split())


# --- writing -------------------------------------------------------------------------------------------


def write(answers: Answers, path: Path, asked: Asked) -> Path | None:
    """Writes the answers, which have ended, in place of what was saved in that file.

    Written aside and renamed: an interrupt leaves the file as it was. Where it holds the same already it is
    left alone. Where it has what these have not, answers or what people wrote in it, it is kept beside the
    new one: that file comes back. Links are followed; who may read a file stays as it is. Raises InputError
    where it holds something else, or cannot be read or written.
    """
    path = place(path)
    target = _target(path)
    aside = target.with_name(f".{target.name[:100]}.{uuid.uuid4().hex[:8]}.new")
    try:
        _sweep(target)
        aside.touch(0o600 if target.exists() else 0o666, exist_ok=False)
        own = answers._frame is None and not answers._rows.given_ids  # such ids are made anew each time
        records = map(_encode, _records(answers, asked))
        cells.FORMS[path.suffix.lower()].write(aside, answers, records)
        _to_disk(aside)
        kept = None
        if _there(path):
            same, lost = _compared(path, aside, {"id"} if own else set(), frames.added(answers))
            if same:
                return None
            kept = _kept(path) if lost else None
        if target.exists():
            shutil.copymode(target, aside)
        aside.replace(target)
        return kept
    except (OSError, csv.Error) as exc:
        raise InputError(f"{shown(path)} cannot be written: {_why(exc)}.") from exc
    finally:
        aside.unlink(missing_ok=True)


def _records(answers: Answers, asked: Asked) -> Iterator[Record]:
    rows, nothing = answers._rows, bytes(16)
    for row, line in zip(answers._picked, rows.found(answers._picked), strict=True):
        state, request = rows.status[row], asked.requests[16 * row : 16 * row + 16]
        yield Record(
            request.hex() if request != nothing else None,
            STATUSES[state],
            None if state in (PENDING, OK, CUT) else rows.why(row),
            msgspec.Raw(b"null") if line is None else _whole(line),
            asked.take,
            asked.sandbox,
        )


def _whole(line: bytes) -> msgspec.Raw:
    """The line as it came, or mended where it is no JSON that everybody can read."""
    try:
        line.decode()
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        line = _encode(wire.decode(line))
    return msgspec.Raw(line.strip())


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sweep(path: Path) -> None:
    """Removes what was written aside by a process that was killed over it."""
    for stale in path.parent.glob(f".{escape(path.name[:100])}.*.new"):
        if time.time() - stale.stat().st_mtime > _STALE_S:
            stale.unlink(missing_ok=True)


def _compared(old: Path, new: Path, ignored: set[str], added: Sequence[str]) -> tuple[bool, bool]:
    """Whether two files hold the same, and whether the old one holds what the new one has not.

    Rows meet by what they ask, the n-th equal one the n-th. `added` are the columns that answers have.
    """
    same, lost = True, False
    waiting: tuple[_Waiting, _Waiting] = ({}, {})  # rows of either file that have met none of the other's
    for pair in zip_longest(_rows(old), _rows(new, old.suffix)):
        before, after = pair
        lost = lost or (before is not None and before[1] is None and any(before[0].values()))
        if same and before and after and _told(before[1]) == _told(after[1]):
            same = not _other(before[0], after[0], ignored) and not _other(after[0], before[0], ignored)
            if same:
                continue
        same = False
        for mine, row in enumerate(pair):
            if row is None or row[1] is None or lost:
                continue
            told = row[0], row[1]
            if (other := _met(waiting[1 - mine], told[1].key)) is None:
                waiting[mine].setdefault(told[1].key, deque()).append(told)
            else:
                was, now = (other, told) if mine else (told, other)
                lost = _loses(was, now, ignored, added)
    return same, lost or bool(waiting[0])


_Told = tuple[Mapping[str, object], Record]
_Waiting = dict[tuple[str | None, int], deque[_Told]]


def _met(waiting: _Waiting, key: tuple[str | None, int]) -> _Told | None:
    """The first row that waits under this key, and no longer does."""
    if key not in waiting:
        return None
    row = waiting[key].popleft()
    if not waiting[key]:
        del waiting[key]
    return row


def _other(one: Mapping[str, object], two: Mapping[str, object], ignored: set[str]) -> list[str]:
    """The names of the cells of one row that are not the same in another."""
    found = [name for name, cell in one.items() if name not in ignored and two.get(name, ...) != cell]
    return [name for name in found if name not in two or _said(two[name]) != _said(one[name])]


def _said(cell: object) -> object:
    """A cell's value, however another program may have written it down as JSON."""
    try:
        return msgspec.json.decode(cell) if isinstance(cell, bytes) else cell
    except (ValueError, RecursionError):
        return cell


def _loses(before: _Told, after: _Told, ignored: set[str], added: Sequence[str]) -> bool:
    """Whether a row has something that is not in what takes its place.

    Where another answer has come, the cells that told of the old one are expected to change, unless somebody
    had written in them.
    """
    (old, was), (new, now) = before, after
    if was.answered and not now.answered:
        return True
    other = _other(old, new, ignored)
    if not other or was.status == "ok" or _told(was) == _told(now):
        return bool(other)
    ours = dict(zip([*new][-len(added) :], added, strict=False))
    text = None
    with contextlib.suppress(ValueError, RecursionError):
        text = wire.reply(was.line).text if was.answered else None
    for name in other:
        if ours.get(name) not in _TELLING and not (name in ours and _said(old[name]) in (None, "", text)):
            return True
    return False


_TELLING = frozenset(frames.ADDED) - {"answer"}


def _told(record: Record | None) -> object:
    """What a row says, but for the id under which its prompt was sent."""
    if record is None:
        return None
    line = _fields(record.line) if bytes(record.line) != b"null" else {}
    said = {name: bytes(value) for name, value in line.items() if name != "custom_id"}
    return record.key, record.status, record.why, record.sandbox, said


def _kept(path: Path) -> Path:
    """A copy of a file beside it, under the first name that is free or has the same in it already."""
    content, number = path.read_bytes(), 1
    while True:
        name = f"{path.stem}.before{f'-{number}' if number > 1 else ''}{path.suffix}"
        kept = path.with_name(name)
        if not kept.exists():
            kept.touch(0o600)
            kept.write_bytes(content)
            shutil.copymode(path, kept)
            _to_disk(kept)
            return kept
        if kept.is_file() and kept.read_bytes() == content:
            return kept
        number += 1


# --- reading -------------------------------------------------------------------------------------------


@dataclass
class Saved:
    """What a file holds of one take: for each request the numbers of its rows, in order.

    `status` is by number; `ends` tells of rows without a line code and reason of their end. `written_at` is
    in epoch seconds. Lines are read when they are asked for. `taken` is how many of its rows were of use.
    """

    path: Path
    written_at: float
    numbers: dict[bytes, list[int]] = field(default_factory=dict)
    status: bytearray = field(default_factory=bytearray)
    ends: dict[int, tuple[str, str]] = field(default_factory=dict)
    taken: int = 0

    def lines(self) -> Iterator[tuple[int, bytes, bytes]]:
        """Number, request and line of every row that has one."""
        for number, (_, record) in enumerate(_rows(self.path, whole=False)):
            if record is not None and record.answered:
                yield number, bytes.fromhex(record.request or ""), bytes(record.line)

    def add(self, number: int, record: Record) -> None:
        """Takes in what a row holds."""
        self.numbers.setdefault(bytes.fromhex(record.request or ""), []).append(number)
        self.status[number] = STATUSES.index(record.status)
        if not record.answered:
            self.ends[number] = record.why or ("unknown", "No reply came.")


def read(path: Path, take: int, *, sandbox: bool) -> Saved | None:
    """What the file has of this take; None where there is none yet. Rows that cannot be read are left out.

    Raises InputError for a file that is none of ours, and for one of the `sandbox` at Groq, or of Groq there.
    """
    try:
        if not _there(path):
            return None
        found = Saved(path, path.stat().st_mtime)
        for number, (_, record) in enumerate(_rows(path, whole=False)):
            found.status.append(PENDING)
            if record is None or record.request is None:
                continue
            if _of_sandbox(record) != sandbox:
                raise InputError(_ELSEWHERE[sandbox].format(shown(path)))
            if record.take == take:
                found.add(number, record)
    except OSError as exc:
        raise InputError(f"{shown(path)} cannot be read: {_why(exc)}.") from exc
    return found


_ELSEWHERE = {
    False: "{} holds answers of the sandbox, which are no model's: move it away, save under another name, or "
    "type %groq sandbox.",
    True: "{} holds a model's answers, and prompts go to the sandbox now: save under another name, or type "
    "%groq sandbox off.",
}


def _of_sandbox(record: Record) -> bool:
    if not record.sandbox and _SANDBOX.encode() in bytes(record.line):
        return (wire.reply(record.line).model or "").startswith(_SANDBOX)
    return record.sandbox


def _rows(path: Path, suffix: str = "", *, whole: bool = True) -> Iterator[Row]:
    """The rows of a file; cells may be left out where they are not wanted `whole`.

    Raises InputError where it is none of ours, which it is not, either, if none of its rows is.
    """
    readable = set()
    try:
        for others, said in cells.FORMS[(suffix or path.suffix).lower()].read(path, whole):
            record = _read(said)
            readable.add(record is not None)
            yield others, record
        if readable == {False}:
            raise cells.NotOurs
    except OSError as exc:
        raise InputError(f"{shown(path)} cannot be read: {_why(exc)}.") from exc
    except cells.NotUtf8 as exc:
        csv_utf8 = "CSV UTF-8" if path.suffix.lower() == ".csv" else "UTF-8"
        raise InputError(f"{shown(path)} is not UTF-8 any more: save it as {csv_utf8}.") from exc
    except cells.NotOurs as exc:
        raise InputError(
            f"{shown(path)} holds something else than saved answers, and is not overwritten: save under "
            "another name, or delete it."
        ) from exc


def _read(said: bytes) -> Record | None:
    """What the last column says, or None where it is none of ours, or broken."""
    try:
        record = _decode(said)
        if record.request is not None and len(bytes.fromhex(record.request)) != 16:
            return None
        if bytes(record.line) != b"null":
            _fields(record.line)
        elif record.status in ("pending", "ok", "cut"):
            return None
        STATUSES.index(record.status)
    except (ValueError, RecursionError):
        return None
    return record
