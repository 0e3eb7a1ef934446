"""Tables: whatever Narwhals knows as an eager frame or series, read in batches of the columns that are used.

This module imports Narwhals, and is imported only where a source is no list and no dict.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import narwhals as nw
from narwhals.exceptions import DuplicateError

from groq_magic.errors import InputError
from groq_magic.prompts.checks import one_line, quoted
from groq_magic.prompts.rows import ITEM, Field, Rows

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


def collected(source: object, named: str) -> object:
    """What a query that has not run gives: an eager frame of Polars, pandas or Arrow."""
    try:
        if hasattr(source, "compute"):
            return source.compute()
        return native(source, named).collect().to_native()
    except Exception as exc:  # whatever the engine raises
        said = f"{type(exc).__name__}: {one_line(exc)}"
        raise InputError(f"{quoted(named)} fails when it is run: {said}") from exc


def streamed(source: object) -> Iterator[object]:
    """An Arrow stream, one small table after the other."""
    try:
        import pyarrow as pa
    except ModuleNotFoundError as exc:
        raise InputError("an Arrow stream takes pyarrow: pip install pyarrow") from exc

    reader = pa.RecordBatchReader.from_stream(source)
    for batch in reader:
        for start in range(0, batch.num_rows, BATCH):
            yield pa.Table.from_batches([batch.slice(start, BATCH)])


def of_series(source: object, named: str, start: int = 0) -> Rows:
    """The rows of a Series of texts."""
    series = native(source, named)
    drop = "drop_nulls" if series.implementation.is_polars() else "dropna"
    return Rows(
        named,
        range(start, start + len(series)),
        plain={"item": lambda: _batches(series)},
        missing=lambda field: _missing(series) if field == ITEM else (),
        frame=_framed(source),
        dropping=f"{{source}}.{drop}()",
    )


def _framed(series: Any) -> object | None:
    """A Series as a frame of one column, with its index; None where its library has no such thing."""
    if not hasattr(series, "to_frame"):
        return None
    frame: object = series.to_frame() if getattr(series, "name", "") else series.to_frame("item")
    return frame


def of_table(source: object, named: str, start: int = 0) -> Rows:
    """The rows of an eager frame, which is kept by reference and never copied as a whole."""
    frame: nw.DataFrame[Any] = native(source, named)
    columns: tuple[Any, ...] = tuple(frame.columns)

    def read(column: Any) -> Iterator[object]:
        values = _batches(frame.get_column(column))
        return map(_without_nones, values) if column == "messages" else values

    def rows() -> Iterator[object]:
        for values in zip(*map(read, columns), strict=True):
            yield dict(zip(columns, values, strict=True))

    def missing(field: Field) -> Sequence[int]:
        return _missing(frame.get_column(field.column))  # type: ignore[arg-type]  # pandas has any label

    dropping, casting = _words(frame)
    return Rows(
        named,
        range(start, start + len(frame)),
        columns=columns,
        read=read,
        missing=missing,
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
        return '{source}.filter(pc.is_valid(pc.field("{column}")))', ""
    return "{source}.dropna(subset=[{column!r}])", "{source}.astype({{{column!r}: str}})"


def _batches(series: nw.Series[Any]) -> Iterator[object]:
    starts = range(0, len(series), BATCH)
    return chain.from_iterable(series[start : start + BATCH].to_list() for start in starts)


def _missing(series: nw.Series[Any]) -> Sequence[int]:
    gone = series.is_null()
    if series.dtype.is_float():
        gone = gone | series.is_nan()
    found: list[int] = gone.arg_true().to_list()
    return found


def _without_nones(messages: Any) -> object:
    """Messages as Python writes them: frames hold arrays, and fill the keys that a message or part lacks."""
    if hasattr(messages, "tolist"):
        messages = messages.tolist()
    if isinstance(messages, dict):
        return {key: _without_nones(value) for key, value in messages.items() if value is not None}
    return [_without_nones(each) for each in messages] if isinstance(messages, list) else messages
