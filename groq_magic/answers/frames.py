"""Answers as tables: the source's own columns, order and index, then what came back.

Columns added: `answer`, `answer_status`, `answer_error`, `answer_finish`, `prompt_tokens`,
`completion_tokens`, and `sample` in front of them where each prompt has several; where the source has such a
name already, ours takes the suffix `_answer`. Without a source table the first columns are `id` and `prompt`.
Frame libraries are imported where used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from groq_magic.errors import InputError

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from groq_magic.answers.answers import Answer, Answers


def _library(name: str) -> Any:
    """A frame library, imported where it is used. Raises InputError where it is not installed."""
    try:
        return import_module(name)
    except ModuleNotFoundError as exc:
        raise InputError(f"{name} is not installed: pip install {name}; or `.to_dicts()`.") from exc


_COUNTS = ("sample", "prompt_tokens", "completion_tokens")
_ADDED = ("answer", "answer_status", "answer_error", "answer_finish", "prompt_tokens", "completion_tokens")


def kept(frame: object | None) -> object | None:
    """The source table, out of reach of what is done to the user's own later; its data is not copied."""
    if frame is None:
        return None
    from narwhals import dependencies as known

    if known.is_pandas_dataframe(frame):
        return frame.copy(deep=False)
    return frame.clone() if known.is_polars_dataframe(frame) else frame


def _row(answer: Answer, samples: int) -> dict[str, Any]:
    sample = {"sample": answer.sample} if samples > 1 else {}
    if answer.status == "pending":
        return sample | dict.fromkeys(_ADDED) | {"answer_status": "pending"}
    usage, error = answer.usage, answer.error
    return sample | {
        "answer": answer.text,
        "answer_status": answer.status,
        "answer_error": str(error) if error else None,
        "answer_finish": answer.finish_reason,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
    }


def dicts(answers: Answers) -> list[dict[str, Any]]:
    """One dict for each prompt, with its `id` and `prompt`, or the columns of the source table."""
    rows = [_row(answer, answers._rows.samples) for answer in answers]
    frame = _source(answers)
    if frame is None:
        asked = [{"id": answer.custom_id, "prompt": answer.prompt} for answer in answers]
    else:
        asked = frame.rows(named=True)
    return [given | _renamed(row, given) for given, row in zip(asked, rows, strict=True)]


def to_pandas(answers: Answers) -> pandas.DataFrame:
    """A new pandas frame; the source's is not touched and its index is kept."""
    pd = _library("pandas")

    frame = _source(answers)
    given = pd.DataFrame(index=pd.RangeIndex(len(answers))) if frame is None else frame.to_pandas()
    columns = _columns(answers, given.columns)
    framed: pandas.DataFrame = given.assign(
        **{
            # Int64 knows missing values: other integers would become floats beside them
            name: pd.Series(values, given.index, dtype="Int64" if name.startswith(_COUNTS) else None)
            for name, values in columns.items()
        }
    )
    return framed


def to_polars(answers: Answers) -> polars.DataFrame:
    """A new Polars frame."""
    pl = _library("polars")

    frame = _source(answers)
    given = frame.to_polars() if frame is not None else pl.DataFrame()
    columns = [
        pl.Series(name, values, dtype=pl.Int64 if name.startswith(_COUNTS) else pl.String)
        for name, values in _columns(answers, given.columns).items()
    ]
    framed: polars.DataFrame = pl.DataFrame(columns) if frame is None else given.hstack(columns)
    return framed


def to_arrow(answers: Answers) -> pyarrow.Table:
    """A new Arrow table."""
    pa = _library("pyarrow")

    frame = _source(answers)
    given = None
    if frame is not None:  # a pandas index is no column of the source
        pandas_s = frame.implementation.is_pandas()
        given = (
            pa.Table.from_pandas(frame.to_pandas(), preserve_index=False) if pandas_s else frame.to_arrow()
        )
    columns = _columns(answers, given.column_names if given is not None else ())
    arrays = {
        name: pa.array(values, pa.int64() if name.startswith(_COUNTS) else pa.string())
        for name, values in columns.items()
    }
    if given is None:
        return pa.table(arrays)
    for name, values in arrays.items():
        given = given.append_column(name, values)
    return given


def _source(answers: Answers) -> Any:
    """The user's table, through Narwhals, cut to these answers' rows; None where there was none."""
    if answers._frame is None:
        return None
    import narwhals as nw

    frame: Any = nw.from_native(cast(Any, answers._frame), eager_only=True)
    samples = answers._rows.samples
    if not answers._part and samples == 1:
        return frame
    return frame[[row // samples for row in answers._picked], :]


def _columns(answers: Answers, taken: Iterable[str]) -> dict[str, list[Any]]:
    rows = [_row(answer, answers._rows.samples) for answer in answers]
    columns: dict[str, list[Any]] = {}
    if answers._frame is None:
        columns["id"] = [answer.custom_id for answer in answers]
        columns["prompt"] = [_as_text(answer.prompt) for answer in answers]
    columns |= {name: [row[name] for row in rows] for name in _added(answers)}
    return _renamed(columns, taken)


def _added(answers: Answers) -> tuple[str, ...]:
    return ("sample", *_ADDED) if answers._rows.samples > 1 else _ADDED


def _as_text(prompt: str | list[dict[str, Any]]) -> str:
    """A column holds one type: a conversation is its JSON."""
    return prompt if isinstance(prompt, str) else json.dumps(prompt, ensure_ascii=False)


def _renamed(columns: dict[str, Any], taken: Iterable[str]) -> dict[str, Any]:
    """The columns under names that are free."""
    used = set(taken)
    return {_free(name, used): values for name, values in columns.items()}


def _free(name: str, used: set[str]) -> str:
    while name in used:
        name += "_answer"
    return name


__all__: Sequence[str] = ("dicts", "to_arrow", "to_pandas", "to_polars")
