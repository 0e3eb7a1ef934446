"""What happens to a batch: it is created, looked at, cancelled, and settled at its end.

https://console.groq.com/docs/batch
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from . import bodies, faults, intake, results
from .refusals import Refusal, broken, invalid, not_found
from .rules import Rules
from .store import Store
from .timeline import Batch, Settled, Standing, late_s, standing

PAGE = 20
MOST_IDS = 200
MOST_PAIRS = 64
_NOT_YET = -math.inf
_CURSOR = re.compile(r"cursor_[0-9a-z]{26}")
_WINDOW = re.compile(r"([1-9][0-9]{0,2})(h|d)")
_DAY_S = 86_400


class Batches:
    """The batches of one store, by one clock. Each call may work on disk: call it off the event loop."""

    def __init__(self, store: Store, now: Callable[[], float], pace_s: float, rules: Rules) -> None:
        self._store, self._now, self._pace_s, self._rules = store, now, pace_s, rules
        self._settled: set[str] = set()

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Read the file once and store the batch. Returns it as it begins, whatever the pace.

        Raises Refusal: 500 after the batch was stored, where `[[create-500]]` asks for it.
        """
        store, rules, at = self._store, self._rules, self._now()
        window_s, file_id = _window_s(asked, rules), _input_file_id(asked)
        endpoint, metadata = _endpoint(asked), _metadata(asked)
        batch_id = store.ids.new("batch_", at)
        try:
            if store.file(file_id).purpose != "batch":
                raise invalid("The input file must be uploaded with the purpose `batch`.", "input_file_id")
            store.begin_work(batch_id, file_id)
            batch = self._taken_in(asked, batch_id, file_id, endpoint, metadata, at, window_s)
        except BaseException as error:
            store.end_work(batch_id)
            if isinstance(error, Refusal) and error.status == 404:
                raise invalid(f"Cannot find file `{file_id}`.", "input_file_id") from None
            raise
        if "[[create-500]]" in batch.marks:
            raise broken()
        return self._shown(batch, standing(batch, _NOT_YET))

    def _taken_in(
        self,
        asked: dict[str, Any],
        batch_id: str,
        file_id: str,
        endpoint: str,
        metadata: dict[str, str] | None,
        at: float,
        window_s: int,
    ) -> Batch:
        store, rules = self._store, self._rules
        taken = intake.take_in(store.input_path(batch_id), batch_id, endpoint, rules)
        if taken.turned_down:
            store.end_work(batch_id)
        else:
            taken.order.save(store.order_path(batch_id))
        span_s = self._pace_s * (3 if "[[slow]]" in taken.marks else 1)
        if any(mark in taken.marks for mark in faults.NEED_TIME):
            span_s = max(span_s, faults.LEAST_SPAN_S)
        batch = Batch(
            id=batch_id,
            endpoint=endpoint,
            input_file_id=file_id,
            completion_window=asked["completion_window"],
            metadata=metadata,
            project_id=store.project_id,
            created_at=at,
            expires_at=int(at) + window_s,
            span_s=span_s,
            total=0 if taken.turned_down else len(taken.order.offsets),
            errors=taken.errors,
            turned_down=taken.turned_down,
            marks=taken.marks,
            output_file_id=store.ids.new("file_", at),
            error_file_id=store.ids.new("file_", at),
            rules=rules,
        )
        if taken.has_output:
            self._arm(batch)
        store.save_batch(batch)
        return batch

    def _arm(self, batch: Batch) -> None:
        """Before the batch is stored, because too many faults are a reason to refuse it."""
        where = f"GET /files/{batch.output_file_id}/content"
        if "[[reset-download]]" in batch.marks:
            self._store.arm(faults.Armed("reset_reply", on=where))
        if "[[truncate-download]]" in batch.marks:
            self._store.arm(faults.Armed("truncate", on=where))

    def look(self, batch_id: str) -> dict[str, Any]:
        """The batch as it stands. The first look after its end writes its result files."""
        batch = self._store.batch(batch_id)
        # What is settled stays so, even if the clock is set back.
        stands = standing(batch, self._now() if batch.settled is None else math.inf)
        if stands.ended_at is not None and batch.settled is None:
            batch, stands = self._settle(batch_id)
        return self._shown(batch, stands)

    def listed(self, ids: list[str], cursor: str | None) -> dict[str, Any]:
        """The batches of these ids, or without any a page of all."""
        if cursor and not _CURSOR.fullmatch(cursor):
            raise invalid("`cursor` must come from `paging.next_cursor`.", "cursor")
        if len(ids) > MOST_IDS:
            raise invalid(f"At most {MOST_IDS} ids can be asked for at once.", "id")
        return self._these(ids) if ids else self._page(cursor)

    def _page(self, cursor: str | None) -> dict[str, Any]:
        """Twenty batches from the cursor on, the newest first. The last page's `next_cursor` is ""."""
        ids = self._store.batch_ids()
        if cursor:
            after = "batch_" + cursor.removeprefix("cursor_")
            ids = [batch_id for batch_id in ids if batch_id < after]
        shown, more = ids[:PAGE], len(ids) > PAGE
        following = "cursor_" + shown[-1].removeprefix("batch_") if more else ""
        return {**self._these(shown), "paging": {"next_cursor": following}}

    def _these(self, batch_ids: list[str]) -> dict[str, Any]:
        """The batches of these ids, as they were asked for; unknown ids are left out."""
        data = []
        for batch_id in batch_ids:
            with contextlib.suppress(Refusal):
                data.append(self.look(batch_id))
        return {"object": "list", "data": data}

    def cancel(self, batch_id: str) -> dict[str, Any]:
        """Stop the answering now. A batch that has ended is refused; a second cancel changes nothing."""
        with self._store.lock():
            batch, now = self._store.batch(batch_id), self._now()
            stands = standing(batch, now)
            ended = stands.ended_at is not None or batch.settled is not None
            if not ended and batch.cancel_at is None:
                self._store.save_batch(msgspec.structs.replace(batch, cancel_at=now))
        if ended:
            stands = standing(batch, math.inf)
            raise Refusal(
                400, f"A batch that is {stands.status} cannot be cancelled.", "batch_not_cancellable"
            )
        shown = self.look(batch_id)
        if batch.rules.timestamps == "null":
            shown["cancelling_at"] = None
        return shown

    def settle_all(self) -> None:
        """Write the results of every batch that has ended, looked at or not."""
        for batch_id in self._store.batch_ids():
            if batch_id not in self._settled:
                with contextlib.suppress(Refusal):
                    self.look(batch_id)
                    if self._store.batch(batch_id).settled is not None:
                        self._settled.add(batch_id)

    def _settle(self, batch_id: str) -> tuple[Batch, Standing]:
        """Writes the results, unless another process has, or a cancel has come first."""
        store = self._store
        with store.lock():
            batch = store.batch(batch_id)
            end = standing(batch, math.inf)
            if batch.settled is None:
                stands = standing(batch, self._now())
                if stands.ended_at is None:
                    return batch, stands
                if batch.turned_down:
                    settled = Settled(0, 0, has_output=False, has_errors=False)
                else:
                    try:
                        settled = self._write_results(batch, end)
                    except FileNotFoundError:  # somebody took its work away: that costs this batch alone
                        raise not_found("batch", batch_id) from None
                batch = msgspec.structs.replace(batch, settled=settled)
                store.save_batch(batch)
                store.end_work(batch_id)
            return batch, end

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
            if kind == "error" and "[[empty-error-file]]" in batch.marks:
                os.truncate(written, 0)
                kept[kind] = True
            if kind == "error" and "[[no-error-file]]" in batch.marks:
                kept[kind] = False
            if kept[kind]:
                name = f"{batch.id}_{kind}.jsonl"
                store.keep_file(written, file_id, name, "batch_output", end.ended_at or 0)
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

        late = late_s(batch)
        named = done is not None and (not late or self._now() >= (stands.ended_at or 0) + late)
        counts = {"completed": completed, "failed": failed, "total": total}

        def ended_as(status: str) -> int | None:
            return _second(stands.ended_at) if stands.status == status else None

        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.endpoint,
            "input_file_id": batch.input_file_id,
            "completion_window": batch.completion_window,
            "status": stands.status,
            "output_file_id": batch.output_file_id if named and done and done.has_output else None,
            "error_file_id": batch.error_file_id if named and done and done.has_errors else None,
            "created_at": int(batch.created_at),
            "in_progress_at": _second(stands.in_progress_at),
            "finalizing_at": None
            if done and batch.rules.timestamps == "null"
            else _second(stands.finalizing_at),
            "completed_at": ended_as("completed"),
            "failed_at": ended_as("failed"),
            "cancelling_at": _second(stands.cancelling_at),
            "cancelled_at": ended_as("cancelled"),
            "expires_at": batch.expires_at,
            "expired_at": ended_as("expired"),
            "request_counts": None if done is None and "[[nulls]]" in batch.marks else counts,
            "metadata": batch.metadata,
            "errors": _errors(batch, stands),
            "project_id": batch.project_id,
        }

    def _failed_so_far(self, batch: Batch, answered: int) -> int:
        if not answered:
            return 0
        try:
            return intake.failed_among(self._store.order_path(batch.id), batch.total, answered)
        except FileNotFoundError:  # settled by somebody else since it was read
            settled = self._store.batch(batch.id).settled
            return min(settled.failed, answered) if settled is not None else 0


def _errors(batch: Batch, stands: Standing) -> Any:
    """What is wrong with the file, once it was read: null where nothing is."""
    read = stands.status == "failed" if batch.turned_down else stands.in_progress_at is not None
    if not batch.errors or not read:
        return None
    wrapped = {"object": "list", "data": batch.errors}
    return wrapped if batch.rules.errors == "wrapped" else batch.errors


def _second(at: float | None) -> int | None:
    return None if at is None else int(at)


def _window_s(asked: dict[str, Any], rules: Rules) -> int:
    window = asked.get("completion_window")
    found = _WINDOW.fullmatch(window) if isinstance(window, str) else None
    window_s = int(found[1]) * (3_600 if found[2] == "h" else _DAY_S) if found else 0
    if rules.window == "range" and not _DAY_S <= window_s <= 7 * _DAY_S:
        raise invalid("`completion_window` must be from `24h` to `7d`.", "completion_window")
    known = {"ends": ("24h", "7d"), "day": ("24h",)}.get(rules.window, (window,))
    if window not in known:
        said = " or ".join(f"`{one}`" for one in known)
        raise invalid(f"`completion_window` must be {said}.", "completion_window")
    return window_s


def _input_file_id(asked: dict[str, Any]) -> str:
    file_id = asked.get("input_file_id")
    if not isinstance(file_id, str):
        raise invalid("`input_file_id` is missing.", "input_file_id")
    return file_id


def _endpoint(asked: dict[str, Any]) -> str:
    endpoint = asked.get("endpoint")
    if endpoint != bodies.CHAT:  # the guide's audio batches, too, are created with this one
        raise invalid(f"`endpoint` must be `{bodies.CHAT}`.", "endpoint")
    return str(endpoint)


def _metadata(asked: dict[str, Any]) -> dict[str, str] | None:
    metadata = asked.get("metadata")
    if metadata is None:
        return None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise invalid("`metadata` must map strings to strings.", "metadata")
    # Groq documents no limits; a store needs some. OpenAI's are 16 pairs of 64 and 512 characters.
    if len(metadata) > MOST_PAIRS or any(len(k) > 512 or len(v) > 2_048 for k, v in metadata.items()):
        said = f"`metadata` has at most {MOST_PAIRS} pairs, of 512 and 2,048 characters, in the sandbox."
        raise invalid(said, "metadata")
    return metadata
