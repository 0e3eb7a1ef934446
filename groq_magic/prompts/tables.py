"""Tables: whatever Narwhals knows as an eager frame or series, read in batches of the columns that are used.

This module imports Narwhals, and is imported only where a source is no list and no dict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import narwhals as nw
from narwhals.exceptions import DuplicateError

from groq_magic.errors import InputError
from groq_magic.prompts.checks import missing_values, quoted, short
from groq_magic.prompts.rows import Missing, Rows

BATCH = 10_000
"""Rows that are turned into Python values at a time."""


def native(source: object, named: str) -> Any:
    """The source as Narwhals sees it: a DataFrame, a LazyFrame, a Series, or the source itself."""
    try:
        return nw.from_native(source, pass_through=True, allow_series=True)
    except DuplicateError as exc:
        twice = str(exc).partition("got:")[2].split("'")
        name = f": `{twice[1]}` is there twice" if len(twice) > 1 else ""
        raise InputError(f"{quoted(named)} has columns of the same name{name}; rename one") from exc


def is_table(source: object, named: str) -> bool:
    """Whether it is an eager frame."""
    return isinstance(native(source, named), nw.DataFrame)


def is_series(source: object, named: str) -> bool:
    """Whether it is one column of an eager frame."""
    return isinstance(native(source, named), nw.Series)


def is_lazy(source: object, named: str) -> bool:
    """Whether it is a query that has not run yet."""
    return isinstance(native(source, named), nw.LazyFrame)


def of_series(source: object, named: str) -> Rows:
    """The rows of a Series of texts. Missing values raise, with their count and the first rows."""
    series = native(source, named)
    many, rows = _missing(series)
    if many:
        drop = "drop_nulls" if series.implementation.is_polars() else "dropna"
        raise InputError(
            f"{quoted(named)} has {missing_values(many, rows)}: "
            f"fill them, or leave them out: {short(named)}.{drop}()"
        )
    return Rows(named, len(series), plain={"item": lambda: _batches(series)})


def of_table(source: object, named: str) -> Rows:
    """The rows of an eager frame, which is kept by reference and never copied as a whole."""
    frame: nw.DataFrame[Any] = native(source, named)
    columns: tuple[Any, ...] = tuple(frame.columns)

    def read(column: Any) -> Iterator[object]:
        values = _batches(frame.get_column(column))
        return map(_without_nones, values) if column == "messages" else values

    def rows() -> Iterator[object]:
        for values in zip(*map(read, columns), strict=True):
            yield dict(zip(columns, values, strict=True))

    dropping, casting = _words(frame)
    return Rows(
        named,
        len(frame),
        columns=columns,
        read=read,
        missing=lambda column: _missing(frame.get_column(column)),  # type: ignore[arg-type]  # pandas has any label
        plain={"row": rows},
        frame=source,
        dropping=dropping,
        casting=casting,
    )


def _words(frame: nw.DataFrame[Any]) -> tuple[str, str]:
    """What the frame's own library calls dropping missing rows and making a column texts."""
    if frame.implementation.is_polars():
        return "{source}.drop_nulls({column!r})", "{source}.with_columns(pl.col({column!r}).cast(pl.String))"
    if frame.implementation.is_pyarrow():
        return '{source}.filter(pc.is_valid(pc.field("{column}")))', '{source}["{column}"].cast(pa.string())'
    return "{source}.dropna(subset=[{column!r}])", "{source}[{column!r}].astype(str)"


def _batches(series: nw.Series[Any]) -> Iterator[object]:
    for start in range(0, len(series), BATCH):
        yield from series[start : start + BATCH].to_list()


def _missing(series: nw.Series[Any]) -> Missing:
    gone = series.is_null()
    if series.dtype.is_float():
        gone = gone | series.is_nan()
    many = int(gone.sum())
    return many, gone.arg_true().head(5).to_list() if many else []


def _without_nones(messages: Any) -> object:
    """A list of messages as Python writes it: frames hold arrays, and fill the keys that a message lacks."""
    to_list: Callable[[], object] | None = getattr(messages, "tolist", None)
    listed_messages = to_list() if to_list is not None else messages
    if not isinstance(listed_messages, list):
        return listed_messages
    return [
        {key: value for key, value in message.items() if value is not None}
        if isinstance(message, dict)
        else message
        for message in listed_messages
    ]
