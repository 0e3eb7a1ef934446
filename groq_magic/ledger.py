"""Every batch we know, on disk: the only truth about what was sent. Owns every path.

A step is written here before it is taken and its outcome after it. SQLite with a rollback journal and
synchronous FULL, because a home may be on NFS; under `GROQ_MAGIC_HOME` or the platform's user data folder,
for the owner alone.

::

    HOME/ledger.sqlite                        (.unreadable-WHEN beside it: one that was damaged)
    HOME/jobs/JOB/shard-0000.jsonl            what was sent
    HOME/jobs/JOB/skipped.jsonl               which rows were not, if any
    HOME/jobs/JOB/shard-0000.output.jsonl     what came back (.error.jsonl beside it); of prompts that are
                                              asked one by one, what came so far: it grows
    HOME/jobs/JOB/lock                        held by the process that drives the job
    HOME/submitting.lock                      held while a submission is put down
    HOME/sandbox/…                            the stores of in-process sandboxes
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
import uuid
from array import array
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import filelock

from groq_magic import costs, versions
from groq_magic.errors import LedgerError
from groq_magic.job import NEVER_SENT, Job, Loan, Shard
from groq_magic.shards import SEVERAL, Cut, SkippedRow, skipped

_CUT_BY_S = 86_400.0
_SUBMITTED_BY_S = 120.0
_ASIDE = (
    "The ledger in {home} could not be read; it lies in {aside} now, and a new one begins. Nothing was sent. "
    "Run the cell again: what was sent before is found at Groq by its files."
)

_open: Ledger | None = None
_opening = threading.Lock()

_JOB = tuple(f.name for f in fields(Job))
_SHARD = tuple(f.name for f in fields(Shard))


@dataclass(frozen=True)
class Named:
    """A job under the name that a notebook last gave it."""

    name: str
    job: Job
    at: float


def default_home() -> Path:
    """`GROQ_MAGIC_HOME`, or the platform's folder for a user's data."""
    if found := os.environ.get("GROQ_MAGIC_HOME"):
        return Path(found).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("groq_magic", appauthor=False))


def notebook() -> str:
    """What we call the notebook we are in: Jupyter's name for its session, else the working folder."""
    return os.environ.get("JPY_SESSION_NAME") or str(Path.cwd())


def current() -> Ledger:
    """The ledger of this process, opened on first use; another home opens another. Raises LedgerError."""
    global _open
    with _opening:
        home = default_home()
        if _open is None or _open.home != home or not _open.prepared:
            _open = Ledger(home)
        return _open


def let_go() -> None:
    """Closes the ledger of this process; the next use opens it again."""
    global _open
    if _open is not None:
        _open.close()
        _open = None


def _in_child() -> None:
    """A forked child must not write through its parent's connection; it opens one of its own."""
    global _open, _opening
    _open, _opening = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def new_job_id() -> str:
    """Twelve hex digits that no other job has."""
    return uuid.uuid4().hex[:12]


class Ledger:
    """The ledger in one home. Safe to use from any thread; not across a fork."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or default_home()
        self._mutex = threading.RLock()
        self.prepared = False
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.home / "jobs").mkdir(mode=0o700, exist_ok=True)
            self._db = sqlite3.connect(
                self.home / "ledger.sqlite", timeout=10, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
            self._sweep()
            self.prepared = True
        except (OSError, sqlite3.Error, LedgerError) as exc:
            if aside := self._set_aside(exc):
                raise LedgerError(_ASIDE.format(home=self.home, aside=aside)) from exc
            if isinstance(exc, LedgerError):
                raise
            raise LedgerError(
                f"The ledger in {self.home} cannot be opened: {exc}. Nothing was sent. "
                "Another folder: set GROQ_MAGIC_HOME."
            ) from exc

    def _sweep(self) -> None:
        """Removes what was being cut when a process was killed, once nobody can be at it any more."""
        for folder in (self.home / "jobs").glob(".cutting-*"):
            with suppress(OSError):  # somebody else was faster
                if time.time() - folder.stat().st_mtime > _CUT_BY_S:
                    shutil.rmtree(folder, ignore_errors=True)

    def _set_aside(self, exc: BaseException) -> str | None:
        """Moves a file that is no ledger, or a damaged one, out of the way; its new name, if it was one."""
        cause = exc.__cause__ if isinstance(exc, LedgerError) else exc
        if getattr(cause, "sqlite_errorname", "") not in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
            return None
        aside = f"ledger.sqlite.unreadable-{time.strftime('%Y%m%d-%H%M%S')}"
        (self.home / "ledger.sqlite").rename(self.home / aside)
        return aside

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=DELETE")
        self._db.execute("PRAGMA synchronous=FULL")
        with self._transaction() as db:
            version = versions.written_by(db)
            if version > versions.NEWEST:
                raise LedgerError(
                    f"The ledger in {self.home} was written by a newer groq_magic: upgrade this one, "
                    "or set GROQ_MAGIC_HOME to another folder."
                )
            versions.carry_over(db, version, self.shard_path)
        (self.home / "ledger.sqlite").chmod(0o600)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            try:
                self._undo()  # what an interrupt at the worst moment may have left open
                try:
                    self._db.execute("BEGIN IMMEDIATE")
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    self._undo()
                    raise
            except sqlite3.Error as exc:
                raise self._broken(exc, "written") from exc

    def _broken(self, exc: sqlite3.Error, verb: str) -> LedgerError:
        """What is to be raised after an error of SQLite's; a damaged file is out of the way then."""
        if not self.prepared or not (aside := self._set_aside(exc)):
            return LedgerError(f"The ledger in {self.home} cannot be {verb}: {exc}.")
        self.prepared = False  # `current` opens another one
        return LedgerError(_ASIDE.format(home=self.home, aside=aside))

    def _undo(self) -> None:
        """Ends an open transaction; after some errors SQLite has done so by itself."""
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._mutex:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as exc:
                raise self._broken(exc, "read") from exc

    def close(self) -> None:
        """Lets go of the file."""
        with self._mutex:
            self._db.close()

    # --- paths --------------------------------------------------------------------------------------

    def folder(self, job_id: str) -> Path:
        """Where a job's files lie."""
        return self.home / "jobs" / job_id

    def shard_path(self, job_id: str, number: int) -> Path:
        """The requests of a shard, as they were sent."""
        return self.folder(job_id) / f"shard-{number:04}.jsonl"

    def result_path(self, job_id: str, number: int, kind: str) -> Path:
        """Where the `output` or `error` file of a shard lies once it is here whole; or grows, see `now`."""
        return self.folder(job_id) / f"shard-{number:04}.{kind}.jsonl"

    def results(self, job_id: str, number: int) -> list[Path]:
        """The result files of a shard that are here."""
        paths = [self.result_path(job_id, number, kind) for kind in ("output", "error")]
        return [path for path in paths if path.exists()]

    def came(self, job_id: str) -> bool:
        """Whether anything came back for a job."""
        found = (path for shard in self.shards(job_id) for path in self.results(job_id, shard.number))
        return any(path.stat().st_size for path in found)

    def skipped(self, job_id: str) -> list[SkippedRow]:
        """The rows of a job that were never to be sent."""
        return skipped(self.folder(job_id))

    def lock_path(self, job_id: str) -> Path:
        """The file that the process which drives the job holds locked."""
        return self.folder(job_id) / "lock"

    @property
    def sandbox_home(self) -> Path:
        """Where the stores of in-process sandboxes lie."""
        return self.home / "sandbox"

    @contextmanager
    def cutting(self, job_id: str) -> Iterator[Path]:
        """A folder to cut shards in; it is gone afterwards unless `add` has taken it over."""
        folder = self.home / "jobs" / f".cutting-{job_id}"
        try:
            folder.mkdir(mode=0o700)
            yield folder
        except OSError as exc:
            raise LedgerError(f"The prompts cannot be written to {folder}: {exc}. Nothing was sent.") from exc
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """One submission at a time looks for what was asked before and is put down, in all processes."""
        lock = filelock.FileLock(self.home / "submitting.lock", timeout=_SUBMITTED_BY_S)
        try:
            lock.acquire()
        except filelock.Timeout as exc:
            raise LedgerError(
                f"Another submission has been under way for {_SUBMITTED_BY_S:g} s. Nothing was sent: run the "
                "cell again."
            ) from exc
        except OSError as exc:
            said = f"The ledger in {self.home} cannot be locked: {exc}. Nothing was sent."
            raise LedgerError(said) from exc
        try:
            yield
        finally:
            lock.release()

    # --- jobs ---------------------------------------------------------------------------------------

    def same(self, job: Job) -> Job | None:
        """The job of the same requests to the same service, if there was one."""
        found = self._jobs(
            "service=? AND content=? AND samples=? AND take=? AND attempt=?",
            (job.service, job.content, job.samples, job.take, job.attempt),
        )
        return found[0] if found else None

    def add(
        self,
        job: Job,
        cuts: Sequence[Cut],
        folder: Path,
        loans: Sequence[Loan] = (),
        sent: Sequence[Mapping[str, object]] = (),
    ) -> Job:
        """Puts a job down with its shards and takes its folder over; `sent` are facts of shards, of each in
        order, that need not be sent any more.

        If the same requests were submitted before to the same service, nothing is added and the earlier
        job comes back: two kernels that submit at one moment get one job.
        """
        with self._transaction() as db:
            if same := self.same(job):
                return same
            _insert(db, "jobs", {key: getattr(job, key) for key in _JOB})
            for cut in cuts:
                _put(db, job.job_id, cut, job.unsent)
            for cut, facts in zip(cuts, sent, strict=False):
                _update(db, "shards", dict(facts), "job_id=? AND number=?", (job.job_id, cut.number))
            for loan in loans:
                _lend(db, job.job_id, loan)
            folder.rename(self.folder(job.job_id))
        return job

    def _jobs(self, where: str, values: Sequence[object]) -> list[Job]:
        found = self._rows(f"SELECT {', '.join(_JOB)} FROM jobs WHERE {where} ORDER BY created_at", values)
        return [Job(*row) for row in found]

    def job(self, job_id: str) -> Job:
        """The job of this id. Raises LedgerError where there is none."""
        found = self._jobs("job_id=?", (job_id,))
        if not found:
            raise LedgerError(f"The ledger knows no job {job_id!r}: %groq batches lists what it knows.")
        return found[0]

    def jobs(self) -> list[Job]:
        """Every job, oldest first."""
        return self._jobs("1", ())

    def update_job(self, job_id: str, **facts: object) -> None:
        """Writes facts about a job down."""
        with self._transaction() as db:
            _update(db, "jobs", facts, "job_id=?", (job_id,))

    def job_of_batch(self, batch_id: str) -> Job | None:
        """The job that a batch belongs to, if we sent it."""
        found = self._rows("SELECT job_id FROM shards WHERE batch_id=?", (batch_id,))
        return self.job(found[0][0]) if found else None

    # --- shards -------------------------------------------------------------------------------------

    def shards(self, job_id: str) -> list[Shard]:
        """The shards of a job, in order."""
        found = self._rows(
            f"SELECT {', '.join(_SHARD)} FROM shards WHERE job_id=? ORDER BY number", (job_id,)
        )
        return [Shard(*row) for row in found]

    def shard(self, job_id: str, number: int) -> Shard:
        """One shard of a job."""
        (found,) = self._rows(
            f"SELECT {', '.join(_SHARD)} FROM shards WHERE job_id=? AND number=?", (job_id, number)
        )
        return Shard(*found)

    def rows(self, job_id: str) -> list[Sequence[int]]:
        """For each shard of a job, in order, the rows that it asks about."""
        found = self._rows(
            "SELECT first_row, lines, row_map FROM shards WHERE job_id=? ORDER BY number", (job_id,)
        )
        return [_row_numbers(*held) for held in found]

    def prints(self, job_id: str) -> Iterator[tuple[Sequence[int], bytes]]:
        """For each shard of a job, in order, its rows and their fingerprints, 16 bytes each."""
        found = self._rows(
            "SELECT first_row, lines, row_map, fingerprints FROM shards WHERE job_id=? ORDER BY number",
            (job_id,),
        )
        return ((_row_numbers(first, lines, held), prints) for first, lines, held, prints in found)

    def known(self, job: Job, forms: Set[str]) -> Iterator[tuple[str, str, Sequence[int], bytes]]:
        """Requests of these forms that were put down for the job's service and take, oldest first.

        For each shard: its job and state, its rows and their fingerprints.
        """
        wanted = sorted({*forms, SEVERAL})
        which = "form!=''" if SEVERAL in forms else f"form IN ({', '.join('?' * len(wanted))})"
        found = self._rows(
            f"SELECT job_id, number, shards.state FROM shards JOIN jobs USING (job_id) WHERE {which} AND "
            "service=? AND take=? AND jobs.job_id!=? ORDER BY jobs.created_at, job_id, number",
            (*(() if SEVERAL in forms else wanted), job.service, job.take, job.job_id),
        )
        for job_id, number, state in found:
            first, lines, held, prints = self._rows(
                "SELECT first_row, lines, row_map, fingerprints FROM shards WHERE job_id=? AND number=?",
                (job_id, number),
            )[0]
            yield job_id, state, _row_numbers(first, lines, held), prints

    def learned(self, service: str, model: str, form: str) -> costs.Seen | None:
        """What a service's answers of this model took, if there are many: those of this form, or all."""
        found = self._rows(
            "SELECT form=? AND form NOT IN ('', ?), COUNT(*), SUM(completed), SUM(1.0*size*completed/lines), "
            "SUM(prompt_tokens), SUM(completion_tokens), "
            "SUM(1.0*completion_tokens*completion_tokens/completed) "
            "FROM shards JOIN jobs USING (job_id) WHERE service=? AND model=? AND completed>0 AND lines>0 "
            "AND completion_tokens>0 GROUP BY 1",
            (form, SEVERAL, service, model),
        )
        return costs.learned([(bool(same), *more) for same, *more in found])

    def never_sent(self, job_id: str) -> list[Cut]:
        """The shards of a job of which nothing has reached the service, as they were cut."""
        found = self._rows(
            "SELECT number, first_row, lines, size, fingerprints, prefix, form, content, row_map, state "
            "FROM shards WHERE job_id=? ORDER BY number",
            (job_id,),
        )
        return [
            Cut(
                number,
                self.shard_path(job_id, number),
                first,
                lines,
                size,
                prints,
                prefix,
                form,
                content,
                _ints(held) if held else None,
            )
            for number, first, lines, size, prints, prefix, form, content, held, state in found
            if state in NEVER_SENT
        ]

    def withdraw(self, job_id: str, old: Sequence[Cut], new: Sequence[Cut], loans: Sequence[Loan]) -> None:
        """Puts new shards and what others have in the place of shards that were never sent.

        Raises LedgerError, and changes nothing, where one of them has been sent meanwhile.
        """
        with self._transaction() as db:
            unsent = self.job(job_id).unsent
            states = {shard.number: shard.state for shard in self.shards(job_id)}
            if any(states[cut.number] not in NEVER_SENT for cut in old):
                raise LedgerError("Another process is sending these prompts now: run the cell again.")
            for cut in old:
                facts: dict[str, object] = {
                    "state": "withdrawn",
                    "lines": 0,
                    "fingerprints": b"",
                    "row_map": None,
                }
                _update(db, "shards", facts, "job_id=? AND number=?", (job_id, cut.number))
            for cut in new:
                cut.path.rename(self.shard_path(job_id, cut.number))
                _put(db, job_id, cut, unsent)
            for loan in loans:
                _lend(db, job_id, loan)

    def turn(self, job_id: str, window: str, numbers: Sequence[int]) -> None:
        """Has a job go another way: these shards begin with it, of which nothing was sent or came."""
        for path in (path for number in numbers for path in self.results(job_id, number)):
            path.unlink()  # begun and empty: it would count as what the batch gave
        with self._transaction() as db:
            _update(db, "jobs", {"window": window, "stopped": None}, "job_id=?", (job_id,))
            state = self.job(job_id).unsent
            for number in numbers:
                facts: dict[str, object] = {"state": state, "file_id": None, "reason": None, "status": None}
                _update(db, "shards", facts, "job_id=? AND number=?", (job_id, number))

    def asking(self) -> list[str]:
        """The jobs of which prompts are being asked one by one, or were left to be."""
        return [job_id for (job_id,) in self._rows("SELECT DISTINCT job_id FROM shards WHERE state='direct'")]

    # --- loans --------------------------------------------------------------------------------------

    def loans(self, job_id: str) -> list[Loan]:
        """What a job has from others, in the order in which it was taken."""
        return self._loans("job_id=? AND kind!='repeat'", job_id)

    def repeats(self, job_id: str) -> Loan | None:
        """The rows of a job that share the answer of another of its rows."""
        return next(iter(self._loans("job_id=? AND kind='repeat'", job_id)), None)

    def _loans(self, where: str, job_id: str) -> list[Loan]:
        found = self._rows(
            f"SELECT lender, kind, at, rows, lender_rows, ids FROM loans WHERE {where} ORDER BY rowid",
            (job_id,),
        )
        return [
            Loan(lender, kind, at, _ints(here), _ints(there), tuple(json.loads(ids)) if ids else None)
            for lender, kind, at, here, there, ids in found
        ]

    def lend(self, job_id: str, loan: Loan) -> None:
        """Writes down that a job has rows of another's; a second time changes nothing."""
        with self._transaction() as db:
            _lend(db, job_id, loan)

    def update_shard(self, shard: Shard, **facts: object) -> None:
        """Writes facts about a shard down, and when a state or a status of Groq's was first seen."""
        with self._transaction() as db:
            for key in ("state", "status"):
                if key in facts and facts[key] != getattr(shard, key):
                    _insert(
                        db,
                        "seen",
                        {
                            "job_id": shard.job_id,
                            "number": shard.number,
                            "word": facts[key],
                            "at": time.time(),
                        },
                    )
            _update(db, "shards", facts, "job_id=? AND number=?", (shard.job_id, shard.number))

    def borrowers(self, job_id: str) -> list[Job]:
        """The jobs that have rows of this one."""
        found = self._rows("SELECT DISTINCT job_id FROM loans WHERE lender=? AND job_id!=lender", (job_id,))
        return [self.job(borrower) for (borrower,) in found]

    def size(self, job_id: str) -> int:
        """How many bytes a job's files have on disk."""
        return sum(path.stat().st_size for path in self.folder(job_id).rglob("*") if path.is_file())

    def whole_size(self) -> int:
        """How many bytes everything in the ledger's folder has on disk, sandboxes' stores included."""
        size = 0
        for path in self.home.rglob("*"):
            with suppress(OSError):  # it is gone meanwhile
                size += path.lstat().st_size if path.is_file() else 0
        return size

    def forget(self, job_id: str) -> None:
        """Removes a job and its files, and what others have of it. The service keeps what it has."""
        with self._transaction() as db:
            db.execute("DELETE FROM loans WHERE lender=?", (job_id,))
            for table in ("loans", "names", "seen", "shards", "jobs"):
                db.execute(f"DELETE FROM {table} WHERE job_id=?", (job_id,))
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    # --- names --------------------------------------------------------------------------------------

    def name(self, notebook: str, name: str, job_id: str) -> None:
        """Remembers that this notebook holds this job under this name."""
        with self._transaction() as db:
            _insert(db, "names", {"notebook": notebook, "name": name, "job_id": job_id, "at": time.time()})

    def notebooks(self, job_id: str) -> list[str]:
        """The notebooks that hold a job under a name now."""
        found = self._rows(
            "SELECT DISTINCT notebook FROM (SELECT notebook, job_id, MAX(at) FROM names "
            "GROUP BY notebook, name) WHERE job_id=?",
            (job_id,),
        )
        return [notebook for (notebook,) in found]

    def named(self, notebook: str) -> list[Named]:
        """What a notebook last had under each of its names, latest last."""
        found = self._rows(
            "SELECT name, job_id, MAX(at) FROM names WHERE notebook=? GROUP BY name ORDER BY MAX(at), rowid",
            (notebook,),
        )
        return [Named(name, self.job(job_id), at) for name, job_id, at in found]


def _put(db: sqlite3.Connection, job_id: str, cut: Cut, state: str) -> None:
    facts = {
        "job_id": job_id,
        "number": cut.number,
        "state": state,
        "first_row": cut.first_row,
        "lines": cut.lines,
        "size": cut.size,
        "prefix": cut.prefix,
        "form": cut.form,
        "content": cut.content,
        "fingerprints": cut.fingerprints,
        "row_map": None if cut.row_map is None else cut.row_map.tobytes(),
    }
    _insert(db, "shards", facts)


def _ints(held: bytes) -> array[int]:
    found = array("I")
    found.frombytes(held)
    return found


def _row_numbers(first: int, lines: int, held: bytes | None) -> Sequence[int]:
    return _ints(held) if held else range(first, first + lines)


def _lend(db: sqlite3.Connection, job_id: str, loan: Loan) -> None:
    values = (
        job_id,
        loan.lender,
        loan.kind,
        loan.at,
        loan.rows.tobytes(),
        loan.lender_rows.tobytes(),
        json.dumps(loan.ids) if loan.ids else None,
    )
    db.execute(f"INSERT OR IGNORE INTO loans VALUES ({', '.join('?' * len(values))})", values)


def _insert(db: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def _update(
    db: sqlite3.Connection, table: str, facts: dict[str, object], where: str, values: tuple[object, ...]
) -> None:
    if facts:
        marks = ", ".join(f"{key}=?" for key in facts)
        db.execute(f"UPDATE {table} SET {marks} WHERE {where}", (*facts.values(), *values))
