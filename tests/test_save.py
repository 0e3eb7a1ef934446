"""Answers in a file: what is written there at the end, and read from there first."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from groq_magic import client, ledger, listing, prompts, runs, services, standing
from groq_magic.answers import Answers, cells, saved
from groq_magic.card import picture, words
from groq_magic.errors import InputError, KeyMissing, NotSent, StillRunning
from groq_magic.magics import batch
from groq_magic.settings import Settings
from tests.line import (
    DOWNLOAD,
    MODELS,
    POLL,
    WAIT_S,
    Gate,
    Line,
    echoes,
    ends,
    forget,
    last,
    line,
    no_late_files,
    numbers,
    pauses,
    refuses,
    replaced,
    rewritten,
    sent,
)

__all__ = ["line", "no_late_files", "pauses"]  # fixtures

ENDINGS = (".csv", ".jsonl", ".parquet")
SCHEMA = {
    "type": "object",
    "properties": {"stars": {"type": "integer"}, "topic": {"type": ["string", "null"]}},
    "required": ["stars", "topic"],
}
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def desk_of_its_own(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder, and nothing of the machine's keys."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("GROQ_API_KEY", "GROQ_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Goes to a machine that has nothing but the working folder, at a sandbox of its own or without a key."""
    homes = iter(range(100))

    def go(*, sandbox: bool = False) -> None:
        forget()
        monkeypatch.setenv("GROQ_MAGIC_HOME", str(tmp_path / f"home-{next(homes)}"))
        if sandbox:
            services.use_sandbox(pace_s=0)
        else:
            services.use_groq()

    return go


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From then on nothing leaves this process."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was to leave this machine")

    def cut() -> None:
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)

    return cut


def ask(*asked: str, save: str | Path | None = "answers.csv", **how: Any) -> Answers:
    """These prompts, with their answers saved at the end."""
    return client.submit(list(asked), save=save, name="answers", **how)


def told(answers: Answers) -> list[tuple[object, ...]]:
    """All that answers say, but for ids that are made anew, and the model, which is `as_groqs`' to change."""
    return [
        (
            answer.status,
            answer.text,
            answer.error and (answer.error.code, answer.error.message),
            answer.usage,
            answer.parsed,
            answer.finish_reason,
            answer.reasoning,
            answer.prompt,
            (answer.index, answer.sample),
        )
        for answer in answers
    ]


def table(answers: Answers) -> list[dict[str, Any]]:
    """The table of answers without the ids that are made anew."""
    return [{key: value for key, value in row.items() if key != "id"} for row in answers.to_dicts()]


def here() -> list[str]:
    """What lies in the working folder."""
    return sorted(path.name for path in Path().iterdir())


def records(path: Path) -> list[dict[str, Any]]:
    """What the last column of a file says."""
    return [json.loads(ours) for _, ours in cells.FORMS[path.suffix].read(path, False)]


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Changes the last column of a file, row by row."""
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        changed = [row | {"groq_magic": json.loads(change(json.dumps(row["groq_magic"])))} for row in lines]
        path.write_text("".join(json.dumps(row) + "\n" for row in changed), encoding="utf-8")
    elif path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file)
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([head, *([*row[:-1], change(row[-1])] for row in rows)])
    else:
        whole = pq.read_table(path)
        ours = pa.array([change(text) for text in whole.column(whole.num_columns - 1).to_pylist()])
        pq.write_table(whole.set_column(whole.num_columns - 1, "groq_magic", ours), path)


def as_groqs(path: Path) -> None:
    """Makes a sandbox's file one of Groq's."""

    def change(ours: str) -> str:
        found = json.loads(ours)
        found.pop("sandbox", None)
        return json.dumps(found).replace('"model": "sandbox/', '"model": "')

    rewrite(path, change)


# --- every status ---------------------------------------------------------------------------------------


def no_error_file(line: Line) -> None:
    """The batch expires, and names no file of what was not answered."""
    line.on(POLL, replaced(status="expired", error_file_id=None, request_counts=None))


def cancels(line: Line) -> None:
    """The batch takes its time, so that it can be cancelled."""
    services.use_sandbox(pace_s=2, fresh=True)


NOTHING: Callable[[Line], None] = lambda line: None  # noqa: E731
ROWS = [{"t": "[[echo]]a", "n": 1}, {"t": None, "n": 2}, {"t": "[[echo]]b", "n": None}]
TALK = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user")]
FITS = '[[echo]]{"stars": 4, "topic": "food"}'

CASES: dict[str, tuple[object, dict[str, Any], Callable[[Line], None], dict[str, int]]] = {
    "ok": (echoes(3), {}, NOTHING, {"ok": 3}),
    "cut": (["[[cut]] tell me more", *echoes(1)], {}, NOTHING, {"ok": 1, "cut": 1}),
    "failed by Groq": (["[[fail]]", *echoes(1)], {}, NOTHING, {"ok": 1, "failed": 1}),
    "failed by its schema": (["[[echo]]no", FITS], {"schema": SCHEMA}, NOTHING, {"ok": 1, "failed": 1}),
    "failed as a file": (["[[invalid]]", *echoes(1)], {}, NOTHING, {"failed": 2}),
    "expired": (["[[expire]][[echo]]", *echoes(3)], {}, NOTHING, {"ok": 2, "expired": 2}),
    "expired without a line": (["[[expire]]", *echoes(3)], {}, no_error_file, {"ok": 2, "expired": 2}),
    "missing": (["[[lose]]", *echoes(3)], {}, NOTHING, {"ok": 3, "missing": 1}),
    "cancelled": (echoes(3), {}, cancels, {"cancelled": 3}),
    "skipped": (ROWS, {"template": "{{ t }}", "missing": "skip"}, NOTHING, {"ok": 2, "skipped": 1}),
    "samples": (["[[cut]]", *echoes(2)], {"samples": 3}, NOTHING, {"ok": 6, "cut": 3}),
    "unique": ([*echoes(2) * 2, *["[[fail]]"] * 2], {"unique": True}, NOTHING, {"ok": 4, "failed": 2}),
    "equal rows": (["[[echo]]a", "[[echo]]b", "[[echo]]a"], {}, NOTHING, {"ok": 3}),
    "ids": ({"x": "[[echo]]1", 'y"': "[[fail]]"}, {}, NOTHING, {"ok": 1, "failed": 1}),
    "conversations": ([TALK, TALK[:2]], {}, NOTHING, {"ok": 2}),
    "another take": (echoes(2), {"take": 3}, NOTHING, {"ok": 2}),
}
WITHOUT_A_LINE = {"failed as a file", "expired without a line", "missing", "cancelled", "skipped"}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("case", CASES)
def test_every_status_comes_back_from_the_file_alone(
    case: str,
    ending: str,
    line: Line,
    no_late_files: None,
    elsewhere: Callable[..., None],
    cut_off: Callable[[], None],
) -> None:
    """On another machine, without key or network, the file gives back every answer, and why there is none."""
    source, how, happens, counts = CASES[case]
    happens(line)
    path = Path(f"answers{ending}")
    answers = client.submit(source, save=path, name="answers", **how)
    if case == "cancelled":
        answers.cancel()
    answers.wait(WAIT_S)
    assert answers.counts == counts
    before, frame, ids = told(answers), table(answers), [answer.custom_id for answer in answers]
    assert [record["status"] for record in records(path)] == [answer.status for answer in answers]
    assert any(record["line"] is None for record in records(path)) == (case in WITHOUT_A_LINE)

    as_groqs(path)
    elsewhere()
    cut_off()
    line.asked.clear()
    again = client.submit(source, save=path, name="answers", **how).wait(WAIT_S)
    assert (told(again), again.counts, again.batch_ids) == (before, counts, [])
    assert table(again) == frame
    assert ids == [answer.custom_id for answer in again] or case != "ids"
    assert line.asked == []
    assert here() == [path.name]


# --- what is sent ---------------------------------------------------------------------------------------


def test_ten_rows_more_are_ten_requests(line: Line, elsewhere: Callable[..., None]) -> None:
    """What the file has is not sent; the rest is, and the file has all of it then."""
    ask(*echoes(20)).wait(WAIT_S)
    elsewhere(sandbox=True)
    uploads = sent(line)
    grown = ask(*echoes(30))
    assert grown.wait(WAIT_S).texts == numbers(30)
    assert (uploads, len(records(Path("answers.csv")))) == ([10], 30)
    seen = last(grown)
    notes = ("20 answers were read from answers.csv.", "Saved in answers.csv.")
    assert (seen.reused, seen.reused_from is None, seen.notes) == (20, False, notes)
    assert "Saved in answers.csv." in words.text(seen)
    assert "Saved in answers.csv." in picture.static(seen)


def test_the_nth_equal_row_takes_the_nth_answer(line: Line, elsewhere: Callable[..., None]) -> None:
    """Of three equal prompts two are in the file: one is sent. One that shared an answer has none to give."""
    ask("[[echo]]a", "[[echo]]b", "[[echo]]a").wait(WAIT_S)
    elsewhere(sandbox=True)
    uploads = sent(line)
    assert ask(*["[[echo]]a"] * 3).wait(WAIT_S).texts == ["a"] * 3
    assert uploads == [1]
    ask(*["[[echo]]c"] * 2, unique=True, save="unique.csv").wait(WAIT_S)
    elsewhere(sandbox=True)
    assert ask(*["[[echo]]c"] * 2, save="unique.csv").wait(WAIT_S).texts == ["c"] * 2
    assert uploads == [1, 1, 1]


@pytest.mark.parametrize("how", [{"model": "openai/gpt-oss-120b"}, {"seed": 1}, {"take": 2}, {"samples": 2}])
def test_a_file_answers_nothing_else_than_what_it_was_asked(
    how: dict[str, Any], line: Line, elsewhere: Callable[..., None]
) -> None:
    """Another model, other options and another take are sent; of more samples only those that are new."""
    ask(*echoes(2)).wait(WAIT_S)
    elsewhere(sandbox=True)
    uploads = sent(line)
    answers = ask(*echoes(2), **how).wait(WAIT_S)
    assert (set(answers.counts), uploads) == ({"ok"}, [2])
    kept = Path("answers.before.csv")
    assert kept.exists() == ("samples" not in how)
    assert [answer.text for answer in answers] == (["0", "0", "1", "1"] if "samples" in how else ["0", "1"])


def test_what_expired_is_sent_again_by_who_can_send(line: Line, elsewhere: Callable[..., None]) -> None:
    """With a key, rows that the file tells to have expired are sent; what failed at Groq has its answer."""
    ask("[[expire]][[echo]]x", *echoes(2), "[[fail]]").wait(WAIT_S)
    gone = [record["status"] for record in records(Path("answers.csv"))].count("expired")
    assert gone == 2
    elsewhere(sandbox=True)
    uploads = sent(line)
    ask("[[expire]][[echo]]x", *echoes(2), "[[fail]]").wait(WAIT_S)
    assert uploads == [2]


def test_a_cancelled_row_is_not_sent_again(line: Line, elsewhere: Callable[..., None]) -> None:
    """A re-run from a file never undoes a cancel, either."""
    services.use_sandbox(pace_s=2)
    answers = ask(*echoes(3))
    answers.cancel()
    answers.wait(WAIT_S)
    elsewhere(sandbox=True)
    line.asked.clear()
    assert ask(*echoes(3)).wait(WAIT_S).counts == {"cancelled": 3}
    assert line.asked == []


def test_the_ledger_is_believed_first(line: Line) -> None:
    """Where the ledger has the answers, the file is not needed, whatever has become of it."""
    ask(*echoes(3)).wait(WAIT_S)
    rewrite(Path("answers.csv"), lambda ours: ours.replace('"content":"1"', '"content":"another"'))
    forget()
    again = ask(*echoes(3)).wait(WAIT_S)
    assert (again.texts, last(again).notes) == (numbers(3), ("Saved in answers.csv.",))


def test_answers_that_came_elsewhere_mend_what_is_missing_here(
    line: Line, elsewhere: Callable[..., None], no_late_files: None
) -> None:
    """A batch that ended without some rows takes them from a file that has them, and sends nothing."""
    asked = ["[[lose]][[echo]]x", *echoes(2)]
    rest = {"missing": 1, "ok": 2}
    answers = client.submit(asked, name="answers").wait(WAIT_S)
    assert {key: answers.counts[key] for key in rest} == rest
    answers.save("answers.csv")
    texts = []

    def found(ours: str) -> str:
        record = json.loads(ours)
        texts.append(record["status"])
        if record["status"] == "missing":
            said = {"message": {"content": "found"}, "finish_reason": "stop"}
            body = {"model": "sandbox/x", "choices": [said]}
            record["line"] = {"custom_id": "x", "response": {"status_code": 200, "body": body}}
            record |= {"status": "ok", "why": None}
        return json.dumps(record)

    rewrite(Path("answers.csv"), found)
    uploads = sent(line)
    again = ask(*asked).wait(WAIT_S)
    assert (again.texts, uploads) == (["found", "0", "1"], [])
    read, saved_in = last(again).notes
    assert (read, saved_in[:21]) == ("1 answer was read from answers.csv.", "Saved in answers.csv.")


def test_what_was_read_is_no_batch(line: Line, elsewhere: Callable[..., None]) -> None:
    """A file's answers are in no list but under the name that asked; forgetting that forgets both."""
    ask(*echoes(2)).wait(WAIT_S)
    elsewhere(sandbox=True)
    again = ask(*echoes(2)).wait(WAIT_S)
    assert [entry.name for entry in listing.batches() if entry.job_id] == ["answers"]
    assert client.named() == ["answers"]
    assert len(ledger.current().jobs()) == 2
    assert standing.look({}).others == 0
    assert client.attach("answers").texts == numbers(2)
    client.forget(again)
    assert ledger.current().jobs() == []


def test_the_ledger_knows_the_tokens_of_what_was_read(line: Line, elsewhere: Callable[..., None]) -> None:
    """Before anything is carried, a file's answers count with the tokens that they tell of."""
    ask(*echoes(2), "[[fail]]").wait(WAIT_S)
    elsewhere(sandbox=True)
    known: list[tuple[int, int]] = []

    def look(_: Answers) -> None:
        (kept,) = [job for job in ledger.current().jobs() if job.origin == "saved"]
        shards = ledger.current().shards(kept.job_id)
        known.extend((shard.prompt_tokens, shard.completion_tokens) for shard in shards)

    source = prompts.from_source([*echoes(2), "[[fail]]"])
    answers = client.send(source, Settings(save=saved.place("answers.csv")), name="answers", bind=look)
    used = answers.wait(WAIT_S).usage
    assert used.total_tokens > 0
    assert known == [(used.prompt_tokens, used.completion_tokens)]


def test_a_dry_run_says_what_would_be_read(line: Line, elsewhere: Callable[..., None]) -> None:
    """The plan counts the file's rows, and what is left is all that would be sent."""
    ask(*echoes(3)).wait(WAIT_S)
    elsewhere(sandbox=True)
    settings = Settings(save=saved.place("answers.csv"))
    plan = client.plan(prompts.from_source(echoes(5)), settings)
    assert (plan.prompts, plan.read, plan.saved) == (2, 3, "answers.csv")
    assert "3 answers would be read from answers.csv." in batch._planned(plan)
    assert ledger.current().jobs() == []


def test_each_sample_is_itself_wherever_it_is_read(line: Line, elsewhere: Callable[..., None]) -> None:
    """What was read from a file is the sample that it was, for whoever asks for it once more."""
    ask(*echoes(2), samples=3).wait(WAIT_S)
    elsewhere(sandbox=True)
    ask(*echoes(2), samples=3).wait(WAIT_S)
    (kept,) = [job for job in ledger.current().jobs() if job.origin == "saved"]
    assert list(map(runs.samples(kept), range(6))) == [1, 2, 3, 1, 2, 3]


# --- without a key ------------------------------------------------------------------------------------


def test_without_a_key_the_error_says_what_the_file_has(line: Line, elsewhere: Callable[..., None]) -> None:
    """Rows that are not in the file take a key: nothing is put down, and the line counts what is there."""
    ask(*echoes(3)).wait(WAIT_S)
    as_groqs(Path("answers.csv"))
    elsewhere()
    with pytest.raises(KeyMissing) as caught:
        ask(*echoes(5))
    assert str(caught.value).startswith("answers.csv has 3 of these 5. No Groq key was found.")
    assert ledger.current().jobs() == []
    for _ in range(2):  # and what is on the ledger is there, too
        assert ask(*echoes(3)).wait(WAIT_S).texts == numbers(3)


def test_without_a_key_what_expired_is_taken_as_it_stands_again_and_again(
    line: Line, elsewhere: Callable[..., None]
) -> None:
    """The same cell twice without a key gives the same, and once there is a key the rest is sent."""
    no_error_file(line)
    asked = ["[[expire]][[echo]]x", *echoes(3)]
    before = told(ask(*asked).wait(WAIT_S))
    as_groqs(Path("answers.csv"))
    elsewhere()
    for _ in range(2):
        again = ask(*asked).wait(WAIT_S)
        assert (told(again), last(again).again) == (before, 0)


# --- files that are not taken -------------------------------------------------------------------------


def parquet(**columns: list[Any]) -> bytes:
    """A table as a .parquet."""
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


OTHERS = {
    "no such column": ("answers.csv", b"id,prompt\r\n1,mine\r\n"),
    "no such field": ("answers.jsonl", b'{"id": 1}\n'),
    "no .parquet": ("answers.parquet", b"PAR1 but no more"),
    "a column that begins so": ("answers.csv", b"id,groq_magic_score\r\n"),
    "a field that begins so": ("answers.jsonl", b'{"groq_magic_score": {"request": null}}\n'),
    "a column of theirs in a .parquet": ("answers.parquet", parquet(groq_magics=["x"])),
    "rows of their own": ("answers.csv", b"id,groq_magic\r\n1,yes\r\n2,no\r\n"),
    "records of their own": ("answers.jsonl", b'{"groq_magic": {"yes": 1}}\n' * 2),
    "numbers": ("answers.parquet", parquet(id=[1, 2], groq_magic=[3, 4])),
}
NOT_OURS = (
    "{} holds something else than saved answers, and is not overwritten: "
    "save under another name, or delete it."
)


@pytest.mark.parametrize("what", OTHERS)
def test_a_file_of_somebody_elses_is_never_overwritten(what: str, line: Line) -> None:
    """It is refused before anything is sent, and by `save` of answers that are there; it stays as it is."""
    name, content = OTHERS[what]
    Path(name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        ask(*echoes(1), save=name)
    assert (str(caught.value), line.asked) == (NOT_OURS.format(name), [])
    answers = ask(*echoes(1), save=None).wait(WAIT_S)
    with pytest.raises(InputError) as caught:
        answers.save(name)
    assert (str(caught.value), Path(name).read_bytes()) == (NOT_OURS.format(name), content)
    assert here() == [name]


KNOWN = "Answers are saved as .jsonl, .csv or .parquet"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (
            "answers.txt",
            "Answers are saved as .jsonl, .csv or .parquet, not as 'answers.txt': --save answers.csv",
        ),
        ("answers", "Answers are saved as .jsonl, .csv or .parquet, not as 'answers': --save answers.csv"),
        ("folder", "folder is a folder: name a file in it, for example folder/answers.csv"),
        ("nowhere/answers.csv", "There is no folder '{here}/nowhere' to save answers in: make it first."),
        (5, "Answers are saved in a file, and 5 names none: save='answers.csv'"),
        (b"x.csv", "Answers are saved in a file, and b'x.csv' names none: save='answers.csv'"),
        ("", "Answers are saved in a file, and '' names none: save='answers.csv'"),
        ("a\0.csv", "Answers are saved in a file, and 'a\\x00.csv' names none: save='answers.csv'"),
        ("loop.csv", "No file can be called 'loop.csv': Too many levels of symbolic links."),
        ("pipe.csv", "pipe.csv is no ordinary file: save under another name."),
        ("astray.csv", "There is no folder '{here}/nowhere' to save answers in: make it first."),
        ("a" * 300 + ".csv", "No file can be called '" + "a" * 300 + ".csv': File name too long."),
    ],
)
def test_a_path_that_cannot_be_is_one_line_before_anything_is_sent(path: Any, said: str, line: Line) -> None:
    """An ending that is not known, a folder, one that is not there, no name, what is no ordinary file."""
    Path("folder").mkdir()
    Path("loop.csv").symlink_to("loop.csv")
    Path("astray.csv").symlink_to("nowhere/answers.csv")
    os.mkfifo("pipe.csv")
    with pytest.raises(InputError) as caught:
        ask(*echoes(1), save=path)
    assert (str(caught.value), line.asked) == (said.format(here=Path.cwd()), [])


def test_a_file_that_cannot_be_opened_is_one_line(
    line: Line, elsewhere: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's file, and a .parquet that is damaged within: nothing is sent, or written."""
    answers = ask(*echoes(2), save="answers.parquet").wait(WAIT_S)
    whole = Path("answers.parquet").read_bytes()
    size = int.from_bytes(whole[-8:-4], "little")  # of what tells where the columns are
    content = whole[: -8 - size] + b"\xff" * size + whole[-8:]
    Path("answers.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"^answers\.parquet cannot be read: "):
        answers.save("answers.parquet")
    elsewhere(sandbox=True)
    line.asked.clear()
    with pytest.raises(InputError, match=r"^answers\.parquet cannot be read: "):
        ask(*echoes(2), save="answers.parquet")
    assert (Path("answers.parquet").read_bytes(), line.asked) == (content, [])

    def closed(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    ask(*echoes(2)).wait(WAIT_S)
    monkeypatch.setattr(Path, "open", closed)
    with pytest.raises(InputError) as caught:
        ask(*echoes(3))
    assert str(caught.value) == "answers.csv cannot be read: Permission denied."


def test_a_link_is_followed(line: Line) -> None:
    """The file that it leads to is written, also if there is none yet; the link stays one."""
    Path("data").mkdir()
    for name in ("new.csv", "old.csv"):
        Path(name).symlink_to(f"data/{name}")
    ask(*echoes(1), save="data/old.csv").wait(WAIT_S)
    for name in ("new.csv", "old.csv"):
        ask(*echoes(2), save=name).wait(WAIT_S)
        assert Path(name).is_symlink()
        assert len(records(Path("data", name))) == 2
    assert sorted(path.name for path in Path("data").iterdir()) == ["new.csv", "old.csv"]


def test_who_may_read_a_file_stays_as_it_is(line: Line) -> None:
    """A file that is not for everybody remains so, and so is the copy of it."""
    ask(*echoes(3)).wait(WAIT_S)
    usual = Path("answers.csv").stat().st_mode & 0o777
    Path("answers.csv").chmod(0o640)
    ask(*echoes(1)).wait(WAIT_S)
    assert [Path(name).stat().st_mode & 0o777 for name in here()] == [0o640, 0o640]
    ask(*echoes(1), save="new.csv").wait(WAIT_S)
    assert Path("new.csv").stat().st_mode & 0o777 == usual == 0o666 & ~umask()


def umask() -> int:
    """What this process keeps from others."""
    found = os.umask(0o077)
    os.umask(found)
    return found


def test_a_time_that_python_has_no_date_for_is_saved_again_and_again(
    line: Line, elsewhere: Callable[..., None]
) -> None:
    """A column with the year 14645 is written, read past, and found to be the same."""
    far = pa.array([400 * 10**12], pa.timestamp("ms"))
    source = pa.table({"prompt": ["[[echo]]a"], "when": far})
    ask_it = lambda: client.submit(source, save="answers.parquet").wait(WAIT_S)  # noqa: E731
    assert last(ask_it()).notes == ("Saved in answers.parquet.",)
    elsewhere(sandbox=True)
    uploads = sent(line)
    assert (ask_it().texts, uploads, here()) == (["a"], [], ["answers.parquet"])
    assert pq.read_table("answers.parquet").column("when").cast(pa.int64()).to_pylist() == [400 * 10**12]


def test_what_goes_wrong_in_writing_is_said_in_its_own_words(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody thought of is on the card as a sentence, and not as Python writes it."""

    def odd(path: Path) -> None:
        raise ValueError("year 14645 is out of range")

    monkeypatch.setattr(saved, "_to_disk", odd)
    assert last(ask(*echoes(1)).wait(WAIT_S)).notes == (
        "Not saved: year 14645 is out of range. To try again: answers.save('answers.csv').",
    )


def test_the_path_is_the_one_of_the_cell(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` and a relative path are looked up when the cell runs, wherever the notebook goes meanwhile."""
    monkeypatch.setenv("HOME", str(tmp_path))
    answers = [ask(*echoes(1), save="~/one.csv"), ask(*echoes(2), save=Path("two.jsonl"))]
    here = Path.cwd()
    (tmp_path / "away").mkdir()
    os.chdir(tmp_path / "away")
    for each in answers:
        each.wait(WAIT_S)
    assert (tmp_path / "one.csv").exists()
    assert (here / "two.jsonl").exists()


def test_answers_of_the_sandbox_never_become_groqs(line: Line, elsewhere: Callable[..., None]) -> None:
    """At Groq the sandbox's file is refused, whatever its rows came to, and so is Groq's in the sandbox."""
    said = (
        "{} holds answers of the sandbox, which are no model's: move it away, save under another name, or "
        "type %groq sandbox."
    )
    ask(*echoes(2)).wait(WAIT_S)
    ask("[[fail]]", save="failed.csv").wait(WAIT_S)
    elsewhere()
    for name, asked in (("answers.csv", echoes(2)), ("failed.csv", ["[[fail]]"])):
        with pytest.raises(InputError) as caught:
            ask(*asked, save=name)
        assert str(caught.value) == said.format(name)
    rewrite(Path("answers.csv"), lambda ours: ours.replace(',"sandbox":true', ""))
    with pytest.raises(InputError) as caught:  # the name of its model still tells
        ask(*echoes(2))
    assert str(caught.value) == said.format("answers.csv")
    as_groqs(Path("answers.csv"))
    elsewhere(sandbox=True)
    with pytest.raises(InputError) as caught:
        ask(*echoes(2))
    assert str(caught.value) == (
        "answers.csv holds a model's answers, and prompts go to the sandbox now: save under another name, or "
        "type %groq sandbox off."
    )


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_of_a_damaged_file_is_used_what_can_be_read(
    ending: str, line: Line, elsewhere: Callable[..., None]
) -> None:
    """A file that breaks off in its last row has the others; that one row is sent, and the file is whole."""
    path = Path(f"answers{ending}")
    ask(*echoes(4), save=path).wait(WAIT_S)
    path.write_bytes(path.read_bytes()[:-100])
    elsewhere(sandbox=True)
    uploads = sent(line)
    assert ask(*echoes(4), save=path).wait(WAIT_S).texts == numbers(4)
    assert (uploads, len(records(path))) == ([1], 4)


def test_a_file_that_changes_while_it_is_read_gives_no_row_another_answer(
    line: Line, elsewhere: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file is another one by the time that its lines are read, none is taken for another's."""
    ask(*echoes(2)).wait(WAIT_S)
    elsewhere(sandbox=True)
    whole = saved.read

    def read(path: Path, *how: Any, **more: Any) -> saved.Saved | None:
        found = whole(path, *how, **more)
        head, one, two = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(head + two + one)
        return found

    monkeypatch.setattr(saved, "read", read)
    answers = ask(*echoes(2)).wait(WAIT_S)
    assert ends(answers) == [("missing", "no_reply")] * 2
    monkeypatch.undo()


@pytest.mark.parametrize(("name", "form"), [("answers.csv", "CSV UTF-8"), ("answers.jsonl", "UTF-8")])
def test_a_file_in_a_code_page_is_refused(
    name: str, form: str, line: Line, elsewhere: Callable[..., None]
) -> None:
    """What Excel saved in the old way has lost its letters: nothing is sent, and it stays as it is."""
    answers = ask("[[echo]]café", "[[echo]]b", save=name).wait(WAIT_S)
    content = Path(name).read_bytes().decode().replace("…", "...").encode("cp1252")
    Path(name).write_bytes(content)
    said = f"{name} is not UTF-8 any more: save it as {form}."
    with pytest.raises(InputError) as caught:
        answers.save(name)
    assert str(caught.value) == said
    elsewhere(sandbox=True)
    line.asked.clear()
    with pytest.raises(InputError) as caught:
        ask("[[echo]]café", "[[echo]]b", save=name)
    assert (str(caught.value), line.asked, here()) == (said, [], [name])
    assert Path(name).read_bytes() == content


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_file_may_break_off_within_a_letter(
    ending: str, line: Line, elsewhere: Callable[..., None]
) -> None:
    """Half a letter at the very end is a row that was cut off, and no other code page."""
    path = Path(f"answers{ending}")
    ask("[[echo]]a", "[[echo]]bé", save=path).wait(WAIT_S)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex("é".encode()) + 1])
    elsewhere(sandbox=True)
    assert ask("[[echo]]a", "[[echo]]bé", save=path).wait(WAIT_S).texts == ["a", "bé"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_cannot_be_read_is_kept_beside_the_file(ending: str, line: Line) -> None:
    """A row whose last cell was edited is in a copy of the file as it was, whose name `save` gives back."""
    path = Path(f"answers{ending}")
    answers = ask(*echoes(2), save=path).wait(WAIT_S)
    rows = iter((lambda ours: ours, lambda ours: '"mine"'))
    rewrite(path, lambda ours: next(rows)(ours))
    content = path.read_bytes()
    kept = answers.save(path)
    assert kept == Path.cwd() / f"answers.before{ending}"
    assert (kept.read_bytes(), len(records(path))) == (content, 2)


@pytest.mark.parametrize(("ending", "below"), [(".csv", "sum,2\r\n"), (".jsonl", "sum: 2\n")])
def test_a_row_written_below_is_kept_beside_the_file(ending: str, below: str, line: Line) -> None:
    """A row of another width, or a line that is no JSON, is not ours, and does not disappear."""
    path = Path(f"answers{ending}")
    answers = ask(*echoes(2), save=path).wait(WAIT_S)
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(below)
    kept = answers.save(path)
    assert kept is not None
    assert below in kept.read_bytes().decode()


BROKEN = {
    "no JSON": lambda ours: "?",
    "another shape": lambda ours: "[1]",
    "a short fingerprint": lambda ours: re.sub(r'"request":"(..)\w*"', r'"request":"\1"', ours),
    "no hex": lambda ours: ours.replace('"request":"', '"request":"zz'),
    "a status that is none": lambda ours: ours.replace('"status":"ok"', '"status":"fine"'),
    "an answer without its line": lambda ours: re.sub(r'"line":.*', '"line":null,"sandbox":true}', ours),
    "a line that is none": lambda ours: re.sub(r'"line":.*', '"line":[1],"sandbox":true}', ours),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_row_that_was_edited_is_sent(how: str, line: Line, elsewhere: Callable[..., None]) -> None:
    """What cannot be read in the last column is as if it were not there."""
    ask(*echoes(2)).wait(WAIT_S)
    rows = iter((BROKEN[how], lambda ours: ours))
    rewrite(Path("answers.csv"), lambda ours: next(rows)(ours))
    elsewhere(sandbox=True)
    uploads = sent(line)
    assert ask(*echoes(2)).wait(WAIT_S).texts == numbers(2)
    assert uploads == [1]


def test_another_program_may_have_saved_it_in_its_own_way(line: Line, elsewhere: Callable[..., None]) -> None:
    """Semicolons, a byte order mark, rows sorted and filtered, columns added in front: all are read."""
    ask(*echoes(4)).wait(WAIT_S)
    frame = pd.read_csv("answers.csv").iloc[[3, 1, 0]]
    frame.insert(0, "mi;ne", "x;y")
    frame.to_csv("answers.csv", index=False, sep=";", encoding="utf-8-sig")
    elsewhere(sandbox=True)
    uploads = sent(line)
    assert ask(*echoes(4)).wait(WAIT_S).texts == numbers(4)
    assert uploads == [1]


# --- writing ------------------------------------------------------------------------------------------


def test_before_the_end_nothing_is_written(line: Line) -> None:
    """Before the end `save` says how far things are, and of what was not sent why; there is no file."""
    gate = Gate()
    line.on(MODELS, gate)
    answers = ask(*echoes(2))
    with pytest.raises(StillRunning, match="The answers are not there yet: 0 of 2 answered"):
        answers.save("other.csv")
    gate.opened.set()
    answers.wait(WAIT_S)
    line.on(MODELS, refuses(401, "Invalid API Key", "invalid_api_key"))
    unsent = ask("[[echo]]x", save="unsent.csv")
    with pytest.raises(NotSent):
        unsent.wait(WAIT_S)
    with pytest.raises(NotSent):
        unsent.save("other.csv")
    assert here() == ["answers.csv"]


def test_whoever_waits_finds_the_file(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is in place before `wait` returns, however long writing takes."""
    gate, real = threading.Event(), saved.write

    def slow(*args: Any) -> Path | None:
        assert gate.wait(WAIT_S)
        return real(*args)

    monkeypatch.setattr(saved, "write", slow)
    answers = ask(*echoes(2))
    with pytest.raises(StillRunning):
        answers.wait(0.5)
    gate.set()
    answers.wait(WAIT_S)
    assert len(records(Path("answers.csv"))) == 2


def test_a_finished_batch_is_saved_at_once_and_a_retry_saves_it_again(line: Line) -> None:
    """Where all is answered already, the file is there when the cell returns; a retry writes it again."""
    answers = ask("[[cut]][[echo]]abcdefghijklmnop", save=None, max_tokens=3).wait(WAIT_S)
    again = ask("[[cut]][[echo]]abcdefghijklmnop", max_tokens=3)
    (record,) = records(Path("answers.csv"))
    assert record["status"] == "cut"
    assert again.retry(max_tokens=60).wait(WAIT_S) is again
    (after,) = records(Path("answers.csv"))
    assert (after["request"], after["line"] != record["line"]) == (record["request"], True)
    assert answers.counts == again.counts


def test_while_a_retry_runs_nothing_is_saved_of_what_was(line: Line) -> None:
    """A cell that is run again during a retry saves the answers when that has ended, and not before."""
    asked, few = "[[cut]][[echo]]abcdefghijklmnop", {"max_tokens": 3}
    answers = ask(asked, save=None, **few).wait(WAIT_S)
    gate = Gate()
    line.on(MODELS, gate)
    answers.retry(max_tokens=60)
    again = ask(asked, **few)
    assert here() == []
    gate.opened.set()
    again.wait(WAIT_S)
    assert here() == ["answers.csv"]


def test_a_write_that_fails_leaves_the_old_file_and_never_the_batch(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full: the answers are there, the file is as it was, and the card says what to type."""
    ask(*echoes(1)).wait(WAIT_S)
    content = Path("answers.csv").read_bytes()

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saved, "_to_disk", full)
    answers = ask(*echoes(3)).wait(WAIT_S)
    assert (answers.texts, Path("answers.csv").read_bytes()) == (numbers(3), content)
    assert last(answers).notes == (
        "Not saved: answers.csv cannot be written: No space left on device. "
        "To try again: answers.save('answers.csv').",
    )
    assert here() == ["answers.csv"]
    monkeypatch.undo()


KILLED = """
import os, sys
from pathlib import Path
from groq_magic import client, services
from groq_magic.answers import saved
services.use_sandbox(pace_s=0)
os.chdir(sys.argv[1])
client.submit(["[[echo]]0"], save="answers.csv").wait(30)
saved._to_disk = lambda path: os._exit(9)
client.submit(["[[echo]]1"], save="answers.csv").wait(30)
"""


def test_a_process_that_is_killed_while_it_writes_leaves_the_old_file(tmp_path: Path, line: Line) -> None:
    """The old answers are there; what was written aside goes with a later write, once it is old."""
    env = os.environ | {"GROQ_MAGIC_HOME": str(tmp_path / "killed"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(Path.cwd())], env=env, timeout=60)
    assert done.returncode == 9
    (aside,) = [name for name in here() if name != "answers.csv"]
    assert [record["status"] for record in records(Path("answers.csv"))] == ["ok"]
    answers = ask(*echoes(1)).wait(WAIT_S)
    assert here() == [aside, "answers.csv"]  # somebody may be at it
    os.utime(aside, (0, 0))
    answers.save("other.csv")
    assert aside in here()
    answers.save("answers.csv")
    assert here() == ["answers.csv", "other.csv"]


def test_the_same_answers_leave_the_file_alone(line: Line, elsewhere: Callable[..., None]) -> None:
    """A re-run here, and one from the file alone, write nothing: a file under version control stays clean."""
    for ending in ENDINGS:
        ask(*echoes(3), "[[fail]]", save=f"answers{ending}").wait(WAIT_S)
    before = {name: (Path(name).read_bytes(), Path(name).stat().st_ino) for name in here()}
    for _ in range(2):
        for ending in ENDINGS:
            ask(*echoes(3), "[[fail]]", save=f"answers{ending}").wait(WAIT_S)
        assert {name: (Path(name).read_bytes(), Path(name).stat().st_ino) for name in here()} == before
        elsewhere(sandbox=True)


def test_two_notebooks_with_one_file_lose_nothing(line: Line) -> None:
    """What the file had of the other's is kept beside it, once, and the card says where."""
    first, second = echoes(2), echoes(2, first=5)
    ask(*first).wait(WAIT_S)
    other = ask(*second).wait(WAIT_S)
    said = "Saved in answers.csv. What it had besides is in answers.before.csv now."
    assert last(other).notes == (said,)
    for _ in range(3):
        ask(*first).wait(WAIT_S)
        ask(*second).wait(WAIT_S)
    assert here() == ["answers.before-2.csv", "answers.before.csv", "answers.csv"]
    held = {name: [r["line"]["response"]["body"]["choices"] for r in records(Path(name))] for name in here()}
    assert held["answers.csv"] == held["answers.before-2.csv"] != held["answers.before.csv"]
    assert other.save("answers.csv") is None


def test_fewer_rows_keep_the_file_that_had_more(line: Line) -> None:
    """A slice that is saved over the whole keeps the whole beside it; `save` gives back where."""
    whole = ask(*echoes(4)).wait(WAIT_S)
    content = Path("answers.csv").read_bytes()
    kept = whole[1:3].save("answers.csv")
    assert kept == Path.cwd() / "answers.before.csv"
    assert kept.read_bytes() == content
    assert len(records(Path("answers.csv"))) == 2
    assert whole.save("answers.csv") is None


def changed(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> bytes:
    """What a file is once somebody has changed its table and saved it again."""
    if path.suffix == ".csv":
        change(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        rows = [json.loads(each) for each in path.read_bytes().splitlines()]
        found = change(pd.DataFrame(rows, dtype=object)).to_dict("records")
        path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    else:
        found = change(pq.read_table(path).to_pandas(types_mapper=pd.ArrowDtype))
        pq.write_table(pa.Table.from_pandas(found, preserve_index=False), path)
    return path.read_bytes()


def noted(frame: pd.DataFrame) -> pd.DataFrame:
    """With a column of somebody's own in front."""
    return pd.DataFrame({"mine": "good"}, index=frame.index).join(frame)


def corrected(frame: pd.DataFrame) -> pd.DataFrame:
    """With another answer in its first row."""
    frame.loc[0, "answer"] = "better"
    return frame


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("change", [noted, corrected])
def test_what_people_write_into_a_file_does_not_disappear(
    change: Callable[[pd.DataFrame], pd.DataFrame],
    ending: str,
    line: Line,
    elsewhere: Callable[..., None],
) -> None:
    """A column that was added and an answer that was corrected are in a copy when the cell runs again."""
    path = Path(f"answers{ending}")
    ask(*echoes(3), save=path).wait(WAIT_S)
    content = changed(path, change)
    elsewhere(sandbox=True)
    again = ask(*echoes(4), save=path).wait(WAIT_S)
    assert last(again).notes[-1] == (
        f"Saved in answers{ending}. What it had besides is in answers.before{ending} now."
    )
    assert (Path(f"answers.before{ending}").read_bytes(), again.texts) == (content, numbers(4))


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_was_only_sorted_needs_no_copy(ending: str, line: Line) -> None:
    """The same rows in another order are written in the prompts' order, and nothing else is left behind."""
    path = Path(f"answers{ending}")
    answers = ask(*echoes(4), save=path).wait(WAIT_S)
    content = path.read_bytes()
    assert changed(path, lambda frame: frame.iloc[[2, 0, 3, 1]]) != content
    assert (answers.save(path), here()) == (None, [path.name])
    said = [record["line"]["response"]["body"] for record in records(path)]
    assert said == [answer.raw["response"]["body"] for answer in answers]


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_answer_that_takes_anothers_place_needs_no_copy(ending: str, line: Line) -> None:
    """What was cut off is no loss once it is answered in full; what somebody wrote in its place is one."""
    path = Path(f"answers{ending}")
    answers = ask("[[cut]][[echo]]abcdefghijklmnop", save=path, max_tokens=3).wait(WAIT_S)
    cut = path.read_bytes()
    answers.retry(max_tokens=60).wait(WAIT_S)
    assert here() == [path.name]
    assert path.read_bytes() != cut
    path.write_bytes(cut)
    content = changed(path, corrected)
    kept = answers.save(path)
    assert kept is not None
    assert kept.read_bytes() == content


# --- what is in it --------------------------------------------------------------------------------------


def test_a_table_has_its_columns_its_index_and_the_answers(line: Line) -> None:
    """The source's columns as they are, named index levels in front, ours the last, also beside its like."""
    frame = pd.DataFrame(
        {"t": ["[[echo]]a", "[[echo]]b"], "groq_magic": [1, 2], "when": pd.to_datetime(["2026-01-02"] * 2)},
        index=pd.Index(["x", "y"], name="t"),
    )
    answers = client.submit(frame, template="{{ t }}").wait(WAIT_S)
    names = ["t_index", "t", "groq_magic", "when", *list(answers.to_dicts()[0])[3:], "groq_magic_answer"]
    for ending in ENDINGS:
        answers.save(f"answers{ending}")
    found = pq.read_table("answers.parquet")
    assert found.column_names == names
    assert found.column("t_index").to_pylist() == ["x", "y"]
    assert pa.types.is_timestamp(found.schema.field("when").type)
    assert list(json.loads(Path("answers.jsonl").read_bytes().splitlines()[0])) == names
    assert list(pd.read_csv("answers.csv").columns) == names
    assert [len(records(Path(f"answers{ending}"))) for ending in ENDINGS] == [2, 2, 2]


def test_values_that_a_file_has_no_form_for_are_written_as_they_read(line: Line) -> None:
    """Missing values are empty or null, a list is its JSON, and what JSON cannot hold is its text."""
    import numpy as np

    odd = {
        "nan": float("nan"),
        "np": np.int64(3),
        "list": [1, None],
        "half": "\ud800",
        "complex": 1j,
        7: True,
    }
    answers = client.submit([{"prompt": "[[echo]]a"} | odd]).wait(WAIT_S)
    answers.save("answers.jsonl")
    answers.save("answers.csv")
    (row,) = map(json.loads, Path("answers.jsonl").read_bytes().splitlines())
    expected = {"nan": None, "np": 3, "list": [1, None], "half": "?", "complex": "1j", "7": True}
    assert {name: row[name] for name in expected} == expected
    with Path("answers.csv").open(encoding="utf-8", newline="") as file:
        (cells_,) = csv.DictReader(file)
    as_texts = {"nan": "", "np": "3", "list": "[1,null]", "half": "?", "complex": "1j", "7": "True"}
    assert {name: cells_[name] for name in as_texts} == as_texts


ODD = ("\r", "\n", "\r\n", '"', '""', "'", ",", ";", "\t", "\u2028", "\x85", "\x00")
HOSTILE = st.lists(
    st.one_of(
        st.text(st.characters(blacklist_categories=["Cs"]), max_size=20),
        st.sampled_from(
            [
                "\r",
                "\n",
                "\r\n",
                '"',
                '""',
                "'",
                ",",
                ";",
                "\t",
                "\u2028",
                "\x85",
                "\x00",
                "😀",
                "=1+1",
                "@x",
                "{{ x }}",
            ]
        ),
    ),
    min_size=1,
    max_size=4,
).map("".join)


@given(texts=st.lists(HOSTILE, min_size=1, max_size=5))
@examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_texts_come_back_as_they_are(texts: list[str], line: Line, elsewhere: Callable[..., None]) -> None:
    """Line ends of every kind, quotes, separators, NUL, formulas: prompt, column and answer are the same."""
    rows = [{"prompt": f"[[echo]]{text}", "mine": text, text: 1} for text in texts]
    answers = client.submit(rows).wait(WAIT_S)
    before, frame = told(answers), table(answers)
    for ending in ENDINGS:
        answers.save(f"answers{ending}")
    with Path("answers.csv").open(encoding="utf-8", newline="") as file:
        assert [row["mine"] for row in csv.DictReader(file)] == texts
    for ending in ENDINGS:
        elsewhere(sandbox=True)
        line.asked.clear()
        again = client.submit(rows, save=f"answers{ending}").wait(WAIT_S)
        assert (told(again), table(again), line.asked) == (before, frame, [])
    for name in here():
        Path(name).unlink()


def test_a_line_that_is_no_whole_json_is_mended_once(line: Line, elsewhere: Callable[..., None]) -> None:
    """Half a character in Groq's own line reads the same from the file as from the result."""
    line.on(DOWNLOAD, rewritten(lambda lines: [each.replace(b"Sandbox", b"\\ud800\xff") for each in lines]))
    answers = ask("hello").wait(WAIT_S)
    before = told(answers)
    elsewhere(sandbox=True)
    assert told(ask("hello").wait(WAIT_S)) == before


def test_a_big_number_is_what_groq_said(line: Line, elsewhere: Callable[..., None]) -> None:
    """The raw line has each of its values to the last digit."""
    big = b'"created":123456789012345678901234567890123'
    line.on(DOWNLOAD, rewritten(lambda lines: [re.sub(rb'"created":\d+', big, each) for each in lines]))
    before = ask("hello").wait(WAIT_S)[0].raw
    elsewhere(sandbox=True)
    after = ask("hello").wait(WAIT_S)[0].raw
    assert {**after, "custom_id": ""} == {**before, "custom_id": ""}
