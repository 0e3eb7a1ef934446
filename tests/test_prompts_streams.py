"""Sources that come piece by piece: iterators, asynchronous ones, Arrow streams, lazy frames; and Answers."""

import asyncio
import csv
import gc
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from collections import namedtuple
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import dask.dataframe as dask
import duckdb
import ibis
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest

from groq_magic import loop, shards
from groq_magic.errors import InputError, StillRunning
from groq_magic.prompts import Line, Skipped, from_source
from groq_magic.prompts.files import PIECE
from groq_magic.prompts.kinds import KINDS
from groq_magic.prompts.sources import understand
from groq_magic.wire import CHAT

TALK = [{"role": "user", "content": "hi"}]
ROWS = [{"prompt": f"hi {n}", "n": n} for n in range(3)]


class Told(list):
    """What an Answers is to a source: a sequence that says what it is as one."""

    def __init__(self, rows):
        super().__init__(object() for _ in rows)
        self._rows = rows

    def as_source(self):
        """The table."""
        return self._rows


async def arows(items):
    """Items that come asynchronously."""
    for item in items:
        await asyncio.sleep(0)
        yield item


async def fetched(items):
    """Items that are awaited as a whole."""
    await asyncio.sleep(0)
    return items


def read(source: object, **options: object) -> list[object]:
    """The prompts of a source."""
    return list(from_source(source, **{"named": "df", **options}).items)


def refusal(source: object, **options: object) -> str:
    """The line that a source is refused with, at once or while it is read."""
    with pytest.raises(InputError) as caught:
        read(source, **options)
    assert "\n" not in caught.value.message
    return caught.value.message


# Every way in which the same three rows can come.
WAYS = {
    "a list of rows (dicts)": lambda: ROWS,
    "an Answers": lambda: Told(ROWS),
    "a dict {id: row}": lambda: dict(zip("abc", ROWS, strict=True)),
    "an awaitable": lambda: fetched(ROWS),
    "an asynchronous generator": lambda: arows(ROWS),
    "a pandas, Polars or Arrow table": lambda: pd.DataFrame(ROWS),
    "a lazy frame": lambda: pl.LazyFrame(ROWS),
    "an Arrow stream": lambda: pa.Table.from_pylist(ROWS).to_reader(),
    "a generator or another iterable": lambda: (row for row in ROWS),
}
# Every way in which the same three texts can come.
TEXTS = ["hi 0", "hi 1", "hi 2"]
PLAIN = {
    "a list of texts": lambda: TEXTS,
    "a dict {id: prompt}": lambda: dict(zip("abc", TEXTS, strict=True)),
    "an awaitable": lambda: fetched(TEXTS),
    "an asynchronous generator": lambda: arows(TEXTS),
    "a Series of texts": lambda: pd.Series(TEXTS),
    "an array of texts": lambda: pd.Series(TEXTS).unique(),
    "a generator or another iterable": lambda: iter(TEXTS),
}
SENT_AS_THEY_ARE = {"a list of conversations", "a dict {id: conversation}", "a list of whole request lines"}


def test_every_kind_of_source_is_in_the_tables_of_this_file():
    """No kind is added without being read here, with and without a template."""
    files = "a file (.jsonl, .csv, .parquet, .txt)"  # in test_prompts_files.py
    assert {kind.name for kind in KINDS} == {*WAYS, *PLAIN, *SENT_AS_THEY_ARE, files}


BODY = {"model": "m", "messages": [{"role": "user", "content": "Say hi"}]}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_example_of_every_kind_can_be_sent(kind, tmp_path, monkeypatch):
    """The examples in the table of sources are true, and are of their kind."""
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame({"text": ["Say hi"]})
    frame.to_csv("reviews.csv")
    rows = [{"text": "Say hi"}]
    names = {"df": frame, "pl": pl, "lines": ["Say hi"], "body": BODY, "client": rows, "rows_of": arows}
    names |= {"fetch_rows": lambda: fetched(rows), "answers": Told(rows)}
    names |= {"reader": pa.table(frame).to_reader()}
    # What can be read once only is made anew.
    sources = {
        "an awaitable": lambda: fetched(rows),
        "an asynchronous generator": lambda: arows(rows),
        "an Arrow stream": lambda: pa.table(frame).to_reader(),
        "a generator or another iterable": lambda: (line for line in names["lines"]),
    }
    source = eval(kind.example, names)
    source = Path(source) if isinstance(source, str) else source
    understood = understand(source, "df", ExitStack(), templated=True)
    assert understood.kind is kind or kind.becomes is not None
    source = again() if callable(again := sources.get(kind.name)) else source
    template = {"row": "{{ text }}", "text": "{{ item }}"}.get(understood.items)
    found = list(from_source(source, template=template).items)
    assert found[0] in ("Say hi", [{"role": "user", "content": "Say hi"}], Line(CHAT, BODY))


@pytest.mark.parametrize("way", WAYS)
def test_rows_come_in_every_way_with_and_without_a_template(way):
    """The same rows give the same prompts, whatever they come in."""
    assert read(WAYS[way]()) == TEXTS
    assert read(WAYS[way](), template="{{ n }}{{ index }}: {{ row['prompt'] }}!") == [
        f"{n}{n}: hi {n}!" for n in range(3)
    ]


@pytest.mark.parametrize("way", PLAIN)
def test_texts_come_in_every_way_with_and_without_a_template(way):
    """The same texts give the same prompts, whatever they come in."""
    assert read(PLAIN[way]()) == TEXTS
    assert read(PLAIN[way](), template="{{ index }} {{ item }}") == [f"{n} hi {n}" for n in range(3)]


@pytest.mark.parametrize("make", [iter, arows, fetched, list])
def test_conversations_and_ids_come_piece_by_piece(make):
    """Conversations stay whole, and ids are read with the rows that they belong to."""
    assert read(make([TALK, TALK])) == [TALK, TALK]
    rows = [{"prompt": "x", "id": str(n)} for n in range(2 * PIECE + 1)]
    prompts = from_source(make(rows), id_column="id")
    ids = iter(prompts.ids or ())
    assert [(item, next(ids)) for item in prompts.items] == [("x", str(n)) for n in range(2 * PIECE + 1)]


def test_rows_are_numbered_through_all_pieces():
    """`index`, and the rows in errors, count from the beginning of the source."""
    rows = ({"n": n} for n in range(2 * PIECE + 5))
    assert read(rows, template="{{ n - index }}") == ["0"] * (2 * PIECE + 5)
    late = ({"n": 1 / (n - PIECE - 7) if n < PIECE + 7 else "x"} for n in range(2 * PIECE))
    said = refusal(late, template="{{ '%d' % n }}")
    assert said.startswith(f"row {PIECE + 7:,} of `df`: the template fails: ")


@pytest.mark.parametrize("make", [iter, arows])
def test_a_source_of_unknown_length_says_so(make):
    """Nobody counts an iterator before it has been read."""
    assert from_source(make(["hi"])).count is None
    assert from_source(["hi"]).count == 1


def test_a_stream_of_tables_is_read_table_by_table():
    """What reads a table in chunks, as pandas does, is a source."""
    tables = [pd.DataFrame({"n": [k, k + 1]}) for k in (0, 2)]
    assert read(arows(tables), template="{{ n }} {{ index }}") == ["0 0", "1 1", "2 2", "3 3"]
    assert read(iter(tables), template="{{ n }} {{ index }}") == ["0 0", "1 1", "2 2", "3 3"]
    assert refusal(iter([pd.DataFrame(ROWS), "hi"])) == "row 3 of `df` is not a table, as those before"
    assert refusal(iter(["hi", pd.DataFrame(ROWS)])).startswith("row 1 of `df` is a DataFrame, not a text")


def test_a_lazy_frame_is_collected_and_kept():
    """The columns of a query come back with its answers, so what it gives is kept."""
    kept = from_source(pl.LazyFrame(ROWS)).frame
    assert isinstance(kept, pl.DataFrame)
    assert kept.rows(named=True) == ROWS


def broken() -> Iterator[str]:
    """A generator that fails half-way."""
    yield "hi"
    raise OSError("the line\nis cut")


async def abroken() -> AsyncIterator[str]:
    """An asynchronous one."""
    yield "hi"
    raise OSError("the line\nis cut")


async def lost():
    """An awaitable that fails."""
    raise KeyError("rows")


def boundless() -> Iterator[str]:
    """An endless generator."""
    while True:
        yield "hi"


def early() -> Iterator[str]:
    """A generator that reads answers which are not there yet."""
    yield "hi"
    raise StillRunning("wait")


def torn() -> pa.RecordBatchReader:
    """An Arrow stream that fails half-way."""
    whole = pa.RecordBatch.from_pylist([{"prompt": "a"}])

    def batches():
        yield whole
        raise OSError("cut")

    return pa.RecordBatchReader.from_batches(whole.schema, batches())


async def cancelled():
    """An asynchronous source that is cancelled from inside."""
    yield "hi"
    raise asyncio.CancelledError


class Unready:
    """An asynchronous source that fails before its first item."""

    def __aiter__(self):
        raise OSError("not yet")


@dataclass
class Columned:
    """A row with a field of this name."""

    columns: str


def _line(function) -> int:
    """Where a function of this file raises."""
    return function.__code__.co_firstlineno + 3


SKIP = "or leave their rows unsent: `--missing skip`"


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        (lambda: iter(()), {}, "`df` gives nothing to send: it is empty, or was read before: it can be read "
         "only once, so make it anew"),
        (lambda: arows([]), {}, "`df` gives nothing to send: it is empty, or was read before: it can be read "
         "only once, so make it anew"),
        (lambda: fetched([]), {}, "`df` is empty: there is nothing to send"),
        (lambda: pa.table({"prompt": pa.array([], pa.string())}).to_reader(), {},
         "`df` gives nothing to send: it is empty, or was read before: it can be read only once, so make it "
         "anew"),
        (lambda: iter(["hi", 7]), {}, "row 1 of `df` is an int, not a text: `str(x)` makes one"),
        (lambda: iter([*["hi"] * PIECE, {"prompt": "hi"}]), {},
         "row 1,000 of `df` is a dict, not a text, as row 0 is"),
        (lambda: iter([*ROWS * PIECE, "hi"]), {}, "row 3,000 of `df` is a str, not a dict as row 0 is"),
        (lambda: iter(TALK), {},
         "`df` gives messages, not conversations: one list of messages for each prompt"),
        (lambda: iter(["a"] * 9), {"max_prompts": 8}, "`df` gave more than 8 prompts: is it endless? "),
        (lambda: iter([pd.DataFrame({"prompt": ["a"]}), pd.DataFrame({"text": ["b"]})]), {},
         "row 1 of `df`: this table lacks the column `prompt`"),
        (torn, {}, "`df` raised OSError: IOError: cut. (after 1 item, in "),
        (cancelled, {}, "`df` raised CancelledError (after 1 item, in `cancelled` line "),
        (Unready, {}, "`df` raised OSError: not yet (after 0 items, in `__aiter__` line "),
        (lambda: iter([pl.LazyFrame(ROWS)]), {}, "row 0 of `df` is a LazyFrame, not a prompt. "),
        (lambda: iter([7]), {}, "row 0 of `df` is an int"),
        (broken, {}, "`df` raised OSError: the line is cut (after 1 item, in `broken` line "
         f"{_line(broken)}); nothing was sent"),
        (abroken, {}, "`df` raised OSError: the line is cut (after 1 item, in `abroken` line "
         f"{_line(abroken)}); nothing was sent"),
        (lost, {}, "`df` raised KeyError: 'rows' (after 0 items, in `lost` line "
         f"{_line(lost) - 1}); nothing was sent"),
        (boundless, {"max_prompts": 2_500}, "`df` gave more than 2,500 prompts: is it endless? If it is not: "
         "`%config GroqMagics.max_prompts = 25000`, or `submit(…, max_prompts=…)`. Nothing was sent"),
        (lambda: iter([*ROWS, {"n": 1}]), {},
         f"column `prompt` of `df` has 1 missing value (row 3): fill them; {SKIP}"),
        (lambda: iter(["hi", None]), {}, f"`df` has 1 missing value (row 1): fill them; {SKIP}"),
        (lambda: (row for row in ROWS), {"template": "{{ text }}"},
         "the template, line 1: `text` is unknown"),
        (lambda: iter([{"prompt": "x", "id": "a"}] * 2), {"id_column": "id"},
         "row 1 of `df`: the id in `id` 'a' is that of row 0 too; ids are unique"),
        (lambda: iter([{"prompt": "x", "id": str(n % PIECE)} for n in range(PIECE + 1)]), {"id_column": "id"},
         "row 1,000 of `df`: the id in `id` '0' is that of row 0 too; ids are unique"),
    ],
)  # fmt: skip
def test_a_stream_that_cannot_be_sent_is_refused_in_one_line(source, options, said):
    """What it is, which row, and what to type; wherever in the stream it stands."""
    assert refusal(source(), **options).startswith(said)


def test_an_error_of_ours_inside_a_generator_is_not_dressed_up():
    """A generator that reads answers too early says what reading them says."""
    with pytest.raises(StillRunning, match="wait"):
        read(early())


def test_missing_values_of_an_arrow_stream_are_counted_in_the_pieces_read():
    """The count is that of the pieces which were read: a stream may be endless."""
    table = pa.table({"t": ["a", None] * PIECE})
    said = refusal(table.to_reader(), template="{{ t }}")
    assert said.startswith("column `t` of `df` has 1,000 missing values (rows 1, 3, 5, 7, 9, …): fill them; ")


@pytest.mark.parametrize("make", [list, iter, arows, pd.DataFrame, pl.DataFrame, pa.Table.from_pylist])
def test_rows_that_miss_a_value_are_skipped_in_their_places(make):
    """With `missing="skip"` such rows are not sent; every other keeps its number."""
    rows = [{"t": "a", "u": "x"}, {"t": None, "u": "y"}, {"t": "c", "u": None}, {"t": "d", "u": "z"}]
    found = read(make(rows), template="{{ t }}{{ index }}{{ row['u'] }}", missing="skip")
    assert found == ["a0x", Skipped("t"), Skipped("u"), "d3z"]
    assert read(make([{"prompt": "a"}, {"prompt": None}]), missing="skip") == ["a", Skipped("prompt")]


def test_texts_that_are_missing_are_skipped_too():
    """A list or a Series with holes is sent without them."""
    assert read(["a", None, float("nan")], missing="skip") == ["a", Skipped("item"), Skipped("item")]
    assert read([None, "a"], missing="skip", system="{{ item }}?") == [
        Skipped("item"),
        [{"role": "system", "content": "a?"}, {"role": "user", "content": "a"}],
    ]
    assert read(pd.Series(["a", None]), missing="skip") == ["a", Skipped("item")]
    assert refusal(["a"], missing="drop") == 'missing is \'drop\': it is "error" or "skip"'


def test_errors_beside_skipped_rows_name_the_right_row():
    """Rows are numbered as in the source, whatever was left out before."""
    assert refusal([None, None, ""], missing="skip") == (
        "row 2 of `df` is an empty prompt: fill it or leave it out"
    )


def test_a_stream_that_is_not_read_to_its_end_is_closed():
    """What was abandoned half-way cannot go on from the middle by mistake."""
    rows = ({"prompt": "hi"} for _ in range(3 * PIECE))
    prompts = from_source(rows)
    next(iter(prompts.items))
    prompts.close()
    assert list(rows) == []


def test_a_stream_that_is_refused_at_its_beginning_is_closed():
    """Sent again, it does not begin with its second piece: nothing would be said of the rows before."""
    rows = ({"prompt": None if n == 3 else "hi"} for n in range(2 * PIECE))
    try:
        read(rows)
    except InputError as exc:
        kept = exc  # as IPython and debuggers do, with all its frames
    assert "1 missing value" in kept.message
    assert refusal(rows, missing="skip").startswith("`df` gives nothing to send: it is empty, or was read")


def test_a_stream_that_was_read_to_its_end_is_left_open():
    """A cursor or a connection that was drained is still the user's."""
    cursor = sqlite_rows()
    assert read(cursor) == ["hi"]
    assert cursor.execute("SELECT 1").fetchone()[0] == 1


def test_a_stream_is_held_one_piece_at_a_time(tmp_path):
    """A long generator of long texts takes little memory."""
    tracemalloc.start()
    asked = from_source("x" * 10_000 + str(n) for n in range(20 * PIECE))
    shards.cut(asked, shards.Form("m"), tmp_path)
    gc.collect()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * PIECE * 10_000


NESTED = """
import asyncio
from groq_magic.prompts import from_source

async def main():
    ticked, seen, mine = [], [], asyncio.get_running_loop()

    async def tick():
        while True:
            ticked.append(1)
            await asyncio.sleep(0)

    async def rows():
        for n in range(5):
            seen.append(asyncio.get_running_loop() is mine)
            await asyncio.sleep(0)
            yield f"hi {n}"

    task = asyncio.ensure_future(tick())
    found = list(from_source(rows()).items)
    task.cancel()
    assert found == [f"hi {n}" for n in range(5)], found
    assert seen == [True] * 5, seen
    assert len(ticked) > 5, ticked

asyncio.run(main())
"""


IN_A_ROUND = """
import asyncio
from groq_magic.prompts import from_source

async def rows():
    for n in range(3):
        await asyncio.sleep(0)
        yield f"hi {n}"

found = []

async def main():
    own = asyncio.get_running_loop()
    own.call_soon(lambda: found.extend(from_source(rows()).items))
    for _ in range(5):
        own.call_soon(found.append, "beside")
    await asyncio.sleep(0.05)

asyncio.run(main())
assert sorted(found) == ["beside"] * 5 + ["hi 0", "hi 1", "hi 2"], found
"""


def test_a_round_of_the_loop_that_is_entered_goes_on_unharmed():
    """What was ready beside the cell runs within it, and is not missed afterwards: kernels died of it."""
    root = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-W", "error", "-c", IN_A_ROUND], check=True, cwd=root, timeout=60)


def test_an_interrupt_is_heard_again_as_before_after_a_drain():
    """Who handled interrupts handles them again; off the main thread nobody touches them."""
    before = signal.getsignal(signal.SIGINT)
    seen = []

    async def rows():
        seen.append(signal.getsignal(signal.SIGINT))
        yield "hi"

    def handler(*_):
        """Another one than Python's."""

    signal.signal(signal.SIGINT, handler)
    try:
        assert read(rows()) == ["hi"]
        assert signal.getsignal(signal.SIGINT) is handler
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(read, rows()).result(30) == ["hi"]
        assert seen == [signal.default_int_handler, handler]
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_is_asynchronous_runs_on_a_loop_that_is_running():
    """Inside a running loop, as in a notebook, its own loop drains the source; tasks on it go on."""
    root = Path(__file__).resolve().parents[1]  # in a process of its own: asyncio is patched for good
    subprocess.run([sys.executable, "-W", "error", "-c", NESTED], check=True, cwd=root, timeout=60)


def test_a_loop_that_cannot_be_entered_again_is_said(monkeypatch):
    """Where the notebook's loop is of another make, the line says how to drain the source first."""
    monkeypatch.setattr("nest_asyncio2.apply", lambda own: (_ for _ in ()).throw(ValueError("no")))

    async def main():
        return refusal(arows(["hi"]))

    said = asyncio.run(main())
    assert said.startswith(
        "`df` is asynchronous, and the loop that runs here (asyncio.unix_events) cannot be"
    )
    assert "rows = [x async for x in …]" in said


def test_an_interrupt_cancels_what_is_awaited():
    """After an interrupt nothing of the source goes on."""
    ended = []

    async def rows():
        try:
            yield "hi"
            await asyncio.sleep(60)
        finally:
            ended.append(asyncio.current_task().cancelling())

    def stop():
        raise KeyboardInterrupt

    loop._resting().call_later(0.2, stop)
    with pytest.raises(KeyboardInterrupt):
        read(rows())
    assert ended == [1]


def test_the_reader_is_told_how_many_items_have_come():
    """A slow source can be watched."""
    told: list[int] = []
    read(arows(["a", "b"]), tick=told.append)
    read(iter(["a", "b", "c"]), tick=told.append)
    assert told == [1, 2, 1, 2, 3]


def test_an_answers_gives_its_table():
    """The columns of one batch are the source of the next."""
    first = Told([{"id": "a", "prompt": "x", "answer": "Yes"}, {"id": "b", "prompt": "y", "answer": None}])
    found = from_source(first, template="{{ prompt }}: {{ answer }}", missing="skip", named="first")
    assert list(found.items) == ["x: Yes", Skipped("answer")]
    said = f"column `answer` of `df` has 1 missing value (row 1): fill them; {SKIP}"
    assert refusal(first, template="{{ answer }}") == said
    assert understand(first, "first", ExitStack(), templated=True).first.example() == "Classify: {{ answer }}"


Pair = namedtuple("Pair", "prompt n")


@dataclass
class Record:
    """A row of one's own make."""

    prompt: str
    n: int


def sqlite_rows():
    """What a database gives."""
    connected = sqlite3.connect(":memory:")
    connected.row_factory = sqlite3.Row
    return connected.execute("SELECT 'hi' AS prompt, 7 AS n")


@pytest.mark.parametrize(
    "source",
    [
        lambda: [Pair("hi", 7)],
        lambda: [Record("hi", 7)],
        lambda: iter([Record("hi", 7)]),
        lambda: [pydantic.create_model("Model", prompt=str, n=int)(prompt="hi", n=7)],
        sqlite_rows,
        lambda: pd.DataFrame({"prompt": ["hi"], "n": [7]}).itertuples(),
        lambda: csv.DictReader(StringIO("prompt,n\nhi,7")),
        lambda: duckdb.sql("SELECT 'hi' AS prompt, 7 AS n"),
        lambda: duckdb.sql("SELECT 'hi' AS prompt, 7 AS n").to_arrow_reader(),
        lambda: dask.from_pandas(pd.DataFrame({"prompt": ["hi"], "n": [7]}), npartitions=1),
        lambda: ibis.polars.connect({"t": pl.DataFrame({"prompt": ["hi"], "n": [7]})}).table("t"),
        lambda: pa.RecordBatch.from_pylist([{"prompt": "hi", "n": 7}]),
    ],
)
def test_rows_come_in_whatever_a_notebook_has(source):
    """Named tuples, dataclasses, models, databases, readers, and frames of every library Narwhals knows."""
    assert read(source(), template="{{ n }} {{ prompt }}") == ["7 hi"]
    assert read(source()) == ["hi"]


def test_rows_may_have_a_field_called_columns():
    """A row is no table for that."""
    assert read(iter([Columned("a"), Columned("b")]), template="{{ columns }}") == ["a", "b"]


class Loader:
    """What data loaders are: items by number, and how many."""

    def __getitem__(self, n):
        return ["a", "b"][n]

    def __len__(self):
        return 2


def test_rows_of_pandas_taken_one_by_one_are_rows():
    """What `iterrows` gives beside the index."""
    assert read([row for _, row in pd.DataFrame(ROWS).iterrows()]) == TEXTS


def test_a_dict_of_rows_has_their_ids():
    """Its keys are the ids, and its rows come back as columns."""
    prompts = from_source({"a": {"text": "x"}}, template="{{ text }}")
    assert (prompts.ids, prompts.frame) == (["a"], [{"text": "x"}])


def test_numbers_fill_a_template_and_nothing_else_does():
    """Plain values are texts, numbers or dates; anything else is no prompt, under a template too."""
    assert read([1, 2.5, True], template="Say {{ item }}") == ["Say 1", "Say 2.5", "Say True"]
    assert read(range(2), template="{{ item + 1 }}") == ["1", "2"]
    assert (
        refusal(["a", {"b": 1}], template="{{ item }}") == "row 1 of `df` is a dict, not a text, as row 0 is"
    )


@pytest.mark.parametrize(
    "source",
    [
        lambda: np.array(["a", "b"], dtype=object),
        lambda: pd.Categorical(["a", "b"]),
        lambda: pd.Index(["a", "b"]),
        lambda: pa.array(["a", "b"]),
        lambda: dask.from_pandas(pd.DataFrame({"t": ["a", "b"]}), npartitions=1)["t"],
        lambda: {"a": 1, "b": 2}.keys(),
        lambda: {1: "a", 2: "b"}.values(),
        lambda: map(str, "ab"),
        Loader,
    ],
)
def test_texts_come_in_whatever_a_notebook_has(source):
    """Arrays, views and loaders of texts are lists of texts."""
    assert read(source()) == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (lambda: zip("ab", "cd", strict=True), "row 0 of `df` is a tuple, neither a text nor a row: "
         "send the table itself, or rows as dicts"),
        (lambda: pd.DataFrame(ROWS).iterrows(), "row 0 of `df` is a tuple, neither a text nor a row"),
        (lambda: [["a", "b"]], "row 0 of `df` is a list, neither a text nor a row"),
        (lambda: [Path("a.md")], "row 0 of `df` is a PosixPath, not a prompt: `.read_text()` makes a text"),
        (lambda: pl.LazyFrame(ROWS).select("none"), "`df` fails when it is run: ColumnNotFoundError: "),
        (lambda: pl.col("x"), "`df` is an Expr, which cannot be read. "),
        (lambda: [Pair("hi", 7), "x"], "row 1 of `df` is a str, not a dict as row 0 is"),
    ],
)  # fmt: skip
def test_near_misses_of_rows_are_told_what_to_type(source, said):
    """What looks like rows and is none gets one line."""
    assert refusal(source()).startswith(said)


def test_a_thread_without_a_loop_gets_one():
    """A script drains asynchronous sources without having a loop."""

    async def where():
        return asyncio.get_running_loop()

    assert loop.run_here(where()) is loop.run_here(where())
