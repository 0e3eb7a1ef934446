"""Refusals: what is said, in one line, to everything that is no source of prompts."""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    ItemsView,
    Iterator,
    KeysView,
    Mapping,
    Sequence,
    ValuesView,
)
from collections.abc import Set as AbstractSet
from io import IOBase
from numbers import Number
from os import PathLike
from types import ModuleType
from typing import Any

from groq_magic.errors import InputError
from groq_magic.prompts.checks import ROLES, a_type, quoted, short


def is_message(value: object) -> bool:
    """Whether it is one message of a conversation."""
    return (
        isinstance(value, Mapping)
        and value.get("role") in ROLES
        and ("content" in value or "tool_calls" in value)
    )


def _is_file(source: Any, first: object) -> bool:
    path = isinstance(source, str) and source.lower().endswith((".jsonl", ".csv", ".parquet", ".txt"))
    return path or isinstance(source, PathLike | IOBase)


def _is_columns(source: object, first: object) -> bool:
    """A table written as a dict of its columns."""
    if (
        not isinstance(source, Mapping)
        or not isinstance(first, Sequence)
        or isinstance(first, str)
        or not first
    ):
        return False
    return not isinstance(first[0], Mapping)


REFUSED: tuple[tuple[Callable[[Any, Any], bool], str], ...] = (
    (lambda s, first: s is None, "is None: there is nothing to send. {accepted}"),
    (_is_file, "is a file, which cannot be read yet: read it first, as with `pd.read_csv(…)`. {accepted}"),
    (lambda s, first: isinstance(s, str), "is one text: put it in a list: [{named}]"),
    (lambda s, first: isinstance(s, bytes | bytearray | memoryview),
     "is {a_type}, not a list of texts: `.decode()` makes a text. {accepted}"),
    (lambda s, first: isinstance(s, Number), "is {a_type}, which holds no prompts. {accepted}"),
    (lambda s, first: isinstance(s, ModuleType | type), "is {a_type}, which holds no prompts. {accepted}"),
    (lambda s, first: inspect.isgeneratorfunction(s),
     "is a generator that was not called: list({named}()). {accepted}"),
    (lambda s, first: inspect.isasyncgenfunction(s) or inspect.iscoroutinefunction(s),
     "is an async function that was not called, and its result cannot be read yet. {accepted}"),
    (lambda s, first: inspect.isroutine(s), "is a function that was not called: {named}(). {accepted}"),
    (lambda s, first: isinstance(s, AsyncIterator),
     "is an async generator, which cannot be read yet: [x async for x in {named}]. {accepted}"),
    (lambda s, first: isinstance(s, Awaitable),
     "is {a_type}, which was not awaited: await {named}. {accepted}"),
    (lambda s, first: isinstance(s, Iterator | KeysView | ValuesView | ItemsView),
     "is {a_type}, which cannot be read yet: list({named}). {accepted}"),
    (lambda s, first: isinstance(s, AbstractSet), "is {a_type}, which has no order: sorted({named})"),
    (lambda s, first: is_message(s), "is one message: write [[{named}]] for one conversation"),
    (lambda s, first: isinstance(s, Sequence | Mapping) and len(s) == 0,
     "is empty: there is nothing to send"),
    (lambda s, first: isinstance(first, Mapping) and {"custom_id", "body"} <= first.keys(),
     "holds whole request lines, which cannot be sent yet. {accepted}"),
    (_is_columns, "is a dict of lists, not of prompts: a table of its columns is `pd.DataFrame({named})`"),
    (lambda s, first: isinstance(s, Mapping) and isinstance(first, Mapping),
     "is a dict of dicts: send their rows, `list({named}.values())`. {accepted}"),
)  # fmt: skip
"""(what it is, what to say): tried in this order, before the kinds."""


def check(source: object, first: object, named: str, accepted: str) -> None:
    """Raises for a source that is known to hold no prompts, or none that can be sent yet."""
    for refused, words in REFUSED:
        if refused(source, first):
            raise refusal(source, named, words, accepted)


def other(source: object, first: object, named: str, accepted: str) -> InputError:
    """The error for a source that no kind fits."""
    if isinstance(source, Sequence | Mapping):
        at = "row 0" if isinstance(source, Sequence) else f"the value of {next(iter(source))!r}"
        hint = "`.decode()` makes a text" if isinstance(first, bytes | bytearray) else "`str(x)` makes a text"
        what = "None" if first is None else f"{a_type(first)}, not a prompt: {hint}"
        return InputError(f"{at} of {quoted(named)} is {what}. {accepted}")
    from groq_magic.prompts import tables

    if tables.is_lazy(source, named):
        run = ".compute()" if hasattr(source, "compute") else ".collect()"
        return refusal(source, named, f"is a query that has not run: {{named}}{run}", accepted)
    if hasattr(source, "tolist"):
        return refusal(source, named, "is {a_type}, which is not read as it is: {named}.tolist()", accepted)
    if hasattr(source, "__arrow_c_stream__") or hasattr(source, "__arrow_c_array__"):
        return refusal(source, named, "is {a_type}, which is not read as it is: pa.table({named})", accepted)
    return refusal(source, named, "is {a_type}, which cannot be read. {accepted}", accepted)


def refusal(source: object, named: str, words: str, accepted: str) -> InputError:
    """The error in these words; {named}, {a_type} and {accepted} are filled in."""
    said = words.format(named=short(named), a_type=a_type(source), accepted=accepted)
    return InputError(f"{quoted(named)} {said}")
