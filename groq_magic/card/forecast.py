"""How long a batch may still take, from how it went so far: two moments, and not one that is not known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

_MOVES = 3  # fewer steps forward than these tell nothing
_LATELY = 5  # the steps that stand for the present pace


def between(history: Sequence[tuple[float, int]], left: int, now: float) -> tuple[float, float] | None:
    """Between which epoch seconds `left` rows may be done; None where it is too early to tell.

    `history` holds moments and how many rows were done by then, where that changed. The pace of the whole
    and the pace of late are the bounds: batches begin late, and go in leaps.
    """
    moves = len(history) - 1
    if moves < _MOVES or left <= 0:
        return None
    if now < history[-1][0] or any(later[0] <= at[0] for at, later in pairwise(history)):
        return None  # the clock was set back
    # What was done before anything was seen to move says nothing about the pace.
    (begun, first), (last, done) = history[0], history[-1]
    start, before = history[-min(_LATELY, moves) - 1]
    whole, lately = (done - first) / (last - begun), (done - before) / (now - start)
    if whole <= 0 or lately <= 0:
        return None
    return now + left / max(whole, lately), now + left / min(whole, lately)
