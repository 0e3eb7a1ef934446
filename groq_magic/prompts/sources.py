"""Sources: everything that prompts can come from, in one table, and the way from a source to its prompts."""

from __future__ import annotations

from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from groq_magic.errors import InputError
from groq_magic.prompts import refusals, streams
from groq_magic.prompts import rows as reading
from groq_magic.prompts.asking import Asking
from groq_magic.prompts.checks import Prompt, Prompts, is_missing, quoted
from groq_magic.prompts.files import File
from groq_magic.prompts.rows import Rows

MAX_PROMPTS = 1_000_000
"""What an iterator may give, unless it is told otherwise: it might be endless."""


@dataclass(frozen=True)
class Kind:
    """One kind of source: its name and an example for people, how it is known, how it is read.

    One of three: `read` gives the rows of a source that is here as a whole; `becomes` another source in its
    place; `pieces` sources one after the other, each read by its own kind. `items` says what one item is:
    "text", "conversation", "row" or "request". `names` is what a template may use, in words.
    """

    name: str
    example: str
    fits: Callable[[Any, Any, str], bool]
    items: Literal["text", "conversation", "row", "request", "its own"] = "its own"
    names: str = ""
    read: Callable[[Any, str, int], Rows] | None = None
    becomes: Callable[[Any, str], object] | None = None
    pieces: Callable[[Any, str, streams.Tick], Iterator[Any]] | None = None
    endless: bool = False


def _is_text(item: object) -> bool:
    return isinstance(item, str)


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
    return (
        isinstance(source, Sequence) and isinstance(first, Mapping) and {"custom_id", "body"} <= first.keys()
    )


def _is_answers(source: object, first: object, named: str) -> bool:
    """An Answers, which stands above this module: known by what it can do."""
    return isinstance(source, Sequence) and hasattr(source, "to_dicts") and hasattr(source, "batch_ids")


def _is_array(source: Any, first: object, named: str) -> bool:
    """NumPy's arrays, an Index, Arrow's arrays, of one dimension."""
    shaped = getattr(source, "ndim", None) == 1 and hasattr(source, "tolist")
    return shaped or (hasattr(source, "to_pylist") and hasattr(source, "__arrow_c_array__"))


def _as_list(source: Any, named: str) -> object:
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
    return lambda source, first, named: not isinstance(source, quick) and call(source, named)


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
    Kind("an Answers", "answers", _is_answers, "row", "its columns, row, index", read=reading.of_answers),
    Kind("a file (.jsonl, .csv, .parquet, .txt)", '"reviews.csv"', _is((File, Path)),
         pieces=lambda file, named, tick: (file if isinstance(file, File) else File(file)).pieces()),
    Kind("a Series of texts", 'df["text"]', _narwhals("is_series"),
         "text", "item, index", read=_table("of_series")),
    Kind("a pandas, Polars or Arrow table", "df", _narwhals("is_table"),
         "row", "the columns, row, index", read=_table("of_table")),
    Kind("a lazy frame", 'pl.scan_csv("reviews.csv")', _narwhals("is_lazy"), becomes=_table("collected")),
    Kind("an awaitable", "fetch_rows()", _is(Awaitable), becomes=streams.awaited),
    Kind("an asynchronous generator", "rows_of(client)", _is(AsyncIterable),
         pieces=streams.of_async, endless=True),
    Kind("an array of texts", 'df["text"].unique()', _is_array, becomes=_as_list),
    Kind("an Arrow stream", "reader", _is_arrow_stream,
         pieces=lambda source, named, tick: _table("streamed")(source, named), endless=True),
    Kind("a generator or another iterable", "(line for line in lines)", _is_iterable,
         pieces=streams.of_iterable, endless=True),
)  # fmt: skip
"""The first that fits is taken. A new source is a row here."""


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
    kind = _kind(source, named, templated)
    while kind.becomes is not None:
        source = kind.becomes(source, named)
        kind = _kind(source, named, templated)
    if kind.read is not None:
        rows = kind.read(source, named, 0)
        if not rows.count:
            raise refusals.refusal(source, named, "is empty: there is nothing to send")
        return Understood(kind, kind.items, rows)
    assert kind.pieces is not None
    pieces = kind.pieces(source, named, tick)
    first = next((piece for piece in pieces if len(piece)), None)
    if first is None:
        once = ", or was read before: it can be read only once, so make it anew" if kind.endless else ""
        raise refusals.refusal(source, named, f"gives nothing to send: it is empty{once}")
    inner = _kind(first, named, templated)
    if inner.read is None:
        raise refusals.other(source, _first(first), named)
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


def _kind(source: Any, named: str, templated: bool) -> Kind:
    """The source's kind. Raises for what is none."""
    first = _first(source)
    refusals.check(source, first, named)
    if isinstance(source, Sequence) and refusals.is_message(first) and not templated:
        raise refusals.refusal(source, named, "is one conversation: wrap it: [{named}]")
    for kind in KINDS:
        if kind.fits(source, first, named):
            return kind
    raise refusals.other(source, first, named)


def sources_markdown() -> str:
    """The README's table of the sources, one row each, as Markdown."""
    rows = [f"| {kind.name} | `--from {kind.example}` | {kind.names or 'as its items'} |" for kind in KINDS]
    return "\n".join(["| source | for example | a template may use |", "|---|---|---|", *rows])


def _first(source: object) -> object:
    """The first item, or value of a dict, that is not missing; None where there is none to see."""
    if isinstance(source, Mapping):
        values: Iterable[object] = source.values()
    elif isinstance(source, Sequence):
        values = source
    else:
        return None
    return next((value for value in values if not is_missing(value)), None)
