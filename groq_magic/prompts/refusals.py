"""Refusals: what is said, in one line, to everything that is no source of prompts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, ItemsView, KeysView, Mapping, Sequence
from collections.abc import Set as AbstractSet
from io import IOBase
from numbers import Number
from os import PathLike
from types import ModuleType, UnionType
from typing import Any

from groq_magic.errors import InputError
from groq_magic.prompts.checks import quoted, short
from groq_magic.prompts.files import READERS
from groq_magic.prompts.rules import ROLES
from groq_magic.prompts.values import a_type


def is_message(value: object) -> bool:
    """Whether it is one message of a conversation."""
    return (
        isinstance(value, Mapping)
        and value.get("role") in ROLES
        and ("content" in value or "tool_calls" in value)
    )


def _is_path(source: Any, first: object) -> bool:
    return isinstance(source, str) and source.lower().endswith(tuple(READERS))


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
    (lambda s, first: isinstance(s, IOBase), "is an open file: name its path, in quotes or as Path(…)"),
    (_is_path, "is one text: put it in a list, [{named}]; as a file it is Path({named})"),
    (lambda s, first: isinstance(s, str), "is one text: put it in a list: [{named}]"),
    (lambda s, first: isinstance(s, bytes | bytearray | memoryview),
     "is {a_type}, not a list of texts: `.decode()` makes a text. {accepted}"),
    (lambda s, first: isinstance(s, Number), "is {a_type}, which holds no prompts. {accepted}"),
    (lambda s, first: isinstance(s, ModuleType | type), "is {a_type}, which holds no prompts. {accepted}"),
    (lambda s, first: inspect.isgeneratorfunction(s) or inspect.isasyncgenfunction(s),
     "is a generator that was not called: {named}()"),
    (lambda s, first: inspect.isroutine(s), "is a function that was not called: {named}(). {accepted}"),
    (lambda s, first: isinstance(s, ItemsView), "is the items of a dict: send the dict itself"),
    (lambda s, first: isinstance(s, AbstractSet) and not isinstance(s, KeysView),
     "is {a_type}, which has no order: sorted({named})"),
    (lambda s, first: is_message(s), "is one message: write [[{named}]] for one conversation"),
    (lambda s, first: isinstance(s, Sequence | Mapping) and len(s) == 0,
     "is empty: there is nothing to send"),
    (_is_columns, "is a dict of lists, not of prompts: a table of its columns is `pd.DataFrame({named})`"),
    (lambda s, first: getattr(s, "ndim", 0) > 1 and hasattr(s, "tolist"),
     "is {a_type} of {s.ndim} dimensions: a table of it is `pd.DataFrame({named})`"),
)  # fmt: skip
"""(what it is, what to say): tried in this order, before the kinds."""


ACCEPTED = "Prompts come from texts, conversations or rows: in a list, a dict, a frame, a file or a generator"


def check(source: object, first: object, named: str) -> None:
    """Raises for a source that is known to hold no prompts, or none that can be sent yet."""
    for refused, words in REFUSED:
        if refused(source, first):
            raise refusal(source, named, words)


def other(source: object, first: object, named: str) -> InputError:
    """The error for a source that no kind fits."""
    if not isinstance(source, Sequence | Mapping):
        return refusal(source, named, "is {a_type}, which cannot be read. {accepted}")
    at = "row 0" if isinstance(source, Sequence) else f"the value of {next(iter(source))!r}"
    if first is None:
        what = "None"
    elif isinstance(first, list | tuple):
        what = f"{a_type(first)}, neither a text nor a row: send the table itself, or rows as dicts"
    else:
        hint = next((hint for kind, hint in _AS_TEXT if isinstance(first, kind)), "")
        what = f"{a_type(first)}, not a prompt{hint}"
    return InputError(f"{at} of {quoted(named)} is {what}. {ACCEPTED}")


_AS_TEXT: tuple[tuple[type | UnionType, str], ...] = (
    (bytes | bytearray, ": `.decode()` makes a text"),
    (PathLike, ": `.read_text()` makes a text"),
)


def refusal(source: object, named: str, words: str) -> InputError:
    """The error in these words; {named}, {a_type} and {accepted} are filled in."""
    said = words.format(s=source, named=short(named), a_type=a_type(source), accepted=ACCEPTED)
    return InputError(f"{quoted(named)} {said}")
