"""Answers in a file: what is written there at the end, and read from there first."""

from __future__ import annotations

import csv
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from groq_magic import client, services
from groq_magic.answers import Answers, cells
from tests.line import (
    POLL,
    WAIT_S,
    Line,
    echoes,
    forget,
    last,
    line,
    no_late_files,
    numbers,
    pauses,
    replaced,
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


def records(path: Path) -> list[dict[str, Any]]:
    """What the last column of a file says."""
    return [json.loads(ours) for _, ours in cells.FORMS[path.suffix].read(path)]


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
    "unique": (
        [*echoes(2), *echoes(2), "[[fail]]", "[[fail]]"],
        {"unique": True},
        NOTHING,
        {"ok": 4, "failed": 2},
    ),
    "equal rows": (["[[echo]]a", "[[echo]]b", "[[echo]]a"], {}, NOTHING, {"ok": 3}),
    "ids": ({"x": "[[echo]]1", 'y"': "[[fail]]"}, {}, NOTHING, {"ok": 1, "failed": 1}),
    "a conversation": (
        [[{"role": "user", "content": "[[echo]]hi"}], [{"role": "user", "content": "?"}]],
        {},
        NOTHING,
        {"ok": 2},
    ),
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
    """On another machine, without key and network, the file gives back every answer, and why there is none."""
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
    assert [kept.name for kept in Path().iterdir()] == [path.name]


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
    assert (seen.reused, seen.notes) == (
        20,
        ("20 answers were read from answers.csv.", "Saved in answers.csv."),
    )
