"""Kinds: everything that prompts can come from, in one table."""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from groq_magic.prompts import refusals, streams
from groq_magic.prompts import rows as reading
from groq_magic.prompts.checks import PLAIN, is_missing
from groq_magic.prompts.files import File
from groq_magic.prompts.rows import Rows


@dataclass(frozen=True)
class Kind:
    """One kind of source: its name and an example for people, how it is known, how it is read.

    One of three: `read` gives the rows of a source that is here as a whole; `becomes` another source in its
    place; `pieces` sources one after the other, each read by its own kind. `items` says what one item is:
    "text", "conversation", "row" or "request". `names` is what a template may use, in words. `endless`: it
    may have no end. `stands_in`: what can be typed of what it becomes can be typed of it, too. `of_tables`:
    a piece of this kind is a table.
    """

    name: str
    example: str
    fits: Callable[[Any, Any, str], bool]
    items: Literal["text", "conversation", "row", "request", "its own"] = "its own"
    names: str = ""
    read: Callable[[Any, str, int], Rows] | None = None
    becomes: Callable[[Any, str, streams.Tick], object] | None = None
    pieces: Callable[[Any, str, streams.Tick], Generator[Any]] | None = None
    endless: bool = False
    stands_in: bool = True
    of_tables: bool = False


def _is_text(item: object) -> bool:
    return isinstance(item, PLAIN)


def _is_talk(item: object) -> bool:
    return isinstance(item, list | tuple) and (not item or isinstance(item[0], Mapping))


def _is_sequence_of(fits: Callable[[object], bool]) -> Callable[[Any, Any, str], bool]:
    return lambda source, first, named: isinstance(source, Sequence) and fits(first)


def _is_dict_of(fits: Callable[[object], bool]) -> Callable[[Any, Any, str], bool]:
    return lambda source, first, named: isinstance(source, Mapping) and fits(first)


def _is(kind: type | tuple[type, ...]) -> Callable[[Any, Any, str], bool]:
    return lambda source, first, named: isinstance(source, kind)


def _is_iterable(source: object, first: object, named: str) -> bool:
    as_list = hasattr(source, "__getitem__") and hasattr(source, "__len__")
    return (as_list or isinstance(source, Iterable)) and not isinstance(source, Sequence | Mapping)


def _is_list_of_requests(source: object, first: object, named: str) -> bool:
    if not isinstance(source, Sequence) or not isinstance(first, Mapping):
        return False
    return isinstance(first.get("body"), Mapping) and ("custom_id" in first or "url" in first)


def _is_answers(source: object, first: object, named: str) -> bool:
    """An Answers, which stands above this module: known by what it can do."""
    return hasattr(type(source), "as_source")


def _is_array(source: Any, first: object, named: str) -> bool:
    """NumPy's arrays, an Index, Arrow's arrays, of one dimension."""
    shaped = getattr(source, "ndim", None) == 1 and hasattr(source, "tolist")
    return shaped or (hasattr(source, "to_pylist") and hasattr(source, "__arrow_c_array__"))


def _as_list(source: Any, named: str, tick: streams.Tick) -> object:
    return source.tolist() if hasattr(source, "tolist") else source.to_pylist()


def _is_arrow_stream(source: object, first: object, named: str) -> bool:
    return hasattr(source, "__arrow_c_stream__")


def _table(name: str) -> Callable[..., Any]:
    """A function of `tables`, which is imported at its first call: it brings Narwhals."""

    def call(*args: Any) -> Any:
        from groq_magic.prompts import tables

        return getattr(tables, name)(*args)

    return call


def _narwhals(name: str) -> Callable[[Any, Any, str], bool]:
    call = _table(name)
    quick = (Iterator, Coroutine, AsyncIterator)  # no frames, so Narwhals need not be asked
    return lambda source, first, named: (
        not isinstance(source, quick) and not _is_dask(source) and call(source, named)
    )


def _is_dask(source: object) -> bool:
    """A frame or one column of Dask's, which runs by itself: Narwhals knows no columns of it."""
    return hasattr(type(source), "__dask_graph__")


_asked_of_narwhals = _narwhals("is_lazy")


def _is_lazy(source: object, first: object, named: str) -> bool:
    return _is_dask(source) or _asked_of_narwhals(source, first, named)


KINDS: tuple[Kind, ...] = (
    Kind("a list of texts", '["Say hi", "Say bye"]', _is_sequence_of(_is_text),
         "text", "item, index", read=reading.of_values),
    Kind("a dict {id: prompt}", '{"hi": "Say hi", "bye": "Say bye"}', _is_dict_of(_is_text),
         "text", "item, id, index", read=reading.of_dict),
    Kind("a list of conversations", '[[{"role": "user", "content": "Say hi"}]]',
         _is_sequence_of(_is_talk), "conversation", "nothing: sent as it is", read=reading.of_values),
    Kind("a dict {id: conversation}", '{"hi": [{"role": "user", "content": "Say hi"}]}',
         _is_dict_of(_is_talk), "conversation", "nothing: sent as it is", read=reading.of_dict),
    Kind("a list of whole request lines",
         '[{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}]',
         _is_list_of_requests, "request", "nothing: sent as it is", read=reading.of_requests),
    Kind("a list of rows (dicts)", '[{"text": "Say hi"}]', _is_sequence_of(reading.is_record),
         "row", "the keys, row, index", read=reading.of_records),
    Kind("an Answers", "answers", _is_answers, names="its columns, row, index",
         becomes=lambda answers, named, tick: answers.as_source(), stands_in=False),
    Kind("a dict {id: row}", '{"hi": {"text": "Say hi"}}', _is_dict_of(reading.is_record),
         "row", "the keys, row, index", read=reading.of_dict_of_records),
    Kind("a file (.jsonl, .csv, .parquet, .txt)", '"reviews.csv"', _is((File, Path)),
         pieces=lambda file, named, tick: (file if isinstance(file, File) else File(file)).pieces()),
    Kind("a Series of texts", 'df["text"]', _narwhals("is_series"),
         "text", "item, index", read=_table("of_series")),
    Kind("a pandas, Polars or Arrow table", "df", _narwhals("is_table"),
         "row", "the columns, row, index", read=_table("of_table"), of_tables=True),
    Kind("a lazy frame", 'pl.scan_csv("reviews.csv")', _is_lazy,
         becomes=lambda source, named, tick: _table("collected")(source, named), stands_in=False),
    Kind("an awaitable", "fetch_rows()", _is(Awaitable), becomes=streams.awaited, stands_in=False),
    Kind("an asynchronous generator", "rows_of(client)", _is(AsyncIterable),
         pieces=streams.of_async, endless=True),
    Kind("an array of texts", 'df["text"].unique()', _is_array, becomes=_as_list),
    Kind("an Arrow stream", "reader", _is_arrow_stream,
         pieces=lambda source, named, tick: streams.of_tables(_table("streamed")(source), named),
         endless=True),
    Kind("a generator or another iterable", "(line for line in lines)", _is_iterable,
         pieces=streams.of_iterable, endless=True),
)  # fmt: skip
"""The first that fits is taken. A new source is a row here."""


def kind_of(source: Any, named: str, templated: bool, *, of_stream: bool = False) -> Kind:
    """The kind of a source, or of a piece of a stream. Raises for what is none."""
    first = first_of(source)
    refusals.check(source, first, named)
    if isinstance(source, Sequence) and refusals.is_message(first) and not templated:
        stream = "gives messages, not conversations: one list of messages for each prompt"
        whole = "is one conversation: wrap it: [{named}]"
        raise refusals.refusal(source, named, stream if of_stream else whole)
    for kind in KINDS:
        if kind.fits(source, first, named):
            return kind
    raise refusals.other(source, first, named)


def sources_markdown() -> str:
    """The README's table of the sources, one row each, as Markdown."""
    rows = [f"| {kind.name} | `--from {kind.example}` | {kind.names or 'as its items'} |" for kind in KINDS]
    return "\n".join(["| source | for example | a template may use |", "|---|---|---|", *rows])


def first_of(source: object) -> object:
    """The first item, or value of a dict, that is not missing; None where there is none to see."""
    if isinstance(source, Mapping):
        values: Iterable[object] = source.values()
    elif isinstance(source, Sequence):
        values = source
    else:
        return None
    return next((value for value in values if not is_missing(value)), None)
