import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groq_magic import shards
from groq_magic.errors import InputError, LedgerError
from groq_magic.job import Job, Loan
from groq_magic.ledger import Ledger, default_home, new_job_id
from groq_magic.prompts import Prompts
from groq_magic.shards import Form
from groq_magic.versions import NEWEST


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the ledger of this test is to lie."""
    return tmp_path / "home"


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with closing(Ledger(home)) as opened:
        yield opened


def draft(content: str, **facts: object) -> Job:
    """A job over four prompts."""
    job = Job(
        job_id=new_job_id(),
        created_at=1_780_000_000.0,
        service="https://api.groq.com",
        base_url="https://api.groq.com",
        key_fingerprint="00000000",
        notebook="book.ipynb",
        name="answers",
        model="openai/gpt-oss-20b",
        endpoint="/v1/chat/completions",
        window="24h",
        prompts=4,
        content=content,
    )
    return replace(job, **facts)  # type: ignore[arg-type]


def submitted(ledger: Ledger, prompts: tuple[str, ...] = ("a", "b", "c", "d"), **facts: object) -> Job:
    """A job of two shards, put down as a submission does it."""
    job_id = new_job_id()
    with ledger.cutting(job_id) as folder:
        asked = Prompts(prompts, len(prompts))
        cuts = shards.cut(asked, Form("openai/gpt-oss-20b"), folder, 2)
        return ledger.add(draft(shards.content_hash(cuts), job_id=job_id, **facts), cuts, folder)


def mode(path: Path) -> str:
    """Permissions in octal."""
    return f"{stat.S_IMODE(path.stat().st_mode):o}"


def test_a_ledger_is_for_its_owner_alone(ledger: Ledger, home: Path) -> None:
    """Folders are open to the owner alone, and so is the file."""
    job = submitted(ledger)
    assert [mode(path) for path in (home, home / "jobs", ledger.folder(job.job_id))] == ["700"] * 3
    assert mode(home / "ledger.sqlite") == "600"


def test_what_is_put_down_comes_back(ledger: Ledger) -> None:
    """A job and its shards are read as they were written, each shard still to be sent."""
    job = submitted(ledger)
    assert ledger.job(job.job_id) == job
    found = ledger.shards(job.job_id)
    assert [(s.number, s.state, s.first_row, s.lines, s.file_id) for s in found] == [
        (0, "cut", 0, 2, None),
        (1, "cut", 2, 2, None),
    ]
    assert [s.size for s in found] == [ledger.shard_path(job.job_id, n).stat().st_size for n in (0, 1)]


def test_the_same_content_gives_the_earlier_job(ledger: Ledger, home: Path) -> None:
    """What was submitted before is not put down again, and the new files are gone."""
    job = submitted(ledger)
    again = submitted(ledger, created_at=1_790_000_000.0, name="other")
    assert again == job
    assert ledger.jobs() == [job]
    assert [path.name for path in (home / "jobs").iterdir()] == [job.job_id]


@pytest.mark.parametrize(
    "facts", [{"service": "https://other.example"}, {"samples": 2}, {"take": 2}, {"attempt": 2}]
)
def test_other_facts_make_another_job(facts: dict[str, Any], ledger: Ledger) -> None:
    """The same prompts are asked again where the user wants them asked again."""
    assert submitted(ledger).job_id != submitted(ledger, **facts).job_id
    assert len(ledger.jobs()) == 2


def test_another_key_is_not_another_job(ledger: Ledger) -> None:
    """A rotated key pays nothing again."""
    assert submitted(ledger).job_id == submitted(ledger, key_fingerprint="11111111").job_id


def test_a_ledger_that_is_damaged_in_its_middle_is_set_aside(home: Path) -> None:
    """Damage that shows only when it is read is met like any other: the file is kept."""
    with closing(Ledger(home)) as ledger:
        for n in range(40):
            submitted(ledger, tuple(f"{n} {m}" for m in range(60)))
    path = home / "ledger.sqlite"
    whole = bytearray(path.read_bytes())
    whole[8_192:-8_192] = b"\xff" * (len(whole) - 16_384)
    path.write_bytes(whole)
    with (
        closing(Ledger(home)) as ledger,
        pytest.raises(LedgerError, match=r"it lies in ledger\.sqlite\.unreadable-"),
    ):
        ledger.jobs()
    with closing(Ledger(home)) as ledger:
        assert ledger.jobs() == []


def test_what_was_sent_meanwhile_is_not_withdrawn(ledger: Ledger) -> None:
    """Where a shard has left for the service, nothing of its job is changed."""
    job = submitted(ledger)
    cuts = ledger.never_sent(job.job_id)
    ledger.update_shard(ledger.shards(job.job_id)[1], state="creating")
    before = ledger.shards(job.job_id)
    with pytest.raises(LedgerError, match="is sending these prompts now"):
        ledger.withdraw(job.job_id, cuts, [], [])
    assert ledger.shards(job.job_id) == before


def test_one_submission_at_a_time(ledger: Ledger, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is put down another one waits, and does not wait for ever."""
    monkeypatch.setattr("groq_magic.ledger._SUBMITTED_BY_S", 0.05)
    waited = pytest.raises(LedgerError, match="Another submission has been under way for")
    with closing(Ledger(home)) as other, other.submitting(), waited, ledger.submitting():
        pass
    with ledger.submitting():
        pass


def test_what_a_killed_process_was_cutting_is_swept_in_the_end(home: Path) -> None:
    """A day later its folder goes with the next opening; one that may still be in use stays."""
    Ledger(home).close()
    old, young = (home / "jobs" / f".cutting-{name}" for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir()
        (folder / "shard-0000.jsonl").write_text("{}\n")
    os.utime(old, (1_780_000_000, 1_780_000_000))
    Ledger(home).close()
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize("error", [InputError("row 3"), KeyboardInterrupt()])
def test_the_cutting_folder_is_gone_after_an_error(error: BaseException, ledger: Ledger, home: Path) -> None:
    """Whatever ends the cutting, an interrupt included, leaves nothing behind."""

    def interrupted() -> None:
        with ledger.cutting("job") as folder:
            (folder / "shard-0000.jsonl").write_text("x", encoding="utf-8")
            raise error

    with pytest.raises(type(error)):
        interrupted()
    assert list((home / "jobs").iterdir()) == []


def test_a_full_disk_while_cutting_is_an_error_of_the_ledger(ledger: Ledger) -> None:
    """Where the files cannot be written, one error says so, and that nothing was sent."""

    def cut_on_a_full_disk() -> None:
        with ledger.cutting("job"):
            raise OSError(28, "No space left on device")

    with pytest.raises(LedgerError, match=r"No space left on device\. Nothing was sent"):
        cut_on_a_full_disk()


def test_what_could_not_be_put_down_is_not_half_there(ledger: Ledger) -> None:
    """Where the files cannot be taken over, neither the job nor its shards are on the ledger."""
    job_id = new_job_id()
    (ledger.folder(job_id) / "in the way").mkdir(parents=True)

    def put_down() -> None:
        with ledger.cutting(job_id) as folder:
            cuts = shards.cut(Prompts(["a"], 1), Form("m"), folder)
            ledger.add(draft("00", job_id=job_id), cuts, folder)

    with pytest.raises(LedgerError, match="cannot be written"):
        put_down()
    assert ledger.jobs() == []
    assert ledger.shards(job_id) == []


def test_a_state_and_a_status_are_put_down_when_first_seen(ledger: Ledger, home: Path) -> None:
    """Each new word about a shard is kept with its time; a word that it has already is not new."""
    job = submitted(ledger)
    for facts in (
        {"state": "uploading"},
        {"state": "uploaded", "file_id": "file_1"},
        {"state": "created", "status": "validating", "completed": 0},
        {"status": "validating", "completed": 1},
        {"status": "in_progress", "completed": 2},
    ):
        ledger.update_shard(ledger.shards(job.job_id)[1], **facts)
    shard = ledger.shards(job.job_id)[1]
    assert (shard.state, shard.status, shard.file_id, shard.completed) == (
        "created",
        "in_progress",
        "file_1",
        2,
    )
    assert ledger.shards(job.job_id)[0].state == "cut"
    with closing(sqlite3.connect(home / "ledger.sqlite")) as db:
        seen = db.execute("SELECT number, word FROM seen ORDER BY rowid").fetchall()
    assert seen == [(1, word) for word in ("uploading", "uploaded", "created", "validating", "in_progress")]


def test_two_ledgers_over_one_home_see_each_others_facts(ledger: Ledger, home: Path) -> None:
    """What one process writes is there for the other at its next look."""
    with closing(Ledger(home)) as other:
        job = submitted(ledger)
        assert other.job(job.job_id) == job
        other.update_shard(other.shards(job.job_id)[0], state="created", batch_id="batch_1")
        assert ledger.shards(job.job_id)[0].batch_id == "batch_1"
        assert ledger.job_of_batch("batch_1") == job
        other.update_job(job.job_id, cancel_requested_at=5.0)
        assert ledger.job(job.job_id).cancel_requested_at == 5.0
        assert submitted(other).job_id == job.job_id


WRITE = """
import sys
from pathlib import Path
from groq_magic.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for n in range(50):
    ledger.name("book", f"{sys.argv[2]}{n}", sys.argv[3])
ledger.close()
"""


def test_two_processes_write_at_the_same_time(ledger: Ledger, home: Path) -> None:
    """Neither loses a word of its own, and neither fails because of the other."""
    job = submitted(ledger)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITE, str(home), who, job.job_id], stderr=subprocess.PIPE)
        for who in ("a", "b")
    ]
    for writer in writers:
        complaints = writer.communicate(timeout=60)[1]
        assert (writer.returncode, complaints) == (0, b"")
    assert {entry.name for entry in ledger.named("book")} == {f"{who}{n}" for who in "ab" for n in range(50)}


def test_a_name_means_what_was_last_put_under_it(ledger: Ledger) -> None:
    """Each notebook has its own names, and each name its latest job, latest last."""
    one, two = submitted(ledger), submitted(ledger, prompts=("e", "f"))
    for notebook, name, job in (
        ("book", "answers", one),
        ("book", "labels", one),
        ("book", "answers", two),
        ("other", "answers", one),
    ):
        ledger.name(notebook, name, job.job_id)
    assert [(entry.name, entry.job) for entry in ledger.named("book")] == [("labels", one), ("answers", two)]
    assert [(entry.name, entry.job) for entry in ledger.named("other")] == [("answers", one)]
    assert ledger.named("none") == []


def test_a_job_that_nobody_knows_is_an_error(ledger: Ledger) -> None:
    """An unknown job says what lists the known ones; an unknown batch is nobody's."""
    with pytest.raises(LedgerError, match=r"no job 'zzz': %groq batches"):
        ledger.job("zzz")
    assert ledger.job_of_batch("batch_zzz") is None


# --- ledgers that cannot be used -----------------------------------------------------------------------


def test_a_ledger_of_a_newer_version_is_refused(home: Path) -> None:
    """A file that a newer version wrote is left as it is, with a word on what to do."""
    Ledger(home).close()
    with closing(sqlite3.connect(home / "ledger.sqlite")) as db:
        db.execute(f"PRAGMA user_version={NEWEST + 1}")
    before = (home / "ledger.sqlite").read_bytes()
    with pytest.raises(LedgerError, match=r"newer groq_magic: upgrade this one, or set GROQ_MAGIC_HOME"):
        Ledger(home)
    assert (home / "ledger.sqlite").read_bytes() == before


def test_a_file_that_is_no_ledger_is_set_aside(home: Path) -> None:
    """Another file in the ledger's place is an error, is kept under another name, and a new ledger begins."""
    home.mkdir()
    (home / "ledger.sqlite").write_text("my notes, not a database at all\n" * 100, encoding="utf-8")
    with pytest.raises(LedgerError, match=r"lies in ledger\.sqlite\.unreadable-.* Nothing was sent"):
        Ledger(home)
    (aside,) = home.glob("ledger.sqlite.unreadable-*")
    assert aside.read_text(encoding="utf-8").startswith("my notes")
    with closing(Ledger(home)) as ledger:
        assert ledger.jobs() == []


def test_a_damaged_ledger_is_set_aside(home: Path) -> None:
    """A ledger with a page overwritten is not written to any more, and not lost either."""
    with closing(Ledger(home)) as ledger:
        for n in range(30):
            submitted(ledger, (f"a{n}", "b"))
    path = home / "ledger.sqlite"
    data = bytearray(path.read_bytes())
    data[100:4_000] = b"\xff" * 3_900  # the page that says where everything is
    path.write_bytes(data)
    with pytest.raises(LedgerError, match="Run the cell again"):
        Ledger(home)
    (aside,) = home.glob("ledger.sqlite.unreadable-*")
    assert aside.read_bytes() == bytes(data)


def test_a_ledger_that_another_holds_is_waited_for_and_then_said(
    ledger: Ledger, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another program holds it, the error names the folder, and what was there stays."""
    job = submitted(ledger)
    with closing(sqlite3.connect(home / "ledger.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        ledger._db.execute("PRAGMA busy_timeout=50")
        with pytest.raises(LedgerError, match="locked"):
            ledger.update_job(job.job_id, stopped="x")
        other.execute("ROLLBACK")
    assert ledger.job(job.job_id).stopped is None


def test_a_home_below_a_file_is_refused(home: Path) -> None:
    """Where no folder can be made, the error names it and how to choose another."""
    home.write_text("a file", encoding="utf-8")
    with pytest.raises(LedgerError, match=r"cannot be opened: .* Another folder: set GROQ_MAGIC_HOME"):
        Ledger(home / "inner")


@pytest.fixture
def somebody() -> Iterator[None]:
    """The test runs as a user whom permissions bind; the superuser is not bound by them."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A home with a ledger in it that nobody may write to."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        Ledger(home).close()
        (home / "ledger.sqlite").chmod(0o444)
        (home / "jobs").chmod(0o555)
        home.chmod(0o555)
        yield home
        home.chmod(0o700)
        (home / "jobs").chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
@pytest.mark.usefixtures("read_only", "somebody")
def test_a_home_that_cannot_be_written_is_refused(read_only: Path) -> None:
    """A ledger that may only be read is an error before anything is sent."""
    with pytest.raises(LedgerError, match="cannot be"):
        Ledger(read_only)


def as_version_2(db: sqlite3.Connection) -> None:
    """Makes the ledger what the second version wrote."""
    db.execute("DROP INDEX loans_by_lender")
    db.execute("ALTER TABLE jobs RENAME COLUMN samples TO sample")
    db.execute("ALTER TABLE jobs DROP COLUMN origin")
    for column in ("prompt_tokens", "completion_tokens", "key_fingerprint"):
        db.execute(f"ALTER TABLE shards DROP COLUMN {column}")
    db.execute("PRAGMA user_version=2")


def test_a_ledger_of_the_second_version_is_carried_over(home: Path) -> None:
    """Its jobs and shards are all there, and what was a retry is known as one."""
    with closing(Ledger(home)) as ledger:
        job, other = submitted(ledger), submitted(ledger, ("e",))
        ledger.lend(job.job_id, Loan(other.job_id, "retry", 1.0, array("I", [0]), array("I", [0])))
        before = ledger.shards(job.job_id)
    with closing(sqlite3.connect(home / "ledger.sqlite")) as db:
        as_version_2(db)
        db.commit()
    with closing(Ledger(home)) as ledger:
        assert ledger.jobs() == [job, replace(other, origin="retry")]
        assert ledger.shards(job.job_id) == before
        assert ledger.borrowers(other.job_id) == [job]


def test_a_ledger_of_the_first_version_is_carried_over(home: Path) -> None:
    """Its jobs, shards and facts are all there, and its ids still lead to its rows."""
    with closing(Ledger(home)) as ledger:
        job = submitted(ledger)
        before = ledger.shards(job.job_id)
    with closing(sqlite3.connect(home / "ledger.sqlite")) as db:
        as_version_2(db)
        db.execute("ALTER TABLE shards ADD COLUMN given_ids INTEGER NOT NULL DEFAULT 0")
        db.execute("DROP TABLE loans")
        db.execute("DROP INDEX shards_by_form")
        for column in ("prefix", "form", "content", "unanswered", "row_map"):
            db.execute(f"ALTER TABLE shards DROP COLUMN {column}")
        db.execute("PRAGMA user_version=1")
        db.commit()
    with closing(Ledger(home)) as ledger:
        assert ledger.job(job.job_id) == job
        shards_now = ledger.shards(job.job_id)
    assert [shard.prefix for shard in shards_now] == [f"{job.job_id}-0-", f"{job.job_id}-1-"]
    assert [replace(shard, prefix="", content="", form="") for shard in shards_now] == [
        replace(shard, prefix="", content="", form="") for shard in before
    ]
    assert len({shard.content for shard in shards_now}) == 2


# --- homes ----------------------------------------------------------------------------------------------


def test_the_home_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """`GROQ_MAGIC_HOME` names the home, `~` included; without it, it is in the platform's folder."""
    monkeypatch.setenv("GROQ_MAGIC_HOME", "~/batches")
    assert default_home() == Path.home() / "batches"
    monkeypatch.delenv("GROQ_MAGIC_HOME")
    assert default_home().name == "groq_magic"
    assert default_home().is_absolute()


def test_a_write_that_fails_at_its_end_spoils_no_later_one(tmp_path: Path) -> None:
    """After a commit that could not be had, the ledger works again as soon as the disk does."""
    book = Ledger(tmp_path)
    book._db.execute("PRAGMA busy_timeout=1")
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM names").fetchall()  # a reader in mid-read keeps a commit from ending
        with pytest.raises(LedgerError, match="cannot be written"):
            book.name("notebook", "answers", "job")
        reader.execute("COMMIT")
    book.name("notebook", "answers", "job")
    assert book._rows("SELECT name FROM names") == [("answers",)]
    book.close()


def test_an_interrupt_at_the_worst_moment_leaves_no_transaction_open(tmp_path: Path) -> None:
    """Whatever was left open when somebody interrupted, the next write goes through."""
    book = Ledger(tmp_path)
    book._db.execute("BEGIN IMMEDIATE")  # as after an interrupt between this and what follows
    book.name("notebook", "answers", "job")
    assert not book._db.in_transaction
    assert book._rows("SELECT name FROM names") == [("answers",)]
    book.close()
