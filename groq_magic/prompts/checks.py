"""What a prompt is, and the checks that each one passes while it is read.

The checks are generators: they hand every prompt on unchanged, and raise at the first that cannot be sent,
naming its place. Conversations pass the `rules`, and hold nothing but JSON. Texts are not encoded here: one
with a lone surrogate passes, and the JSON encoder raises `UnicodeEncodeError` on it later; `surrogate_error`
is the error to raise in its stead.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from itertools import chain, islice
from numbers import Number
from typing import Any

from groq_magic.errors import InputError
from groq_magic.prompts import rules
from groq_magic.prompts.blocks import SIMPLE, all_texts, blocks
from groq_magic.prompts.values import HALF, a_type, encodes

Message = dict[str, Any]


@dataclass(frozen=True)
class Skipped:
    """In the place of a prompt that is not sent: what is missing in its row."""

    missing: str


@dataclass(frozen=True)
class Line:
    """A whole request line: the endpoint and the body that it is sent to it, as they are."""

    url: str
    body: dict[str, Any]


Prompt = str | list[Message] | Line | Skipped
"""A text (it becomes one user message), a whole list of messages, a whole request, or none."""

PLAIN = str | Number | date | time | timedelta  # a datetime is a date, a Decimal a Number
"""What a template makes a text of by itself."""

Place = Callable[[int], str]
"""Row number, from 0, to the words that name it in an error: "row 3 of `df`"."""


@dataclass(frozen=True)
class Prompts:
    """Every prompt of one submission, in order, checked as it is read.

    `items` is read once and lazily: rendering and checking happen meanwhile, and raise `InputError`. `count`
    is None where only the end tells. `ids` are those given by the user, unique and not empty, or None; where
    `count` is None each is there once its prompt was read. `frame` is what the source's columns can be
    had from beside the answers, or None. `system` is a system message that all share, or None; one that
    differs by row is in `items` already. `models` are those that whole request lines ask, of the lines read
    so far. `close` lets go of a source that was not read to its end; `again`: it can be read once more.
    """

    items: Iterable[Prompt]
    count: int | None
    ids: Iterable[str] | None = None
    frame: object | None = None
    system: str | None = None
    models: Collection[str] = ()
    close: Callable[[], None] = lambda: None
    again: bool = True


def first(prompts: Prompts, count: int) -> Prompts:
    """The first so many of them, without what stands beside the whole."""
    return replace(
        prompts,
        items=islice(prompts.items, count),
        count=None if prompts.count is None else min(count, prompts.count),
        ids=None if prompts.ids is None else islice(prompts.ids, count),
        frame=None,
    )


def texts(items: Iterable[object], place: Place) -> Iterator[Prompt]:
    """The same texts. Raises at the first that is no text, or a blank one."""
    return chain.from_iterable(_texts(items, place))


def _texts(items: Iterable[Any], place: Place) -> Iterator[Iterable[Prompt]]:
    start = 0
    for block in blocks(items):
        fine = all_texts(block) and all(block) and not any(map(str.isspace, block))
        yield block if fine else _each_text(block, start, place)
        start += len(block)


def _each_text(items: Iterable[object], start: int, place: Place) -> Iterator[Prompt]:
    for row, item in enumerate(items, start):
        if type(item) is not str:
            yield _plain_text(item, row, place)
        elif not item or item.isspace():
            raise InputError(f"{place(row)} is an empty prompt: fill it or leave it out")
        else:
            yield item


def plain(values: Iterable[object], place: Place) -> Iterator[object]:
    """The same values, to fill a template with. Raises at the first that is no text, number or date."""
    return chain.from_iterable(_plain(values, place))


def _plain(values: Iterable[object], place: Place) -> Iterator[Iterable[object]]:
    start = 0
    for block in blocks(values):
        yield block if SIMPLE.issuperset(map(type, block)) else _each_plain(block, start, place)
        start += len(block)


def _each_plain(values: Iterable[object], start: int, place: Place) -> Iterator[object]:
    for row, value in enumerate(values, start):
        if type(value) is not str and not isinstance(value, PLAIN):
            _plain_text(value, row, place)
        yield value


def _plain_text(item: object, row: int, place: Place) -> str:
    """A text of a subclass of str (an Enum's, NumPy's) as a plain one; anything else raises."""
    if isinstance(item, str):
        text = str.__str__(item)
        if text.strip():
            return text
        raise InputError(f"{place(row)} is an empty prompt: fill it or leave it out")
    if is_missing(item):
        raise InputError(f"{place(row)} is missing ({item!r}): fill it or leave it out")
    if isinstance(item, bytes | bytearray):
        raise InputError(f"{place(row)} is bytes, not a text: `.decode()` makes one")
    as_first = "" if place(row).startswith("row 0 ") else ", as row 0 is"
    hint = ": `str(x)` makes one" if isinstance(item, int | float) else as_first
    raise InputError(f"{place(row)} is {a_type(item)}, not a text{hint}")


def conversations(items: Iterable[object], place: Place) -> Iterator[Prompt]:
    """The same lists of messages. Raises at the first that the chat endpoint or JSON could not read."""
    for row, item in enumerate(items):
        if not isinstance(item, list | tuple):
            what = f"missing ({item!r})" if is_missing(item) else a_type(item)
            raise InputError(f'{place(row)} is {what}, not a list of messages: [{{"role": …, "content": …}}]')
        if not item:
            raise InputError(f"{place(row)} is a conversation without messages: fill it or leave it out")
        if fault := rules.json_fault(item, "messages") or rules.conversation_fault(item):
            raise InputError(f"{place(row)}: {fault}")
        yield list(item)


def without_system(items: Iterable[Prompt], place: Place) -> Iterator[Prompt]:
    """The same prompts. Raises where a conversation brings a system message of its own."""
    for row, item in enumerate(items):
        if isinstance(item, list) and any(message["role"] == "system" for message in item):
            raise InputError(f"{place(row)} has a system message already: leave out the system option")
        yield item


def with_systems(items: Iterable[Prompt], systems: Iterable[Prompt], place: Place) -> Iterator[Prompt]:
    """Each text or conversation as a list of messages with its own system message in front."""
    for item, system in zip(without_system(items, place), systems, strict=True):
        messages = item if isinstance(item, list) else [{"role": "user", "content": item}]
        yield [{"role": "system", "content": system}, *messages]


class Ids:
    """Checks the ids that a user gave, piece by piece: texts, not empty, unique.

    `what` is how one is called in an error, `fix` what to type to make them texts.
    """

    def __init__(self, what: str, fix: str) -> None:
        self._what, self._fix = what, f": {fix}" if fix else ""
        self._seen: dict[str, int] = {}  # to its row: every row has one

    def checked(self, values: Iterable[object], place: Place) -> list[str]:
        """The ids, as plain texts. Raises InputError at the first that is none."""
        found = []
        for n, value in enumerate(values):
            if not isinstance(value, str):
                what = "missing" if value is None else a_type(value)
                raise InputError(
                    f"{place(n)}: the {self._what} {value!r:.60} is {what}; ids are texts{self._fix}"
                )
            value = str.__str__(value)  # a plain text, of NumPy's and Enum's too
            if not value.strip():
                raise InputError(f"{place(n)}: the {self._what} is empty; each row needs its own")
            if not encodes(value):
                half = "half a character (a lone surrogate), which cannot be sent"
                raise InputError(f"{place(n)}: the {self._what} holds {half}")
            if value in self._seen:
                row = self._seen[value]
                raise InputError(
                    f"{place(n)}: the {self._what} {value!r:.60} is that of row {row:,} too; ids are unique"
                )
            self._seen[value] = len(self._seen)
            found.append(value)
        return found


def surrogate_error(row: int) -> InputError:
    """The error for a prompt that the JSON encoder refused because of a lone surrogate."""
    return InputError(f"row {row} {HALF}")


def checked_option(text: object, what: str) -> str:
    """A text that was typed as an option, unchanged. Raises when it is none, blank, or cannot be sent."""
    if not isinstance(text, str):
        raise InputError(f"{what} is {a_type(text)}: it must be a text")
    if not text.strip():
        raise InputError(f"{what} is empty: write it or leave it out")
    if not encodes(text):
        raise InputError(f"{what} holds half a character (a lone surrogate), which cannot be sent")
    return text


def has_marks(text: str) -> bool:
    """Whether the text holds a mark that makes it a template."""
    return "{{" in text or "{%" in text


def is_missing(value: object) -> bool:
    """Whether it is None, NaN, NaT or NA, of whatever library."""
    if value is None:
        return True
    if isinstance(value, str | int | list | tuple | dict):
        return False
    if type(value).__name__ == "NAType":  # pandas.NA, whose comparisons are NA again
        return True
    try:
        return bool(value != value)
    except Exception:  # an array or another object that compares in its own way
        return False


def one_line(said: object) -> str:
    """What somebody else's error says, on one line of at most 300 characters."""
    return " ".join(str(said).split())[:300]


def rows_place(named: str) -> Place:
    """Names rows of a source, as the user wrote it: "row 3 of `df`"."""
    source = quoted(named)
    return lambda row: f"row {row:,} of {source}"


def quoted(named: str) -> str:
    """The source as the user wrote it, marked as code; plain words stay as they are."""
    return named if named == "the source" else f"`{named}`"


def short(named: str) -> str:
    """The source as a name in code that the user may type."""
    return "x" if named == "the source" else named


def listed(names: Iterable[object], at_most: int = 20) -> str:
    """The names in a row with commas, the rest as "…"."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:at_most]) + (", …" if len(shown) > at_most else "")


def nearest(name: object, known: Iterable[object], written: Callable[[object], str] = str) -> str:
    """ ", did you mean `x`?" for the known name that is most alike, as it is written, or an empty text."""
    names = {str(one).casefold(): one for one in known}
    found = difflib.get_close_matches(str(name).casefold(), names, 1)
    return f", did you mean `{written(names[found[0]])}`?" if found else ""


def missing_values(rows: Sequence[int]) -> str:
    """How many values are missing and where: "2 missing values (rows 1, 4)"."""
    if len(rows) == 1:
        return f"1 missing value (row {rows[0]:,})"
    shown = ", ".join(f"{row:,}" for row in rows[:5])
    return f"{len(rows):,} missing values (rows {shown}{', …' if len(rows) > 5 else ''})"


def sized(value: object) -> str:
    """The value's type and size: "a list (2,000 items)", "a DataFrame (20,000 × 7)"."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape and all(isinstance(n, int) for n in shape):
        return f"{a_type(value)} ({' × '.join(f'{n:,}' for n in shape)})"
    if isinstance(value, Sequence | Mapping | set | frozenset):
        return f"{a_type(value)} ({len(value):,} items)"
    return a_type(value)
