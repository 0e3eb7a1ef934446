"""Rows: one view of every source, column by column, so that only what is used is read."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from itertools import compress
from operator import itemgetter
from typing import Any, NamedTuple

from groq_magic.errors import InputError
from groq_magic.prompts.blocks import blocks, none_missing
from groq_magic.prompts.checks import is_missing, quoted, rows_place
from groq_magic.prompts.values import a_type


class Field(NamedTuple):
    """What is read of a row: its `column`, or by `kind` the item, id, index or the whole row."""

    kind: str
    column: object = None


ITEM = Field("item")
_CASTING = "{{str(k): v for k, v in {source}.items()}}"

Missing = Callable[[Field], Sequence[int]]
"""Where a field's value is missing: places from 0, in order."""


@dataclass(frozen=True)
class Rows:
    """A source that was understood, or a piece of one. It can be read more than once; nothing was copied yet.

    `named` is the source as the user wrote it, and `numbers` which of its rows these are. `columns` are its
    columns' names (none for plain values). `read` gives one iterator over all rows for a column, and `plain`
    the same for "item", "id" and "row" if there are such. `dropping` and `casting` are what to type to leave
    out rows that miss a value, and to turn a column into texts; empty where no such thing can be typed.
    """

    named: str
    numbers: Sequence[int]
    columns: tuple[object, ...] = ()
    read: Callable[[object], Iterator[object]] = iter  # type: ignore[assignment]  # never called without columns
    missing: Missing = lambda field: ()
    plain: Mapping[str, Callable[[], Iterator[object]]] = field(default_factory=dict)
    ids: Collection[object] | None = None
    frame: object | None = None
    dropping: str = ""
    casting: str = ""

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.numbers)

    @property
    def names(self) -> tuple[str, ...]:
        """What a template may use besides columns."""
        return (*self.plain, "index")

    @property
    def source(self) -> str:
        """The source as words for an error: "`df`"."""
        return quoted(self.named)

    def example(self) -> str:
        """A template that would do."""
        name: object = self.names[0]
        if self.columns:
            name = "answer" if "answer" in self.columns else self.columns[-1]
        inner = name if str(name).isidentifier() else f"row[{name!r}]"
        return f"Classify: {{{{ {inner} }}}}"

    def place(self, n: int) -> str:
        """The nth of these rows as words for an error: "row 3 of `df`"."""
        return f"row {self.numbers[n]:,} of {self.source}"

    def values(self, wanted: Field) -> Iterator[object]:
        """All values of a column, or by kind of the item, id, row or index."""
        if wanted.kind == "column":
            return self.read(wanted.column)
        return iter(self.numbers) if wanted.kind == "index" else self.plain[wanted.kind]()

    def without(self, left_out: Collection[int]) -> Rows:
        """These rows but for those at some places."""
        kept = [n not in left_out for n in range(self.count)]

        def thinned(read: Callable[[], Iterator[object]]) -> Callable[[], Iterator[object]]:
            return lambda: compress(read(), kept)

        return replace(
            self,
            numbers=tuple(compress(self.numbers, kept)),
            read=lambda column: compress(self.read(column), kept),
            plain={name: thinned(read) for name, read in self.plain.items()},
            missing=lambda field: (),
        )


def of_values(values: Sequence[object], named: str, start: int = 0) -> Rows:
    """The rows of a list of texts or conversations."""
    return Rows(
        named,
        range(start, start + len(values)),
        plain={"item": lambda: iter(values)},
        missing=lambda field: _missing(values if field == ITEM else ()),
    )


def of_dict(source: Mapping[object, object], named: str, start: int = 0) -> Rows:
    """The rows of a dict by id."""
    return Rows(
        named,
        range(start, start + len(source)),
        plain={"item": lambda: iter(source.values()), "id": lambda: iter(source)},
        missing=lambda field: _missing(source.values() if field == ITEM else ()),
        ids=source.keys(),
        casting=_CASTING,
    )


def is_record(item: object) -> bool:
    """Whether it is a row: a dict, or a thing with fields that can be seen as one."""
    return isinstance(item, Mapping) or _as_dict(item) is not item


def _as_dict(item: object) -> object:
    """A named tuple, dataclass, Pydantic model, row of SQLite or pandas as a dict; else as it is."""
    if hasattr(item, "_asdict"):
        return item._asdict()
    if is_dataclass(item) and not isinstance(item, type):
        return {field.name: getattr(item, field.name) for field in fields(item)}
    if hasattr(item, "model_dump"):
        return item.model_dump()
    if isinstance(item, sqlite3.Row):
        return dict(item)
    if hasattr(item, "to_dict") and hasattr(item, "index"):  # a row of pandas'
        return item.to_dict()
    return item


def of_records(source: Sequence[object], named: str, start: int = 0) -> Rows:
    """The rows of a list of records. The columns are the keys of all; a key that a row lacks is missing."""
    keys, same, place = None, True, rows_place(named)
    if not isinstance(source[0], Mapping) and is_record(source[0]):
        source = [_as_dict(record) for record in source]
    alike = _alike(source)
    for n, record in enumerate(source[:1] if alike else source):
        if type(record) is not dict and not isinstance(record, Mapping):
            like = "as row 0 is" if n + start else "as later rows are"
            raise InputError(f"{place(start + n)} is {a_type(record)}, not a dict {like}")
        keys = record.keys() if keys is None else keys
        same = same and record.keys() == keys
    records: Sequence[Mapping[object, object]] = source  # type: ignore[assignment]  # as was just checked
    columns = keys or () if same else dict.fromkeys(key for record in records for key in record)

    def read(column: object) -> Iterator[object]:
        return map(itemgetter(column), records) if alike else (record.get(column) for record in records)

    return Rows(
        named,
        range(start, start + len(source)),
        columns=tuple(columns),
        read=read,
        missing=lambda field: _missing(read(field.column)),
        plain={"row": lambda: iter(records)},
        frame=source,
        casting="[{{**row, {column!r}: str(row[{column!r}])}} for row in {source}]",
    )


def _alike(source: Sequence[Any]) -> bool:
    """Whether all are plain dicts of the same keys."""
    keys = source[0]
    if set(map(type, source)) != {dict} or not keys or set(map(len, source)) != {len(keys)}:
        return False
    try:
        deque(map(itemgetter(*keys), source), maxlen=0)
    except KeyError:
        return False
    return True


def of_dict_of_records(source: Mapping[object, object], named: str, start: int = 0) -> Rows:
    """The rows of a dict by id."""
    return replace(of_records(list(source.values()), named, start), ids=source.keys(), casting=_CASTING)


def of_requests(source: Sequence[object], named: str, start: int = 0) -> Rows:
    """The rows of a list of whole request lines."""
    ids = [line.get("custom_id") if isinstance(line, Mapping) else None for line in source]
    return Rows(named, range(start, start + len(source)), plain={"item": lambda: iter(source)}, ids=ids)


def _missing(values: Iterator[object] | Collection[object]) -> list[int]:
    found, start = list[int](), 0
    for block in blocks(values):
        if not none_missing(block):
            found += [n for n, value in enumerate(block, start) if is_missing(value)]
        start += len(block)
    return found
