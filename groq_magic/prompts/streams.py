"""Streams: sources that come piece by piece, and are read once: iterators, asynchronous ones, files, Arrow.

A piece is a source of its own, a list or a table, small enough to be held as a whole.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from groq_magic import loop
from groq_magic.errors import GroqMagicError, InputError
from groq_magic.prompts.checks import one_line, quoted
from groq_magic.prompts.files import PIECE

Tick = Callable[[int], None]
"""Is told how many items were read so far."""


def of_iterable(source: Iterable[object], named: str, tick: Tick) -> Generator[Any]:
    """Lists of its items. A table that it gives (`pd.read_csv(…, chunksize=…)`) is a piece by itself.

    What it raises becomes an InputError that says where. An iterator that is abandoned half-way is closed: it
    cannot be gone on with.
    """
    read, items = 0, iter(list[object]())
    try:
        while True:
            piece: list[object] = []
            try:
                items = items if read else iter(source)
                for item in islice(items, PIECE):
                    piece.append(item)
                    tick(read + len(piece))
                    if _is_table(item, named):
                        break
            except GroqMagicError:
                raise
            except Exception as exc:
                raise _raised(exc, named, read + len(piece)) from exc
            if not piece:
                return
            read += len(piece)
            yield _or_table(piece, named)
    except BaseException:
        if items is source and (close := getattr(source, "close", None)):
            with suppress(Exception):
                close()
        raise


def _is_table(item: object, named: str) -> bool:
    if not hasattr(type(item), "columns"):
        return False
    from groq_magic.prompts import tables

    return tables.is_table(item, named)


def _or_table(piece: list[Any], named: str) -> Any:
    """The piece, or the table that it is one of."""
    return piece[0] if len(piece) == 1 and _is_table(piece[0], named) else piece


def of_tables(tables: Iterator[Any], named: str) -> Generator[Any]:
    """The same tables. What reading them raises becomes an InputError."""
    read = 0
    try:
        for table in tables:
            read += len(table)
            yield table
    except GroqMagicError:
        raise
    except Exception as exc:
        raise _raised(exc, named, read) from exc


def of_async(source: AsyncIterable[object], named: str, tick: Tick) -> Generator[Any]:
    """Lists of its items, drained on this thread's own loop, the notebook's."""
    read = 0
    items: AsyncIterator[object] | None = None

    async def some(piece: list[object]) -> None:
        nonlocal items
        items = aiter(source) if items is None else items
        with suppress(StopAsyncIteration):
            while len(piece) < PIECE and not (piece and _is_table(piece[-1], named)):
                piece.append(await anext(items))
                tick(read + len(piece))

    async def close() -> None:
        if aclose := getattr(items, "aclose", None):
            with suppress(Exception):
                await aclose()

    try:
        while True:
            piece: list[object] = []
            _drained(some(piece), named, lambda: read + len(piece))  # noqa: B023  # called at once
            if not piece:
                return
            read += len(piece)
            yield _or_table(piece, named)
    finally:
        with suppress(RuntimeError, loop.Entered):  # an item may still be waited for after an interrupt
            loop.run_here(close())


def awaited(source: Awaitable[object], named: str, tick: Tick) -> object:
    """What an awaitable comes to, on this thread's own loop."""
    return _drained(source, named)


def _drained(awaitable: Awaitable[Any], named: str, read: Callable[[], int] = lambda: 0) -> Any:
    try:
        return loop.run_here(awaitable)
    except GroqMagicError:
        raise
    except asyncio.CancelledError as exc:
        raise _raised(exc, named, read()) from exc
    except loop.Entered as exc:
        raise InputError(
            f"{quoted(named)} is asynchronous, and {exc}: write `rows = [x async for x in …]` or "
            "`rows = await …` in a cell of its own, and send `rows`"
        ) from exc
    except Exception as exc:
        raise _raised(exc, named, read()) from exc


def _raised(exc: BaseException, named: str, read: int) -> InputError:
    """What a source raised while it was read, with the place in the user's own code."""
    said = one_line(str(exc).partition("Detail: Python exception")[0])  # Arrow adds a traceback
    frames = traceback.extract_tb(exc.__traceback__)
    where = [frame for frame in frames if "asyncio" not in frame.filename and frame.name != "run_here"][-1:]
    at = f", in `{where[0].name}` line {where[0].lineno}" if where else ""
    what = f"{type(exc).__name__}: {said}" if said else type(exc).__name__
    items = "1 item" if read == 1 else f"{read:,} items"
    return InputError(f"{quoted(named)} raised {what} (after {items}{at}); nothing was sent")
