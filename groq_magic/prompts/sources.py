"""From a source to its prompts: it is understood by its kind, as a whole or piece by piece, then asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from groq_magic.errors import InputError
from groq_magic.prompts import refusals, streams
from groq_magic.prompts.asking import Asking
from groq_magic.prompts.checks import Prompts, quoted
from groq_magic.prompts.files import File
from groq_magic.prompts.kinds import Kind, first_of, kind_of
from groq_magic.prompts.rows import Rows

MAX_PROMPTS = 1_000_000
"""What an iterator may give, unless it is told otherwise: it might be endless."""


@dataclass(frozen=True)
class Understood:
    """A source whose kind is known: what its items are, its first rows, and those that `more` gives, if any.

    `more` is None for a source that is here as a whole.
    """

    kind: Kind
    items: str
    first: Rows
    more: Iterator[Rows] | None = None


def from_source(
    source: object,
    *,
    template: str | None = None,
    raw: bool = False,
    id_column: str | None = None,
    variables: Mapping[str, object] = {},  # read, never written
    system: str | None = None,
    model: str | None = None,
    options: Collection[str] = (),
    missing: str = "error",
    max_prompts: int = MAX_PROMPTS,
    named: str = "the source",
    tick: streams.Tick = lambda read: None,
) -> Prompts:
    """The prompts that a source holds, or a template filled for each of its rows.

    `named` is the source as the user wrote it, for errors. `missing` says what becomes of rows that miss a
    value which is used: "error" or "skip". `model` replaces that of whole request lines, which leave no room
    for other `options` (Groq's names of them). An iterator may give `max_prompts`; `tick` is told how many it
    has given. The source's kind, its ids, the names in templates and missing values are checked here, of a
    source that comes piece by piece in its first piece; each prompt while `items` is read.
    """
    if missing not in ("error", "skip"):
        raise InputError(f'missing is {missing!r}: it is "error" or "skip"')
    if isinstance(source, Path):
        source = File(source)
    with ExitStack() as opened:  # a stream that is refused cannot be gone on with in its middle
        found = understand(
            source, named, opened, templated=template is not None, tick=tick, max_prompts=max_prompts
        )
        asking = Asking(
            found.first,
            found.items,
            template=template,
            system=system,
            raw=raw,
            variables=variables,
            id_column=id_column,
            model=model,
            options=options,
            skips=missing == "skip",
        )
        more = found.more
        rest = more if more is not None and not found.kind.endless else ()
        first = asking.prompts(found.first, rest)
        if more is None:
            ids = list(asking.ids) if asking.ids is not None else None
            return Prompts(first, found.first.count, ids, found.first.frame, asking.system, asking.models)
        items = chain(first, (item for rows in more for item in asking.prompts(rows, rest)))
        coming = _as_they_come(asking.ids) if asking.ids is not None else None
        frame = source if isinstance(source, File) and found.items == "row" else None
        close, again = opened.pop_all().close, isinstance(source, File)
        return Prompts(items, None, coming, frame, asking.system, asking.models, close, again)


def understand(
    source: Any,
    named: str,
    opened: ExitStack,
    *,
    templated: bool,
    tick: streams.Tick = lambda read: None,
    max_prompts: int = MAX_PROMPTS,
) -> Understood:
    """The source's kind and its first rows; how to let go of a stream is put to `opened`.

    Raises one line on what to type for what holds no prompts.
    """
    kind, stands_in = kind_of(source, named, templated), True
    while kind.becomes is not None:
        stands_in = stands_in and kind.stands_in
        source = kind.becomes(source, named, tick)
        kind = kind_of(source, named, templated)
    if kind.read is not None:
        rows = kind.read(source, named, 0)
        rows = rows if stands_in else replace(rows, dropping="", casting="")
        if not rows.count:
            raise refusals.refusal(source, named, "is empty: there is nothing to send")
        return Understood(kind, kind.items, rows)
    assert kind.pieces is not None
    pieces = kind.pieces(source, named, tick)
    opened.callback(pieces.close)
    first = next((piece for piece in pieces if len(piece)), None)
    if first is None:
        once = ", or was read before: it can be read only once, so make it anew" if kind.endless else ""
        raise refusals.refusal(source, named, f"gives nothing to send: it is empty{once}")
    inner = kind_of(first, named, templated, of_stream=True)
    if inner.read is None:
        raise refusals.other(source, first_of(first), named)
    more = _rows(chain([first], pieces), inner, named, max_prompts if kind.endless else None)
    return Understood(kind, inner.items, next(more), more)


def _rows(pieces: Iterator[Any], kind: Kind, named: str, limit: int | None) -> Iterator[Rows]:
    """The rows of the pieces, which are all of one kind. Raises InputError beyond the limit."""
    read, columns, tables = 0, frozenset[object](), kind.of_tables
    for piece in pieces:
        if isinstance(piece, list) == tables:
            a_table = "a table, as those before" if tables else "of one kind with row 0"
            raise InputError(f"row {read:,} of {quoted(named)} is not {a_table}")
        if not len(piece):
            continue
        assert kind.read is not None
        rows = replace(kind.read(piece, named, read), dropping="", casting="", frame=None)
        if tables:
            columns = columns or frozenset(rows.columns)
            if gone := [column for column in columns if column not in rows.columns]:
                raise InputError(f"row {read:,} of {quoted(named)}: this table lacks the column `{gone[0]}`")
        read += len(piece)
        if limit is not None and read > limit:
            raise InputError(
                f"{quoted(named)} gave more than {limit:,} prompts: is it endless? If it is not: "
                f"`%config GroqMagics.max_prompts = {10 * limit}`, or `submit(…, max_prompts=…)`. Nothing "
                "was sent"
            )
        yield rows


def _as_they_come(ids: deque[str]) -> Iterator[str]:
    with suppress(IndexError):
        while True:
            yield ids.popleft()
