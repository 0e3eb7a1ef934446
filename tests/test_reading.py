"""Result files → rows: whatever lines a file holds, in whatever order, and how many rows stand how."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groq_magic import schema, wire
from groq_magic.answers.reading import MISSING, STATUSES, Lent, Repeated, Rows, Source

COLUMNS = ("status", "prompt_tokens", "completion_tokens", "_file", "_offset", "problems", "_misfits")
LABELS = schema.schema_of("good|bad")


def line(custom_id: str, text: str = "good", finish: str = "stop", asked: int = 2) -> bytes:
    """A plain answer as a line of a result file."""
    content = json.dumps({"label": text})
    said: dict[str, Any] = {"choices": [{"message": {"content": content}, "finish_reason": finish}]}
    said |= {"usage": {"prompt_tokens": asked, "completion_tokens": 3}}
    return wire.result_line(custom_id, 200, "", json.dumps(said).encode())


def failed(custom_id: str, code: str = "too_long") -> bytes:
    """A refusal as a line of a result file."""
    return wire.result_line(custom_id, 400, "", wire.error_of(code, "It was refused."))


def sent(path: Path, ids: Sequence[str]) -> Path:
    """A file of requests under these ids."""
    path.write_text("".join(json.dumps({"custom_id": each}) + "\n" for each in ids))
    return path


def sent_back(path: Path, *lines: bytes) -> Path:
    """A result file of these lines."""
    path.write_bytes(b"".join(lines))
    return path


def rows_of(source: Source) -> Rows:
    """The rows of one file of requests."""
    return Rows("job", max(source.rows) + 1, [source])


def columns(rows: Rows) -> dict[str, Any]:
    """All that a file fills."""
    return {name: getattr(rows, name) for name in COLUMNS}


def told(rows: Rows) -> dict[str, int]:
    """How many rows are in each status, counted by hand."""
    seen = Counter(rows.status)
    return {name: seen[code] for code, name in enumerate(STATUSES)}


NUMBERS = st.integers(0, 5)
IDS = st.builds("p-{}".format, NUMBERS | st.sampled_from(["", "01", "9", "-1", "x"])) | st.just("other")
LINES = st.one_of(
    *[st.builds(line, IDS, st.sampled_from(["good", "odd"]), st.sampled_from(["stop", "length"]), NUMBERS)]
    * 3,
    st.builds(failed, IDS, st.sampled_from(["too_long", "batch_expired"])),
    st.sampled_from([b"\n", b"no JSON\n", b"{}\n", b'{"custom_id": "p-1"}\n']),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all the files of a property."""
    return tmp_path_factory.mktemp("reading")


@settings(max_examples=100)
@given(
    files=st.lists(st.lists(LINES, min_size=1, max_size=8), min_size=1, max_size=3),
    given_ids=st.booleans(),
    picked=st.sampled_from([range(6), range(2, 8), (0, 1, 3, 4, 7, 8)]),
    judged=st.booleans(),
)
def test_lines_that_are_read_together_say_what_each_says(
    folder: Path, files: list[list[bytes]], given_ids: bool, picked: Sequence[int], judged: bool
) -> None:
    """Answers, failures, repeats, strangers and nonsense in any order fill the rows as they do one by one."""
    asked = sent(folder / "sent", [f"p-{n}" for n in range(6)])
    source = Source(0, asked, picked, "" if given_ids else "p-")
    together, alone = rows_of(source), rows_of(source)
    for rows in (together, alone) if judged else ():
        rows.judge(LABELS)
    for number, lines in enumerate(files):
        path = sent_back(folder / f"output-{number}", *lines)
        ends = [sum(map(len, lines[: n + 1])) for n in range(len(lines))]
        with pytest.MonkeyPatch.context() as patch:  # each line by itself, and the careful way
            patch.setattr(wire, "ordinary", lambda lines, *, texts: None)
            tokens = [alone.collect(0, path, end) for end in ends]
        assert together.collect(0, path) == tokens[-1]
    assert columns(together) == columns(alone)
    assert together.label_counts() == alone.label_counts()


@pytest.mark.parametrize(
    "end", ["", "00", "01", "-0", "-1", "+1", " 1", "1 ", "1_0", "٣", "1.0", "6", "9" * 5_000]
)
def test_an_id_is_ours_only_as_we_write_it(tmp_path: Path, end: str) -> None:
    """What Python would take for a number of ours, and we never wrote, is nobody's."""
    rows, path = rows_of(Source(0, tmp_path / "sent", range(6), "p-")), tmp_path / "output"
    for lines in ([line(f"p-{end}")], [line("p-0"), line(f"p-{end}"), line("p-2")]):
        path.write_bytes(b"".join(lines))
        rows.collect(0, path)
        rows._read.clear()
    assert list(rows.status) == [1, 0, 1, 0, 0, 0]


def test_a_large_file_in_another_order_is_read_whole(tmp_path: Path) -> None:
    """Lines of more than one block, backwards: each row finds its own; what comes again changes none."""
    rows, path = rows_of(Source(0, tmp_path / "sent", range(3_000), "p-")), tmp_path / "output"
    lines = [line(f"p-{n}", f"text {n}", asked=n) for n in range(3_000)]
    again = [line(f"p-{n}", "too late", "length", asked=n) for n in range(3_000)]
    path.write_bytes(b"".join([*reversed(lines), *again]))
    assert rows.collect(0, path)[1] == 3 * 6_000
    assert list(rows.prompt_tokens) == list(range(3_000))
    for n, reply in enumerate(rows.replies(range(3_000))):
        assert reply is not None
        assert reply.text == f'{{"label": "text {n}"}}'


def test_counts_are_those_of_now_whatever_filled_the_rows(tmp_path: Path) -> None:
    """After answers, ends, loans, repeats and a new schema both counts are as if counted anew."""
    path, source = tmp_path / "output", Source(0, tmp_path / "sent", range(3), "p-")
    lender = rows_of(Source(0, tmp_path / "sent", range(1), "l-"))
    rows = Rows("job", 5, [source], repeated=Repeated((3,), (0,)))
    lent = Lent(lender, [4], [0])

    def look(*labels: int) -> None:
        assert rows.counts() == told(rows)
        assert tuple(rows.label_counts().values()) == labels

    look()
    rows.judge(LABELS)
    look(0, 0)
    path.write_bytes(line("p-0") + line("p-1", "odd"))
    rows.collect(0, path)
    look(2, 0)
    rows.close(0, MISSING, "missing", "No reply came.")
    look(2, 0)
    lender.collect(0, sent_back(tmp_path / "lent", line("l-0", "bad")))
    rows.borrow(lent)
    look(2, 1)
    rows.judge(schema.schema_of("odd|bad"))
    look(1, 1)
    assert sum(rows.counts().values()) == 5


def test_what_is_done_to_counts_is_not_done_to_the_rows(tmp_path: Path) -> None:
    """Counts are the caller's own: changing them changes no later ones."""
    rows = rows_of(Source(0, tmp_path / "sent", range(2), "p-"))
    rows.counts().clear()
    assert rows.counts() == told(rows)


def test_ids_of_the_users_own_leave_nothing_behind(tmp_path: Path) -> None:
    """Once a file of prompts has its end, no table of its ids is kept; an id is found all the same."""
    ids = ["one", "two"]
    rows = rows_of(Source(0, sent(tmp_path / "sent", ids), range(2), ""))
    rows.collect(0, sent_back(tmp_path / "output", line("two"), line("one")))
    rows.close(0, MISSING, "missing", "No reply came.")
    assert not rows._finders
    assert not rows._ids
    assert [rows.row_of(each) for each in (*ids, "three")] == [0, 1, None]


@settings(max_examples=60)
@given(lines=st.lists(LINES, min_size=1, max_size=8), given_ids=st.booleans())
def test_a_file_holds_what_its_lines_hold(folder: Path, lines: list[bytes], given_ids: bool) -> None:
    """Before a file is taken in: how many requests it answers, and how many lines answer none."""
    known = [f"p-{n}" for n in range(6)]
    rows = rows_of(Source(0, sent(folder / "sent", known), range(6), "" if given_ids else "p-"))
    found = [json.loads(each).get("custom_id") for each in lines if each.startswith(b"{")]
    ours = [each for each in found if each in known]
    filled = sum(not each.isspace() for each in lines)
    held = rows.inspect(0, sent_back(folder / "output", *lines))
    assert (held.ours, held.others) == (len(set(ours)), filled - len(ours))
