"""Blocks: items a few hundred at a time, so that what is plain is looked at in one go.

Whatever is odd in a block is gone through one by one, by whoever knows what to say of it. Nothing is seen of
this from outside: the same items come in the same order, and what is raised is raised after all before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import islice
from operator import ne
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 256
"""Items of a block: few enough for a processor's cache, and to be held where each fills a model's context."""

SIMPLE = frozenset({str, int, bool, float, date, datetime})
"""Types without surprises: a text made of one is what `str` says, and a float alone may be missing."""

_NEVER_MISSING = SIMPLE - {float} | {list, tuple, dict}


def taken(items: Iterator[T], count: int) -> tuple[list[T], Exception | None]:
    """Up to so many items, fewer only at the end, and what was raised in place of the next one."""
    found: list[T] = []
    try:
        found.extend(islice(items, count))
    except Exception as exc:
        return found, exc
    return found, None


def blocks(items: Iterable[T]) -> Iterator[list[T]]:
    """All items in blocks; what they raise is raised after the last block before it."""
    rest, failed = iter(items), None
    while failed is None:
        block, failed = taken(rest, AT_ONCE)
        if block:
            yield block
        elif failed is None:
            return
    raise failed


def raising(exc: Exception) -> Iterator[T]:
    """No item, but this error in place of the first."""
    raise exc
    yield


def all_texts(block: Iterable[object]) -> bool:
    """Whether all of a block are texts, and of no subclass."""
    return set(map(type, block)) == {str}


def all_simple(block: list[object]) -> bool:
    """Whether all are of types without surprises, and none is missing."""
    return SIMPLE.issuperset(map(type, block)) and none_missing(block)


def none_missing(block: list[object]) -> bool:
    """Whether it is plain to see that none is None, NaN, NaT or NA."""
    kinds = set(map(type, block))
    return kinds <= _NEVER_MISSING or (kinds <= SIMPLE and not any(map(ne, block, block)))
