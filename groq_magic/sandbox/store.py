"""What the sandbox keeps on disk: the one owner of every path.

::

    HOME/store.json          the store's own id
    HOME/files/ID.json       a File as Groq shows it
    HOME/files/ID.jsonl      its content
    HOME/batches/ID.json     a batch
    HOME/work/ID/            what a batch needs until its end: its input, the order of its answers
    HOME/aside/              what is being written; renamed when it is whole
    HOME/faults.json         the faults that are armed, if any
    HOME/clock.json          how far the clock was turned forward, if it was
    HOME/lock                held by who changes what another process may change too
    HOME/accounts/NAME/      the home of another account's store

Several processes may use one home: nothing is remembered between two calls but what never changes. A folder
that holds anything else becomes no home, and in a home nothing is removed but what the store has written.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import filelock
import msgspec

from .faults import Armed
from .ids import Ids
from .refusals import Refusal, invalid, not_found
from .timeline import Batch

_ID = re.compile(r"(file|batch)_[0-9a-z]{26}")
_ASIDE = re.compile(r"[0-9a-f]{16}")
_ABANDONED_S = 86_400
KEPT_S = 30 * 86_400  # https://console.groq.com/docs/batch: files are kept for up to 30 days
MOST_ARMED = 100
# Of another version, or by another hand: it counts as not there, and everything else stays in use.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)


class File(msgspec.Struct, frozen=True):
    """A file as Groq shows it: these six keys. https://console.groq.com/docs/api-reference#files"""

    id: str
    object: str
    bytes: int
    created_at: int
    filename: str
    purpose: str


class NoHome(Exception):
    """The folder cannot be the store's home; the message says why, in one line."""


class _StoreFacts(msgspec.Struct):
    store_id: str
    project_id: str


class _Clock(msgspec.Struct):
    ahead_s: float


class Store:
    """Files and batches on disk, under `home`, for the owner alone.

    `now` is the clock of the machine, in epoch seconds; the store's own may have been turned forward. Raises
    NoHome for a folder that holds something else, or that cannot be written.
    """

    def __init__(self, home: Path, now: Callable[[], float]) -> None:
        self._home, self._machine_now = home, now
        self._files, self._batches = home / "files", home / "batches"
        self._work, self._aside = home / "work", home / "aside"
        self.ids = Ids()
        try:
            read = self._settle_in()
        except OSError as exc:
            raise NoHome(f"{home} cannot hold a sandbox's store: {exc.strerror or exc}.") from exc
        self.id, self.project_id = read.store_id, read.project_id

    def _settle_in(self) -> _StoreFacts:
        facts, folders = self._home / "store.json", (self._files, self._batches, self._work, self._aside)
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if facts.exists():
            self._read(facts)
        else:
            ours = {"lock", facts.name, *(folder.name for folder in folders if self._is_new(folder))}
            others = sorted(path.name for path in self._home.iterdir() if path.name not in ours)
            if others and not facts.exists():  # another process may have made it a home meanwhile
                raise self._not_a_store(f"holds other things ({', '.join(others[:3])})")
        with self.lock():
            for folder in folders:
                folder.mkdir(mode=0o700, exist_ok=True)
            if not facts.exists():
                at = self._machine_now()
                self._write(facts, _StoreFacts(self.ids.new("sandbox_", at), self.ids.new("project_", at)))
            read = self._read(facts)
            self._sweep()
        return read

    def _read(self, facts: Path) -> _StoreFacts:
        try:
            return msgspec.json.decode(facts.read_bytes(), type=_StoreFacts)
        except _UNREADABLE:
            raise self._not_a_store(f"has a {facts.name} that is none of ours") from None

    def _is_new(self, folder: Path) -> bool:
        """Whether nothing is in there but what another process writes that makes this home."""
        if not folder.exists():
            return True
        return folder.is_dir() and all(
            folder == self._aside and _ASIDE.fullmatch(path.name) for path in folder.iterdir()
        )

    def _not_a_store(self, why: str) -> NoHome:
        return NoHome(f"{self._home} {why}: the sandbox keeps its store in a folder of its own.")

    def account(self, name: str) -> Path:
        """The home of another account's store."""
        return self._home / "accounts" / name

    # What several processes share

    def lock(self) -> AbstractContextManager[Any]:
        """Held, no other process and no other thread changes a batch, the faults or the clock."""
        return filelock.FileLock(self._home / "lock").acquire(poll_interval=0.01)

    def now(self) -> float:
        """The store's time in epoch seconds: the machine's, and how far it was turned forward."""
        return self._machine_now() + self.ahead_s()

    def ahead_s(self) -> float:
        """How far the clock was turned forward."""
        try:
            return msgspec.json.decode((self._home / "clock.json").read_bytes(), type=_Clock).ahead_s
        except (FileNotFoundError, *_UNREADABLE):
            return 0.0

    def turn_clock(self, forward_s: float) -> None:
        """Turn the clock forward, for every process that uses this store."""
        with self.lock():
            self._write(self._home / "clock.json", _Clock(self.ahead_s() + forward_s))

    def armed(self) -> list[Armed]:
        """The faults that wait for a request."""
        try:
            return msgspec.json.decode((self._home / "faults.json").read_bytes(), type=list[Armed])
        except (FileNotFoundError, *_UNREADABLE):
            return []

    def arm(self, fault: Armed) -> None:
        """Let a fault wait for its requests. Raises Refusal (400) where too many do."""
        with self.lock():
            waiting = self.armed()
            if len(waiting) == MOST_ARMED:
                raise invalid(f"At most {MOST_ARMED} faults can be armed at once.")
            self._write(self._home / "faults.json", [*waiting, fault])

    def disarm(self) -> None:
        """No fault waits any longer."""
        with self.lock():
            (self._home / "faults.json").unlink(missing_ok=True)

    def meet(self, method: str, path: str) -> Armed | None:
        """The first armed fault that waits for this request, counted down; None as a rule."""
        if not (self._home / "faults.json").exists():
            return None
        with self.lock():
            waiting = self.armed()
            met = next((fault for fault in waiting if fault.meets(method, path)), None)
            if met is not None:
                met.times -= 1
                left = [fault for fault in waiting if fault.times]
                if left:
                    self._write(self._home / "faults.json", left)
                else:
                    (self._home / "faults.json").unlink()
            return met

    # Files

    def add_file(self, source: BinaryIO, filename: str, purpose: str, at: float) -> File:
        """Keep a copy of an open file under a new id."""
        with self.aside() as out:
            shutil.copyfileobj(source, out, 1 << 20)
        return self.keep_file(Path(out.name), self.ids.new("file_", at), filename, purpose, at)

    def keep_file(self, written: Path, file_id: str, filename: str, purpose: str, at: float) -> File:
        """Make a file that was written aside a File of this id."""
        file = File(file_id, "file", written.stat().st_size, int(at), filename, purpose)
        written.replace(self._content(file_id))
        self._write(self._files / f"{file_id}.json", file)
        return file

    def file(self, file_id: str) -> File:
        """The File of this id. Raises Refusal (404) if there is none, or none any longer."""
        if _ID.fullmatch(file_id):
            with contextlib.suppress(FileNotFoundError, *_UNREADABLE):
                file = msgspec.json.decode((self._files / f"{file_id}.json").read_bytes(), type=File)
                if self._shown(file):
                    return file
        raise not_found("file", file_id)

    def _shown(self, file: File) -> bool:
        return file.created_at + KEPT_S > self.now()

    def files(self) -> list[File]:
        """All Files, the newest first."""
        found = []
        for path in sorted(self._files.glob("*.json"), reverse=True):
            with contextlib.suppress(Refusal):  # deleted since, or too old
                found.append(self.file(path.stem))
        return found

    def content_path(self, file_id: str) -> Path:
        """Where the content of this File is. Raises Refusal (404) if there is no such File."""
        return self._content(self.file(file_id).id)

    def delete_file(self, file_id: str) -> None:
        """Forget the File and its content. Raises Refusal (404) if there is none."""
        self.file(file_id)
        self._remove(file_id)

    def _remove(self, file_id: str) -> None:
        (self._files / f"{file_id}.json").unlink(missing_ok=True)
        self._content(file_id).unlink(missing_ok=True)

    # Batches

    def batch_ids(self) -> list[str]:
        """The ids of all batches, the newest first."""
        return sorted((path.stem for path in self._batches.glob("batch_*.json")), reverse=True)

    def batch(self, batch_id: str) -> Batch:
        """What is stored about the batch. Raises Refusal (404) if there is none."""
        if _ID.fullmatch(batch_id):
            with contextlib.suppress(FileNotFoundError, *_UNREADABLE):
                return msgspec.json.decode((self._batches / f"{batch_id}.json").read_bytes(), type=Batch)
        raise not_found("batch", batch_id)

    def save_batch(self, batch: Batch) -> None:
        """Store the batch in place of what was stored about it."""
        self._write(self._batches / f"{batch.id}.json", batch)

    def begin_work(self, batch_id: str, input_file_id: str) -> None:
        """Keep the input for this batch, so that deleting the file does no harm to what is under way."""
        content = self.content_path(input_file_id)
        (self._work / batch_id).mkdir(mode=0o700)
        try:
            try:
                os.link(content, self.input_path(batch_id))
            except FileNotFoundError:
                raise
            except OSError:  # not every file system has hard links
                shutil.copyfile(content, self.input_path(batch_id))
        except FileNotFoundError:  # deleted a moment ago
            raise not_found("file", input_file_id) from None

    def input_path(self, batch_id: str) -> Path:
        """Where the input of a batch under way is."""
        return self._work / batch_id / "input.jsonl"

    def order_path(self, batch_id: str) -> Path:
        """Where the order of a batch's answers is, while it is under way."""
        return self._work / batch_id / "order"

    def end_work(self, batch_id: str) -> None:
        """Drop what only a batch under way needs."""
        shutil.rmtree(self._work / batch_id, ignore_errors=True)

    # Writing

    @contextlib.contextmanager
    def aside(self) -> Iterator[BinaryIO]:
        """An open new file that nobody sees yet; it is gone if the writing fails."""
        path = self._aside / secrets.token_hex(8)
        try:
            with path.open("wb", buffering=1 << 18) as out:
                yield out
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _write(self, path: Path, value: object) -> None:
        with self.aside() as out:
            out.write(msgspec.json.encode(value))
        Path(out.name).replace(path)

    def _content(self, file_id: str) -> Path:
        return self._files / f"{file_id}.jsonl"

    def _sweep(self) -> None:
        """Remove what is too old to show and what a killed process left; another's of today stays."""
        for path in self._files.glob("file_*.json"):
            with contextlib.suppress(FileNotFoundError, *_UNREADABLE):
                file = msgspec.json.decode(path.read_bytes(), type=File)
                if _ID.fullmatch(path.stem) and not self._shown(file):
                    self._remove(path.stem)
        for path in (*self._aside.iterdir(), *self._work.iterdir()):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime >= time.time() - _ABANDONED_S:
                    continue
                if path.parent == self._aside and _ASIDE.fullmatch(path.name):
                    path.unlink()
                elif _ID.fullmatch(path.name) and not (self._batches / f"{path.name}.json").exists():
                    self.end_work(path.name)
