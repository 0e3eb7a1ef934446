"""How long a batch may still take, from how it went so far: two moments, and not one that is not known."""

from __future__ import annotations

from collections.abc import Sequence

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
    # What was done before anything was seen to move says nothing about the pace.
    (begun, first), (last, done) = history[0], history[-1]
    start, before = history[-min(_LATELY, moves) - 1]
    whole = (done - first) / max(last - begun, 1e-9)
    lately = (done - before) / max(max(now, last) - start, 1e-9)
    if whole <= 0 or lately <= 0:
        return None
    return now + left / max(whole, lately), now + left / min(whole, lately)
