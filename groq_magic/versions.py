"""The ledger's tables, and the way to them from each version that has written one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from groq_magic.shards import content_of

NEWEST = 3

_SCHEMA = """
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY, created_at REAL NOT NULL, service TEXT NOT NULL, base_url TEXT NOT NULL,
    key_fingerprint TEXT NOT NULL, notebook TEXT NOT NULL, name TEXT NOT NULL, model TEXT NOT NULL,
    endpoint TEXT NOT NULL, window TEXT NOT NULL, prompts INTEGER NOT NULL, content TEXT NOT NULL,
    samples INTEGER NOT NULL, take INTEGER NOT NULL, attempt INTEGER NOT NULL,
    origin TEXT NOT NULL DEFAULT 'submit', cancel_requested_at REAL, stopped TEXT,
    UNIQUE (service, content, samples, take, attempt)
);
CREATE TABLE shards (
    job_id TEXT NOT NULL REFERENCES jobs, number INTEGER NOT NULL, state TEXT NOT NULL,
    first_row INTEGER NOT NULL, lines INTEGER NOT NULL, size INTEGER NOT NULL,
    prefix TEXT NOT NULL, form TEXT NOT NULL, content TEXT NOT NULL,
    file_id TEXT, batch_id TEXT, status TEXT, completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0, created_at REAL, expires_at REAL, ended_at REAL,
    output_file_id TEXT, error_file_id TEXT, reason TEXT, unanswered INTEGER NOT NULL DEFAULT 0,
    prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0,
    key_fingerprint TEXT, fingerprints BLOB NOT NULL, row_map BLOB,
    PRIMARY KEY (job_id, number)
);
CREATE INDEX shards_by_batch ON shards (batch_id);
CREATE TABLE seen (job_id TEXT NOT NULL, number INTEGER NOT NULL, word TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE names (notebook TEXT NOT NULL, name TEXT NOT NULL, job_id TEXT NOT NULL, at REAL NOT NULL);
"""

# What version 2 has beyond version 1.
_LOANS = """
CREATE TABLE loans (
    job_id TEXT NOT NULL REFERENCES jobs, lender TEXT NOT NULL REFERENCES jobs, kind TEXT NOT NULL,
    at REAL NOT NULL, rows BLOB NOT NULL, lender_rows BLOB NOT NULL, ids TEXT,
    UNIQUE (job_id, lender, kind, rows)
);
CREATE INDEX shards_by_form ON shards (form);
CREATE INDEX loans_by_lender ON loans (lender);
"""


def written_by(db: sqlite3.Connection) -> int:
    """Which version wrote a ledger; 0 for a new one."""
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version


def carry_over(db: sqlite3.Connection, version: int, shard_path: Callable[[str, int], Path]) -> None:
    """Brings a ledger of this or an older version to the newest; `shard_path` gives a shard's requests.

    Within the caller's transaction: all of it, or nothing.
    """
    if version == 0:
        for statement in (_SCHEMA + _LOANS).split(";\n"):
            db.execute(statement)
    if version == 1:
        _from_1(db, shard_path)
    if version in (1, 2):
        _from_2(db, version)
    db.execute(f"PRAGMA user_version={NEWEST}")


def _from_1(db: sqlite3.Connection, shard_path: Callable[[str, int], Path]) -> None:
    """Version 2: ids begin with the shard's prefix, a shard is known by its content, jobs lend rows."""
    for column in ("prefix", "form", "content"):
        db.execute(f"ALTER TABLE shards ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE shards ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE shards ADD COLUMN row_map BLOB")
    for statement in _LOANS.split(";\n"):
        db.execute(statement)
    found = db.execute("SELECT job_id, number, given_ids, fingerprints FROM shards").fetchall()
    for job_id, number, given, fingerprints in found:
        prefix = "" if given else f"{job_id}-{number}-"
        try:
            content = content_of(fingerprints, shard_path(job_id, number), prefix)
        except OSError:  # its requests are gone: nobody will look for this file
            content = ""
        values = (prefix, content, job_id, number)
        db.execute("UPDATE shards SET prefix=?, content=? WHERE job_id=? AND number=?", values)
    db.execute("ALTER TABLE shards DROP COLUMN given_ids")


def _from_2(db: sqlite3.Connection, version: int) -> None:
    """Version 3: samples are in the fingerprints, a job knows its origin, a shard its tokens and key."""
    db.execute("ALTER TABLE jobs RENAME COLUMN sample TO samples")
    db.execute("ALTER TABLE jobs ADD COLUMN origin TEXT NOT NULL DEFAULT 'submit'")
    retried = "SELECT lender FROM loans WHERE kind='retry'"
    db.execute(f"UPDATE jobs SET origin='retry' WHERE job_id IN ({retried})")
    for column in ("prompt_tokens", "completion_tokens"):
        db.execute(f"ALTER TABLE shards ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE shards ADD COLUMN key_fingerprint TEXT")
    if version == 2:
        db.execute("CREATE INDEX loans_by_lender ON loans (lender)")
