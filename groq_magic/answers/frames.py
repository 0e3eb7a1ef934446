"""Answers as tables: the source's own columns, order and index, then what came back.

Columns added: `answer`, `answer_status`, `answer_error`, `answer_finish`, `prompt_tokens`,
`completion_tokens`, `sample` in front of them where each prompt has several, and behind them a column for
each field of a schema, which holds JSON's values; where there is such a name already, the later one takes
the suffix `_answer`. Without a source table the first columns are `id` and `prompt`.
A source table is a frame, a list of rows, or a file, which is read again; a stream leaves none.
Frame libraries are imported where used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from groq_magic.answers import columns
from groq_magic.errors import InputError
from groq_magic.prompts.checks import one_line
from groq_magic.prompts.files import File

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from groq_magic.answers.answers import Answers
    from groq_magic.schema import Schema


def _library(name: str) -> Any:
    """A frame library, imported where it is used. Raises InputError where it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as exc:
        raise InputError(f"{name} is not installed: pip install {name}; or `.to_dicts()`.") from exc


def _turned(into: Callable[[], Any]) -> Any:
    """A frame in another library, which may take a third. Raises InputError where that is not installed."""
    try:
        return into()
    except ImportError as exc:
        missing = exc.name or "pyarrow"
        said = f"Turning the source into that takes {missing}: pip install {missing}; or `.to_dicts()`."
        raise InputError(said) from exc


_COUNTS = ("sample", "prompt_tokens", "completion_tokens")
ADDED = ("answer", "answer_status", "answer_error", "answer_finish", "prompt_tokens", "completion_tokens")


def kept(frame: object | None) -> object | None:
    """The source table, out of reach of what is done to the user's own later; its data is not copied.

    Of a list of rows the list is copied, and not its rows.
    """
    if frame is None or isinstance(frame, File):
        return frame
    if isinstance(frame, Sequence):
        return list(frame)
    from narwhals import dependencies as known

    if known.is_pandas_dataframe(frame):
        return frame.copy(deep=False)
    return frame.clone() if known.is_polars_dataframe(frame) else frame


def dicts(answers: Answers) -> list[dict[str, Any]]:
    """One dict for each prompt, with its `id` and `prompt`, or the columns of the source table."""
    source = _source(answers)
    if source is None:
        found = _columns(answers, (), conversations=True)
        return [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
    asked = source if isinstance(source, list) else source.rows(named=True)
    taken = dict.fromkeys(key for given in asked for key in given)  # of all rows: a row may lack some
    names = renamed(added(answers), taken)
    rows = zip(*_came(answers), strict=True)
    return [given | dict(zip(names, row, strict=True)) for given, row in zip(asked, rows, strict=True)]


def to_pandas(answers: Answers) -> pandas.DataFrame:
    """A new pandas frame; the source's is not touched and its index is kept."""
    pd = _library("pandas")

    source = _source(answers)
    if source is None:
        given = pd.DataFrame(index=pd.RangeIndex(len(answers)))
    else:
        given = pd.DataFrame(source) if isinstance(source, list) else _turned(source.to_pandas)
    beside = _columns(answers, given.columns)
    framed: pandas.DataFrame = given.assign(
        **{
            name: pd.Series(values, given.index, dtype=_pandas_type(name, values))
            for name, values in beside.items()
        }
    )
    return framed


def _kinds(name: str, values: list[Any]) -> set[type]:
    """Of which types the values of a column are, missing ones aside; texts where all are missing."""
    kinds = set(map(type, values)) - {type(None)}
    return kinds or {int if name.startswith(_COUNTS) else str}


def _pandas_type(name: str, values: list[Any]) -> Any:
    """A type that knows missing values: integers and truth values would become others beside them."""
    kinds = _kinds(name, values)
    if kinds == {str}:
        return None
    if kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in values):
        return "Int64"
    return "boolean" if kinds == {bool} else "float64" if kinds <= {int, float} else object


def to_polars(answers: Answers) -> polars.DataFrame:
    """A new Polars frame."""
    pl = _library("polars")

    source = _source(answers)
    if source is None:
        given = pl.DataFrame()
    elif isinstance(source, list):  # values of several types in a column become texts
        rows = [{str(key): value for key, value in row.items()} for row in source]
        try:
            given = pl.DataFrame(rows, infer_schema_length=None, strict=False)
        except Exception as exc:  # whatever Polars raises
            raise _mixed("Polars", exc) from exc
    else:
        given = _turned(source.to_polars)
    beside = [_polars_series(pl, name, values) for name, values in _columns(answers, given.columns).items()]
    framed: polars.DataFrame = pl.DataFrame(beside) if source is None else given.hstack(beside)
    return framed


def _polars_series(pl: Any, name: str, values: list[Any]) -> Any:
    """A column; values that no type of Polars holds together become their JSON."""
    kinds = _kinds(name, values)
    known = {str: pl.String, int: pl.Int64, bool: pl.Boolean, float: pl.Float64}
    try:
        if kinds == {int, float}:
            return pl.Series(name, values, dtype=pl.Float64, strict=False)
        return pl.Series(name, values, dtype=known.get(*kinds) if len(kinds) == 1 else None)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, _as_texts(values), dtype=pl.String)


def to_arrow(answers: Answers) -> pyarrow.Table:
    """A new Arrow table."""
    pa = _library("pyarrow")

    source = _source(answers)
    given = None
    if isinstance(source, list):
        given = _arrow_of(source, pa)
    elif source is not None:  # a pandas index is no column of the source
        pandas_s = source.implementation.is_pandas()
        given = (
            pa.Table.from_pandas(source.to_pandas(), preserve_index=False) if pandas_s else source.to_arrow()
        )
    beside = _columns(answers, given.column_names if given is not None else ())
    arrays = {name: arrow_array(pa, name, values) for name, values in beside.items()}
    if given is None:
        return pa.table(arrays)
    for name, values in arrays.items():
        given = given.append_column(name, values)
    return given


def as_source(answers: Answers) -> object:
    """The table that is like the source: a frame of its library with its index, or a list of dicts."""
    if isinstance(answers._frame, File | list | None):
        return dicts(answers)
    from narwhals import dependencies as known

    if known.is_polars_dataframe(answers._frame):
        return to_polars(answers)
    return to_arrow(answers) if known.is_pyarrow_table(answers._frame) else to_pandas(answers)


def _arrow_of(rows: list[dict[str, Any]], pa: Any) -> Any:
    names = dict.fromkeys(name for row in rows for name in row)
    try:
        return pa.table({str(name): pa.array([row.get(name) for row in rows]) for name in names})
    except (pa.ArrowException, OverflowError, ValueError) as exc:
        raise _mixed("Arrow", exc) from exc


def arrow_array(pa: Any, name: str, values: list[Any]) -> Any:
    """A column; values that no type of Arrow holds together become their JSON."""
    kinds = _kinds(name, values)
    known = {str: pa.string(), int: pa.int64(), bool: pa.bool_(), float: pa.float64()}
    try:
        return pa.array(values, known.get(*kinds) if len(kinds) == 1 else None)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return pa.array(_as_texts(values), pa.string())


def _as_texts(values: list[Any]) -> list[str | None]:
    return [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]


def _mixed(library: str, exc: Exception) -> InputError:
    said = one_line(exc).rstrip(".")
    return InputError(
        f"The rows hold values that {library} cannot hold in one column: {said}. `.to_dicts()` and "
        "`.to_pandas()` do."
    )


def _source(answers: Answers) -> Any:
    """The user's table cut to these answers' rows, as a list of dicts or through Narwhals; None if none."""
    kept = answers._frame
    if isinstance(kept, File):
        kept = _read_again(kept)
    if kept is None:
        return None
    samples = answers._rows.samples
    if isinstance(kept, list):
        return [dict(kept[row // samples]) for row in answers._picked]
    import narwhals as nw

    frame: Any = nw.from_native(cast(Any, kept), eager_only=True)
    if not answers._part and samples == 1:
        return frame
    return frame[[row // samples for row in answers._picked], :]


def _read_again(file: File) -> object:
    """The columns of a file: a list of dicts, or an Arrow table."""
    pieces = file.again()
    if isinstance(pieces[0], list):
        return [row for piece in pieces for row in piece]
    return _library("pyarrow").concat_tables(pieces)


def _columns(answers: Answers, taken: Iterable[str], *, conversations: bool = False) -> dict[str, list[Any]]:
    """The columns that stand beside the source's, whose names are `taken`; `conversations` stay lists."""
    names, found = list(added(answers)), _came(answers)
    if answers._frame is None:
        names = ["id", "prompt", *names]
        asked = list(columns.prompts(answers._rows, answers._picked))
        found = [_ids(answers), asked if conversations else list(map(_as_text, asked)), *found]
    return dict(zip(renamed(names, taken), found, strict=True))


def _ids(answers: Answers) -> list[str]:
    return [answers._rows.custom_id(row) for row in answers._picked]


def _came(answers: Answers) -> list[list[Any]]:
    """The columns that `added` names."""
    rows, schema = answers._rows, answers._schema
    found = columns.came(rows, answers._picked)
    samples = [[rows.sample(row) for row in answers._picked]] if rows.samples > 1 else []
    return [
        *samples,
        found.texts,
        found.status,
        found.errors,
        found.finish_reasons,
        found.prompt_tokens,
        found.completion_tokens,
        *(_fields(schema, found) if schema is not None else ()),
    ]


def _fields(schema: Schema, found: columns.Came) -> list[list[Any]]:
    """A column for each field of what fits the schema."""
    held = [
        schema.values(text or "") if status == "ok" else {}
        for text, status in zip(found.texts, found.status, strict=True)
    ]
    return [[each.get(name) for each in held] for name in schema.fields]


def added(answers: Answers) -> tuple[str, ...]:
    """The names of the columns that answers have, two of which may be equal."""
    fields = answers._schema.fields if answers._schema else ()
    return (*(("sample",) if answers._rows.samples > 1 else ()), *ADDED, *fields)


def _as_text(prompt: str | list[dict[str, Any]] | None) -> str | None:
    """A column holds one type: a conversation is its JSON."""
    return json.dumps(prompt, ensure_ascii=False) if isinstance(prompt, list) else prompt


def renamed(names: Iterable[str], taken: Iterable[str]) -> list[str]:
    """The names, or others that are free."""
    used, free = set(taken), []
    for name in names:
        while name in used:
            name += "_answer"
        used.add(name)
        free.append(name)
    return free
