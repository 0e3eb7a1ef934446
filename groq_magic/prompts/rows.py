"""Rows: one view of every source, column by column, so that only what is used is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from groq_magic.errors import InputError
from groq_magic.prompts.checks import a_type, is_missing, quoted, rows_place

Missing = tuple[int, list[int]]
"""How many values are missing, and the first rows where."""


@dataclass(frozen=True)
class Rows:
    """A source that was understood. It can be read more than once; nothing of it was read or copied yet.

    `named` is the source as the user wrote it. `columns` are its columns' names (none for plain values).
    `read` gives one iterator over all rows for a column, and `plain` the same for "item", "id" and "row" if
    there are such. `dropping` and `casting` are what to type to leave out rows that miss a value, and to turn
    a column into texts.
    """

    named: str
    count: int
    columns: tuple[object, ...] = ()
    read: Callable[[object], Iterator[object]] = iter  # type: ignore[assignment]  # never called without columns
    missing: Callable[[object], Missing] = lambda column: (0, [])
    plain: Mapping[str, Callable[[], Iterator[object]]] | None = None
    ids: Collection[object] | None = None
    frame: object | None = None
    dropping: str = ""
    casting: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What a template may use besides columns."""
        return (*(self.plain or {}), "index")

    @property
    def source(self) -> str:
        """The source as words for an error: "`df`"."""
        return quoted(self.named)

    def example(self) -> str:
        """A template that would do."""
        name = self.columns[-1] if self.columns else self.names[0]
        inner = name if str(name).isidentifier() else f"row[{name!r}]"
        return f"Classify: {{{{ {inner} }}}}"

    def place(self, row: int) -> str:
        """The row as words for an error: "row 3 of `df`"."""
        return f"row {row:,} of {self.source}"

    def values(self, kind: str, column: object = None) -> Iterator[object]:
        """All values of a column, or by kind of the item, id, row or index."""
        if kind == "column":
            return self.read(column)
        return iter(range(self.count)) if kind == "index" else (self.plain or {})[kind]()


def of_values(values: Sequence[object], named: str) -> Rows:
    """The rows of a list of texts or conversations."""
    return Rows(named, len(values), plain={"item": lambda: iter(values)})


def of_dict(source: Mapping[object, object], named: str) -> Rows:
    """The rows of a dict by id."""
    plain = {"item": lambda: iter(source.values()), "id": lambda: iter(source)}
    return Rows(named, len(source), plain=plain, ids=source.keys())


def of_records(source: Sequence[object], named: str) -> Rows:
    """The rows of a list of dicts. The columns are the keys of all; a key that a row lacks is missing."""
    first: Mapping[object, object] = source[0]  # type: ignore[assignment]  # the caller saw a dict there
    keys = first.keys()
    same, place = True, rows_place(named)
    for row, record in enumerate(source):
        if type(record) is not dict and not isinstance(record, Mapping):
            raise InputError(f"{place(row)} is {a_type(record)}, not a dict as row 0 is")
        same = same and record.keys() == keys
    records: Sequence[Mapping[object, object]] = source  # type: ignore[assignment]  # as was just checked
    columns = keys if same else dict.fromkeys(key for record in records for key in record)

    def missing(column: object) -> Missing:
        rows = [
            row
            for row, record in enumerate(records)
            if type(value := record.get(column)) is not str and is_missing(value)
        ]
        return len(rows), rows[:5]

    return Rows(
        named,
        len(source),
        columns=tuple(columns),
        read=lambda column: map(itemgetter(column), records),
        missing=missing,
        plain={"row": lambda: iter(records)},
        dropping="[row for row in {source} if row.get({column!r}) is not None]",
        casting="str(row[{column!r}])",
    )
