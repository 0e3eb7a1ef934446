"""From a source to its prompts: it is understood by its kind, as a whole or piece by piece, then asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from groq_magic.errors import InputError
from groq_magic.prompts import refusals, streams
from groq_magic.prompts.asking import Asking
from groq_magic.prompts.checks import Prompt, Prompts, quoted
from groq_magic.prompts.files import File
from groq_magic.prompts.kinds import Kind, first_of, kind_of
from groq_magic.prompts.rows import Rows

MAX_PROMPTS = 1_000_000
"""What an iterator may give, unless it is told otherwise: it might be endless."""


def _nothing() -> Generator[Rows]:
    return
    yield  # makes it a generator, which can be closed


@dataclass(frozen=True)
class Understood:
    """A source whose kind is known: what its items are, its first rows, and those that `more` gives."""

    kind: Kind
    items: str
    first: Rows
    more: Generator[Rows] = field(default_factory=_nothing)
    whole: bool = True


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
    found = understand(source, named, templated=template is not None, tick=tick, max_prompts=max_prompts)
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
    first = asking.prompts(found.first, () if found.kind.endless else found.more)
    if found.whole:
        ids = list(asking.ids) if asking.ids is not None else None
        return Prompts(first, found.first.count, ids, found.first.frame, asking.system, asking.models)

    def items() -> Iterator[Prompt]:
        yield from first
        for rows in found.more:
            yield from asking.prompts(rows, () if found.kind.endless else found.more)

    coming = _as_they_come(asking.ids) if asking.ids is not None else None
    frame = source if isinstance(source, File) and found.items == "row" else None
    return Prompts(items(), None, coming, frame, asking.system, asking.models, found.more.close)


def understand(
    source: Any,
    named: str,
    *,
    templated: bool,
    tick: streams.Tick = lambda read: None,
    max_prompts: int = MAX_PROMPTS,
) -> Understood:
    """The source's kind and its first rows. Raises one line on what to type for what holds no prompts."""
    kind, stands_in = kind_of(source, named, templated), True
    while kind.becomes is not None:
        stands_in = stands_in and kind.stands_in
        source = kind.becomes(source, named)
        kind = kind_of(source, named, templated)
    if kind.read is not None:
        rows = kind.read(source, named, 0)
        rows = rows if stands_in else replace(rows, dropping="", casting="")
        if not rows.count:
            raise refusals.refusal(source, named, "is empty: there is nothing to send")
        return Understood(kind, kind.items, rows)
    assert kind.pieces is not None
    pieces = kind.pieces(source, named, tick)
    first = next((piece for piece in pieces if len(piece)), None)
    if first is None:
        once = ", or was read before: it can be read only once, so make it anew" if kind.endless else ""
        raise refusals.refusal(source, named, f"gives nothing to send: it is empty{once}")
    inner = kind_of(first, named, templated)
    if inner.read is None:
        raise refusals.other(source, first_of(first), named)
    rows = _of_stream(inner.read(first, named, 0))
    limit = max_prompts if kind.endless else None
    return Understood(kind, inner.items, rows, _further(pieces, first, inner, named, limit), whole=False)


def _further(pieces: Iterator[Any], first: Any, kind: Kind, named: str, limit: int | None) -> Generator[Rows]:
    """The rows of the further pieces, which are of the first one's kind."""
    read = len(first)
    with closing(pieces):  # type: ignore[type-var]  # a generator
        for piece in pieces:
            if isinstance(piece, list) != isinstance(first, list):
                a_list = "a table, as those before" if isinstance(piece, list) else "of one kind with row 0"
                raise InputError(f"row {read:,} of {quoted(named)} is not {a_list}")
            if len(piece):
                rows = _of_stream(kind.read(piece, named, read))  # type: ignore[misc]  # pieces are read
                read += len(piece)
                if limit is not None and read > limit:
                    raise InputError(
                        f"{quoted(named)} gave more than {limit:,} prompts: is it endless? If it is not: "
                        f"`%config GroqMagics.max_prompts = {10 * limit}`. Nothing was sent"
                    )
                yield rows


def _of_stream(rows: Rows) -> Rows:
    """The rows of a piece: what it came from cannot be typed to be read once more."""
    return replace(rows, dropping="", casting="", frame=None)


def _as_they_come(ids: deque[str]) -> Iterator[str]:
    with suppress(IndexError):
        while True:
            yield ids.popleft()
