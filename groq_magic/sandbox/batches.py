"""What happens to a batch: it is created, looked at, cancelled, and settled at its end.

https://console.groq.com/docs/batch
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from . import intake, replies, results
from .refusals import Refusal, invalid
from .store import Store
from .timeline import Batch, Settled, Standing, standing

PAGE = 20
MOST_IDS = 200
_NOT_YET = -math.inf
_WINDOW = re.compile(r"([1-9][0-9]{0,2})(h|d)")
_DAY_S = 86_400


class Batches:
    """The batches of one store, by one clock. Each call may work on disk: call it off the event loop."""

    def __init__(self, store: Store, now: Callable[[], float], pace_s: float) -> None:
        self._store, self._now, self._pace_s = store, now, pace_s
        self._lock = threading.Lock()
        self._settled: set[str] = set()

    def create(self, asked: Any) -> dict[str, Any]:
        """Read the file once and store the batch. Returns it as `validating`, whatever the pace."""
        store, at = self._store, self._now()
        if not isinstance(asked, dict):
            raise invalid("The body must be a JSON object.")
        window_s, file_id = _window_s(asked), _input_file_id(asked)
        endpoint, metadata = _endpoint(asked), _metadata(asked)
        batch_id = store.ids.new("batch_", at)
        try:
            if store.file(file_id).purpose != "batch":
                raise invalid("The input file must be uploaded with the purpose `batch`.", "input_file_id")
            store.begin_work(batch_id, file_id)
        except Refusal as gone:
            if gone.status != 404:
                raise
            raise invalid(f"Cannot find file `{file_id}`.", "input_file_id") from None
        taken = intake.take_in(store.input_path(batch_id), batch_id)
        if taken.errors:
            store.end_work(batch_id)
        else:
            taken.order.save(store.order_path(batch_id))
        batch = Batch(
            id=batch_id,
            endpoint=endpoint,
            input_file_id=file_id,
            completion_window=asked["completion_window"],
            metadata=metadata,
            project_id=store.project_id,
            created_at=at,
            expires_at=int(at) + window_s,
            span_s=self._pace_s * (3 if taken.slow else 1),
            total=0 if taken.errors else len(taken.order.offsets),
            errors=taken.errors,
            expires_early=taken.expires,
            output_file_id=store.ids.new("file_", at),
            error_file_id=store.ids.new("file_", at),
        )
        store.save_batch(batch)
        return self._shown(batch, standing(batch, _NOT_YET))

    def look(self, batch_id: str) -> dict[str, Any]:
        """The batch as it stands. The first look after its end writes its result files."""
        batch = self._store.batch(batch_id)
        # What is settled stays so, even if the clock is set back.
        stands = standing(batch, self._now() if batch.settled is None else math.inf)
        if stands.ended_at is not None and batch.settled is None:
            batch = self._settle(batch_id)
        return self._shown(batch, stands)

    def page(self, cursor: str | None) -> dict[str, Any]:
        """Twenty batches from the cursor on, the newest first. The last page's `next_cursor` is ""."""
        ids = self._store.batch_ids()
        if cursor:
            if not cursor.startswith("cursor_"):
                raise invalid("`cursor` must come from `paging.next_cursor`.", "cursor")
            after = "batch_" + cursor.removeprefix("cursor_")
            ids = [batch_id for batch_id in ids if batch_id < after]
        shown, more = ids[:PAGE], len(ids) > PAGE
        following = "cursor_" + shown[-1].removeprefix("batch_") if more else ""
        data = [self.look(batch_id) for batch_id in shown]
        return {"object": "list", "data": data, "paging": {"next_cursor": following}}

    def these(self, batch_ids: list[str]) -> dict[str, Any]:
        """The batches of these ids, as they were asked for; unknown ids are left out."""
        if len(batch_ids) > MOST_IDS:
            raise invalid(f"At most {MOST_IDS} ids can be asked for at once.", "id")
        data = []
        for batch_id in batch_ids:
            try:
                data.append(self.look(batch_id))
            except Refusal:
                continue
        return {"object": "list", "data": data}

    def cancel(self, batch_id: str) -> dict[str, Any]:
        """Stop the answering now. A batch that has ended is refused; a second cancel changes nothing."""
        with self._lock:
            batch, now = self._store.batch(batch_id), self._now()
            stands = standing(batch, now)
            ended = stands.ended_at is not None or batch.settled is not None
            if not ended and batch.cancel_at is None:
                self._store.save_batch(msgspec.structs.replace(batch, cancel_at=now))
        if ended:
            raise Refusal(
                400, f"A batch that is {stands.status} cannot be cancelled.", "batch_not_cancellable"
            )
        return self.look(batch_id)

    def settle_all(self) -> None:
        """Write the results of every batch that has ended, looked at or not."""
        for batch_id in self._store.batch_ids():
            if batch_id not in self._settled:
                self.look(batch_id)
                if self._store.batch(batch_id).settled is not None:
                    self._settled.add(batch_id)

    def _settle(self, batch_id: str) -> Batch:
        store = self._store
        with self._lock:
            batch = store.batch(batch_id)
            end = standing(batch, math.inf)
            if batch.settled is not None or end.ended_at is None:
                return batch
            if batch.errors:
                settled = Settled(0, 0, has_output=False, has_errors=False)
            else:
                settled = self._write_results(batch, end)
            batch = msgspec.structs.replace(batch, settled=settled)
            store.save_batch(batch)
            store.end_work(batch_id)
            return batch

    def _write_results(self, batch: Batch, end: Standing) -> Settled:
        store = self._store
        order = intake.Order.load(store.order_path(batch.id), batch.total)
        with store.aside() as output, store.aside() as errors:
            for answered, line in results.result_lines(batch, end, order, store.input_path(batch.id)):
                (output if answered else errors).write(line)
        kept = {}
        for kind, out, file_id in (
            ("output", output, batch.output_file_id),
            ("error", errors, batch.error_file_id),
        ):
            written = Path(out.name)
            kept[kind] = written.stat().st_size > 0
            if kept[kind]:
                store.keep_file(
                    written, file_id, f"{batch.id}_{kind}.jsonl", "batch_output", end.ended_at or 0
                )
            else:
                written.unlink()
        failed = order.failed[end.answered]
        return Settled(end.answered - failed, failed, has_output=kept["output"], has_errors=kept["error"])

    def _shown(self, batch: Batch, stands: Standing) -> dict[str, Any]:
        """The batch as Groq shows it: all the keys in the live order."""
        done = batch.settled
        if done is not None:
            completed, failed = done.completed, done.failed
        else:
            failed = self._failed_so_far(batch, stands.answered)
            completed = stands.answered - failed
        total = 0 if stands.status == "validating" else batch.total

        def ended_as(status: str) -> int | None:
            return _second(stands.ended_at) if stands.status == status else None

        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.endpoint,
            "input_file_id": batch.input_file_id,
            "completion_window": batch.completion_window,
            "status": stands.status,
            "output_file_id": batch.output_file_id if done is not None and done.has_output else None,
            "error_file_id": batch.error_file_id if done is not None and done.has_errors else None,
            "created_at": int(batch.created_at),
            "in_progress_at": _second(stands.in_progress_at),
            "finalizing_at": _second(stands.finalizing_at),
            "completed_at": ended_as("completed"),
            "failed_at": ended_as("failed"),
            "cancelling_at": _second(stands.cancelling_at),
            "cancelled_at": ended_as("cancelled"),
            "expires_at": batch.expires_at,
            "expired_at": ended_as("expired"),
            "request_counts": {"completed": completed, "failed": failed, "total": total},
            "metadata": batch.metadata,
            # The guide shows a flat list, the reference an object {"object": "list", "data": []}. Nobody has
            # published a live one; the guide is the better kept of the two.
            "errors": batch.errors if stands.status == "failed" else None,
            "project_id": batch.project_id,
        }

    def _failed_so_far(self, batch: Batch, answered: int) -> int:
        if not answered:
            return 0
        try:
            return intake.failed_among(self._store.order_path(batch.id), batch.total, answered)
        except FileNotFoundError:  # settled by somebody else since it was read
            settled = self._store.batch(batch.id).settled
            return settled.failed if settled is not None else 0


def _second(at: float | None) -> int | None:
    return None if at is None else int(at)


def _window_s(asked: dict[str, Any]) -> int:
    window = asked.get("completion_window")
    found = _WINDOW.fullmatch(window) if isinstance(window, str) else None
    window_s = int(found[1]) * (3_600 if found[2] == "h" else _DAY_S) if found else 0
    if not _DAY_S <= window_s <= 7 * _DAY_S:
        raise invalid("`completion_window` must be from `24h` to `7d`.", "completion_window")
    return window_s


def _input_file_id(asked: dict[str, Any]) -> str:
    file_id = asked.get("input_file_id")
    if not isinstance(file_id, str):
        raise invalid("`input_file_id` is missing.", "input_file_id")
    return file_id


def _endpoint(asked: dict[str, Any]) -> str:
    endpoint = asked.get("endpoint")
    if endpoint != replies.CHAT and endpoint not in replies.AUDIO:
        raise invalid(f"`endpoint` must be `{replies.CHAT}`.", "endpoint")
    return str(endpoint)


def _metadata(asked: dict[str, Any]) -> dict[str, str] | None:
    metadata = asked.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise invalid("`metadata` must map strings to strings.", "metadata")
    return metadata
