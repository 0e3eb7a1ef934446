"""What a reply or an error means for a shard, decided here and acted on in `pipeline`: pure functions."""

from __future__ import annotations

import random
from typing import Literal

import tenacity

from groq_magic import job as jobs
from groq_magic.answers.reading import CANCELLED, EXPIRED, FAILED, MISSING, STATUSES, Held
from groq_magic.errors import ApiError, NoReply, Refused, TooLarge
from groq_magic.job import Job, Shard
from groq_magic.keys import Service
from groq_magic.wire import Batch

# How the rows of a shard ended of which no line came, by the last word about its batch.
_NO_LINE = {
    "completed": (MISSING, "no_reply", "The batch completed without a reply to this prompt."),
    "expired": (EXPIRED, "batch_expired", "The completion window ended before this prompt was answered."),
    "cancelled": (CANCELLED, "batch_cancelled", "The batch was cancelled before this prompt was answered."),
    "failed": (FAILED, "batch_failed", "The file was not accepted."),
    "unsure": (MISSING, "unsure", jobs.MEANING["unsure"]),
}


def tag(job: Job, shard: Shard) -> str:
    """What a file and its batch are found by if the ledger is lost: content, take, attempt."""
    return f"{shard.content[:16]}-{job.take}-{job.attempt}"


def file_name(job: Job, shard: Shard) -> str:
    """The name that a shard is uploaded under."""
    return f"groq_magic-{tag(job, shard)}.jsonl"


def facts(batch: Batch) -> dict[str, object]:
    """What a batch says of itself, as the ledger's columns; counts that it does not give are left alone."""
    found: dict[str, object] = {
        "batch_id": batch.id,
        "status": batch.status,
        "expires_at": batch.expires_at,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
    }
    counts = {"completed": batch.completed, "failed": batch.failed}
    return found | {key: n for key, n in counts.items() if n is not None}


def unnamed(batch: Batch) -> Literal["output", "error"] | None:
    """Which file a batch that has ended should name and does not, by what it says of itself."""
    answered = batch.status != "failed" if batch.completed is None else batch.completed
    nothing = batch.status == "completed" and not batch.error_file_id
    if not batch.output_file_id and (answered or nothing):
        return "output"
    failed = batch.status != "failed" and batch.failed
    return "error" if failed and not batch.error_file_id else None


def reason(batch: Batch) -> str | None:
    """Why a file was not accepted: the first few of Groq's reasons."""
    said = [
        f"{error.code}: {f'line {error.line}: ' if error.line else ''}{error.message}"
        for error in batch.errors[:3]
    ]
    more = f" … and {len(batch.errors) - 3:,} more" if len(batch.errors) > 3 else ""
    return "; ".join(said) + more if said else None


def ending(shard: Shard) -> tuple[int, str, str]:
    """Status, code and reason of the rows of a resting shard of which no line came."""
    if shard.state == "saved":
        code, _, said = (shard.reason or "").partition(": ")
        return STATUSES.index(shard.status or "missing"), code, said
    if shard.state == "cancelled":
        return CANCELLED, "not_sent", shard.reason or "Cancelled before it was sent."
    if shard.direct:
        if shard.status == "cancelled":
            return CANCELLED, "not_sent", "Cancelled before it was asked."
        return MISSING, "no_reply", shard.reason or "It was not asked yet."
    word = "unsure" if shard.state == "unsure" else shard.status or ""
    status, code, said = _NO_LINE.get(word, _NO_LINE["completed"])
    if shard.reason and word == "failed":
        code, _, said = shard.reason.partition(": ")
    elif shard.reason:
        said = f"{said} ({shard.reason})"
    return status, code, said


def no_results(size: int, whole: int, held: Held) -> str:
    """Why a file that came is not the results, or ""; `whole` is the size that the service tells, or 0."""
    if size and not held.ours:
        return "What came instead of the results holds none of this batch's answers."
    return "The results broke off on their way." if size < whole else ""


def oddity(held: Held, counted: int) -> str:
    """What is odd about results that are whole, or ""; `counted` lines were to be expected."""
    if held.others:
        lines = "1 line answers" if held.others == 1 else f"{held.others:,} lines answer"
        return f"{lines} nothing that was sent; left out."
    if held.ours < counted:
        return f"The results hold {held.ours:,} of {counted:,} replies that were counted."
    return ""


def passing(exc: BaseException) -> bool:
    """Whether trying again may help."""
    return isinstance(exc, NoReply) or (
        isinstance(exc, Refused) and (exc.status in (408, 429) or exc.status >= 500)
    )


def of_a_prompt(exc: ApiError) -> Literal["unasked", "again", "limited", "failed", "refused"]:
    """What an error means for a prompt that was asked by itself.

    It never left; it may be asked again, a few times; all have to wait; it has failed as it would in a batch;
    or no other would fare better. What came too large was paid, and would be again.
    https://console.groq.com/docs/errors
    """
    if isinstance(exc, TooLarge):
        return "failed"
    if not isinstance(exc, Refused):
        return "again" if getattr(exc, "maybe_done", True) else "unasked"
    if exc.status == 429:
        return "limited"
    if exc.status in (408, 409, 498, 499) or exc.status >= 500:
        return "again"
    own = exc.status in (400, 413, 415, 422, 424) or exc.code == "model_not_found"
    return "failed" if own else "refused"


def pause_s(failures: int) -> float:
    """How long to wait after so many failures: 1 s, doubling to a minute, jittered by 10 %."""
    return min(60.0, 2.0 ** min(failures - 1, 6)) * (0.9 + 0.2 * random.random())


def error(state: tenacity.RetryCallState) -> BaseException | None:
    """What went wrong in the last attempt."""
    return state.outcome.exception() if state.outcome else None


def wait_s(state: tenacity.RetryCallState) -> float:
    """What the service asked for, else 1 s, doubling to a minute, jittered."""
    exc = error(state)
    asked = exc.retry_after_s if isinstance(exc, Refused) else None
    return asked or tenacity.wait_exponential_jitter(initial=1, max=60)(state)


def advice(exc: Refused, job: Job, service: Service, shard: Shard | None = None) -> str:
    """What a lasting refusal means for the user: what happened, what stays, what to type next."""
    place, key, there = service.place_first, f"key from {service.key_from}", stays(shard)
    if exc.code == "not_available_for_plan":
        said = (
            f"The {key} works for chat, but its plan has no Batch API (Groq's Developer plan has: "
            f"https://console.groq.com/settings/billing).{there} With --now each prompt is asked by itself, "
            "at on-demand price. With that plan, or another key, run the cell again; %groq sandbox tries it "
            "out without Groq."
        )
    elif exc.status == 401:
        whose = "another key of its account" if there else "another key"
        said = f"{place} does not accept the {key}.{there} Set {whose} and run the cell again."
    elif exc.status == 403:
        said = f"{place} does not allow this to the {key}.{there} With one that may, run the cell again."
    elif exc.status == 404 and shard and jobs.next_step(shard) not in ("upload", "create", "ask"):
        maker, mine = made_with(job, shard), service.key_fingerprint
        what = shard.batch_id or "the file of these prompts"
        if maker == mine:
            return exc.message
        said = (
            f"The key with fingerprint {maker} made {what}; the {key} ({mine}) is none of its account's. "
            "Set one that is and run the cell again."
        )
    else:
        return exc.message
    return f"{said} ({exc.message})"


def made_with(job: Job, shard: Shard) -> str:
    """The fingerprint of the key that asked for the shard's batch, or would have."""
    return shard.key_fingerprint or job.key_fingerprint


def stays(shard: Shard | None) -> str:
    """What is at the service all the same, as a further sentence; empty where nothing is."""
    step = jobs.next_step(shard) if shard else "rest"
    if shard and step == "watch":
        return f" {shard.batch_id} runs on, and nothing is lost."
    if shard and step == "collect":
        return f" {shard.batch_id} has ended, and its answers are kept there."
    if shard and step == "ask" and shard.completed + shard.failed:
        return " What was answered is here."
    return " Whether there is a batch is not known yet, and none is made twice." if step == "search" else ""
