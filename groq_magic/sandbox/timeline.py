"""Where a batch stands: a pure function of what is stored about it and of the clock.

::

    0 %          10 %                                     90 %         100 %      of its span
    validating   in_progress: rows are answered evenly    finalizing   completed
                 └ failed, if the file has faults

The window ends it as `expired` if rows are unanswered then, and so does `[[expire]]` half-way. A cancel
stops the answering at once, shows `cancelling` for a tenth of the span, then `cancelled`. `[[status]]` shows
a status of no document in place of the first two, until half-way.
https://console.groq.com/docs/batch
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from .faults import LATE_S
from .rules import Rules

STARTS, EXPIRES_EARLY, FINALIZES = 0.1, 0.5, 0.9
CANCELLING = 0.1
UNHEARD_OF = "scheduling"  # a status that real services have shown beside those in their documents


class Settled(msgspec.Struct, frozen=True):
    """What is known for good once the results are written."""

    completed: int
    failed: int
    has_output: bool
    has_errors: bool


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored about a batch. Times are epoch seconds.

    `span_s` is how long it takes from creation to its end; `marks` are those in its prompts. The ids of the
    result files are reserved at creation and shown at the end, for the files that are there.
    """

    id: str
    endpoint: str
    input_file_id: str
    completion_window: str
    metadata: dict[str, str] | None
    project_id: str
    created_at: float
    expires_at: int
    span_s: float
    total: int
    errors: list[dict[str, Any]]
    turned_down: bool
    marks: list[str]
    output_file_id: str
    error_file_id: str
    rules: Rules
    cancel_at: float | None = None
    settled: Settled | None = None


@dataclasses.dataclass(frozen=True)
class Standing:
    """Groq's word for the state, how many rows are answered, and when each state began (None: not yet)."""

    status: str
    answered: int = 0
    in_progress_at: float | None = None
    finalizing_at: float | None = None
    cancelling_at: float | None = None
    ended_at: float | None = None


def late_s(batch: Batch) -> float:
    """For how long after its end the batch does not name its result files."""
    return max(LATE_S, CANCELLING * batch.span_s) if "[[late]]" in batch.marks else 0.0


def standing(batch: Batch, now: float) -> Standing:
    """Where the batch stands at `now`. From one `now` to a later one it only ever goes forward."""
    if batch.cancel_at is None or now < batch.cancel_at:
        return _uncancelled(batch, now)
    # A cancel is taken only while the batch has not ended, so what it interrupts has no end of its own.
    interrupted = _uncancelled(batch, batch.cancel_at)
    over_at = batch.cancel_at + CANCELLING * batch.span_s
    return dataclasses.replace(
        interrupted,
        status="cancelling" if now < over_at else "cancelled",
        cancelling_at=batch.cancel_at,
        ended_at=None if now < over_at else over_at,
    )


def _uncancelled(batch: Batch, now: float) -> Standing:
    starts_at = batch.created_at + STARTS * batch.span_s
    finalizes_at = batch.created_at + FINALIZES * batch.span_s
    if batch.turned_down:
        return Standing("validating") if now < starts_at else Standing("failed", ended_at=starts_at)

    expired_at, within_reach = None, batch.total
    if "[[expire]]" in batch.marks:
        expired_at, within_reach = batch.created_at + EXPIRES_EARLY * batch.span_s, batch.total // 2
    elif batch.expires_at < finalizes_at:
        expired_at, within_reach = float(batch.expires_at), _answered(batch, batch.expires_at)

    if expired_at is not None and now >= expired_at:
        began_at = starts_at if starts_at <= expired_at else None
        return Standing("expired", within_reach, began_at, ended_at=expired_at)
    if "[[status]]" in batch.marks and now < (starts_at + finalizes_at) / 2:
        return Standing(UNHEARD_OF)
    if now < starts_at:
        return Standing("validating")
    if now < finalizes_at:
        return Standing("in_progress", min(within_reach, _answered(batch, now)), starts_at)
    ends_at = batch.created_at + batch.span_s
    if now < ends_at:
        return Standing("finalizing", batch.total, starts_at, finalizes_at)
    return Standing("completed", batch.total, starts_at, finalizes_at, ended_at=ends_at)


def _answered(batch: Batch, at: float) -> int:
    """How many rows are answered at a time before `finalizing`; the span is not 0 there."""
    share = ((at - batch.created_at) / batch.span_s - STARTS) / (FINALIZES - STARTS)
    return int(batch.total * min(1.0, max(0.0, share)))
