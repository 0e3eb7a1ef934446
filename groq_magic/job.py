"""A job, its shards, and what their states mean: plain values and pure functions (but for a jitter).

::

    cut ─upload─▶ uploading ─▶ uploaded ─create─▶ creating ─▶ created ─watch─▶ ended ─collect─▶ collected
                                  ▲                 │ a create that was not answered: the service's list is
                                  │                 │ searched for its batch
                                  └── surely not ───┼── there ─▶ created
                                                    └─▶ unsure    there was no list: a later run searches
    anything before `created` ─▶ refused      the service will not have it: a later run tries again
    cut, uploading, uploaded ─cancel─▶ cancelled      nothing of it became a batch
    anything before `creating` ─▶ withdrawn     other jobs have asked meanwhile; what is left is a new shard
    saved       from a file of answers, which has no line for these rows: `status` and `reason` are the rows'

    direct ─ask─▶ collected     in place of `cut` where each prompt is asked by itself (`--now`); what came
                                so far is in the shard's result file, which grows: see `now`
    anything before `creating` ─▶ direct, and `direct` of which nothing came ─▶ cut      `runs.turn`

A state is on the ledger before the call it announces (`uploading`, `creating`), and the fact after it, so
`next_step` decides from the ledger alone: a first run, a re-run and a run after a crash are one path.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Literal

from groq_magic import keys
from groq_magic.costs import Cost, Estimate

Step = Literal["upload", "create", "watch", "collect", "search", "ask", "rest"]

NOW = "now"  # in the place of a job's window: through the ordinary endpoint, prompt by prompt
SEVERAL_MODELS = "several models"  # in the place of a model's name
NAMELESS = "batch"  # what a batch goes by that was given no name

# https://console.groq.com/docs/batch#batch-expiration: results are kept for 30 days
KEPT_S = 30 * 86_400


@dataclass(frozen=True)
class Job:
    """One submission as the ledger knows it. Times are epoch seconds.

    `prompts` counts its rows: each prompt has `samples` of them, one after the other. `origin` tells what
    made it: a submission, a retry of another job's rows, the taking up of a batch that is not ours, or a
    saved file, whose answers were here from the beginning.
    """

    job_id: str
    created_at: float
    service: str
    base_url: str
    key_fingerprint: str
    notebook: str
    name: str
    model: str
    endpoint: str
    window: str
    prompts: int
    content: str
    samples: int = 1
    take: int = 1
    attempt: int = 1
    origin: Literal["submit", "retry", "attach", "saved"] = "submit"
    cancel_requested_at: float | None = None
    stopped: str | None = None

    @property
    def sandbox(self) -> bool:
        """Whether it was sent to a sandbox, where nothing is paid."""
        return keys.is_sandbox(self.service)

    @property
    def unsent(self) -> str:
        """The state of a shard of which nothing was sent."""
        return "direct" if self.window == NOW else "cut"


@dataclass(frozen=True)
class Shard:
    """One file of a job. `state` is ours (see the module), `status` Groq's word for its batch.

    `prefix` begins the custom_ids that are ours, `content` is what the file is known by: see `shards.Cut`.
    """

    job_id: str
    number: int
    state: str
    first_row: int
    lines: int
    size: int
    prefix: str
    content: str
    file_id: str | None = None
    batch_id: str | None = None
    status: str | None = None
    completed: int = 0
    failed: int = 0
    created_at: float | None = None
    expires_at: float | None = None
    ended_at: float | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    reason: str | None = None
    unanswered: int = 0  # rows that ended as expired or missing: a later run asks again
    prompt_tokens: int = 0
    completion_tokens: int = 0
    key_fingerprint: str | None = None  # of the key that asked for the batch; None: the job's
    form: str = ""  # see `shards.Cut`

    @property
    def direct(self) -> bool:
        """Whether its prompts are, or were, asked one by one (or lay in a file: of those nobody asks)."""
        return self.state == "direct" or (self.state == "collected" and self.batch_id is None)


@dataclass(frozen=True)
class Loan:
    """Rows of a job that another job, the lender, asks about: `rows[n]` here is `lender_rows[n]` there.

    `kind` is "reuse" for what was asked before, "retry" for what is asked again: such an answer counts where
    it is one; "repeat" for rows that share the answer of an earlier row of their own job. `ids` are the
    user's own for these rows, if any.
    """

    lender: str
    kind: Literal["reuse", "retry", "repeat"]
    at: float
    rows: array[int]
    lender_rows: array[int]
    ids: tuple[str, ...] | None = None


_STEPS: dict[str, Step] = {
    "cut": "upload",
    "uploading": "upload",  # an upload that was not answered costs nothing: it is done again
    "uploaded": "create",
    "creating": "search",  # begun and not answered: it may be running at Groq
    "created": "watch",
    "ended": "collect",
    "direct": "ask",
    "unsure": "rest",
    "refused": "rest",  # see `in_a_later_run`
    "collected": "rest",
    "cancelled": "rest",
    "saved": "rest",
    "withdrawn": "rest",
}
NEVER_SENT = frozenset({"cut", "uploading", "uploaded", "refused"})

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


def next_step(shard: Shard) -> Step:
    """What is to be done about this shard now."""
    return _STEPS[shard.state]


def in_a_later_run(shard: Shard) -> str:
    """The state that a run begins with where an earlier one left this one: what rested may be tried again."""
    if shard.state == "refused":
        return "uploaded" if shard.file_id else "cut"
    return "creating" if shard.state == "unsure" else shard.state


@dataclass(frozen=True)
class Problem:
    """Failures of one kind: Groq's code, an example's message and row, how many, and those rows' status."""

    code: str
    message: str
    count: int
    row: int
    status: str = "failed"


@dataclass(frozen=True)
class Snapshot:
    """Everything there is to see of a job at one moment; handed to whoever watches. Times are epoch seconds.

    `phase` is "sending", "at_groq", "collecting", "done" or "not_sent". `status` is Groq's word for the
    batches taken together; `counts` covers every answer status, and its values sum to `prompts`.
    `served` is how many rows the service says it has done that are not here yet; `again_done` the same of the
    rows that are asked `again`. `repeats` ask what another row asks; `shared` have its answer. `direct` says
    that prompts are (at the end: were) asked one by one, and `pace` what the limits mean for those left.
    `labels` are those of a schema, at the end, each with how often it was given. The first `readable` rows
    have come to their end already. `files` has a letter for each file, in order: "w" waits to be sent, "s" is
    at the service, "d" is done, "x" has ended without answers. `history` is when how many rows were done.
    `more_tokens` is twice what the first answer that was cut off was allowed; 0 where none was.

    `estimate` is of the whole while it runs, `cost` what it has come to at the end (in a sandbox, at Groq);
    None where that cannot be told. Of it, in USD, `usd_now` is for what the job itself sends, and `usd_again`
    for what is asked again. `few_tokens` warns that a model may have too few of them to answer;
    `unpriced` are models whose price kept the cost from being known.
    """

    job_id: str
    name: str
    model: str
    badge: str
    sandbox: bool
    prompts: int
    phase: str
    status: str
    shards: int
    shards_sent: int
    counts: dict[str, int]
    served: int
    served_failed: int
    created_at: float
    now: float
    ended_at: float | None = None
    expires_at: float | None = None
    batch_ids: tuple[str, ...] = ()
    window: str = "24h"
    cancelling: bool = False
    trouble: str | None = None
    stopped: str | None = None
    checked_at: float | None = None
    samples: int = 1
    reused: int = 0
    reused_from: float | None = None
    repeats: int = 0
    shared: int = 0
    again: int = 0
    again_done: int = 0
    not_resent: str | None = None
    go_on: str = ""
    notes: tuple[str, ...] = ()
    labels: tuple[tuple[str, int], ...] = ()
    direct: bool = False
    pace: str = ""
    problems: tuple[Problem, ...] = ()
    first_prompt: str = ""
    first_answers: tuple[tuple[int, str, str], ...] = ()
    history: tuple[tuple[float, int], ...] = field(default=())
    readable: int = 0
    files: str = ""
    more_tokens: int = 0
    estimate: Estimate | None = None
    cost: Cost | None = None
    usd_now: float | None = None
    usd_again: float | None = None
    few_tokens: str | None = None
    unpriced: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in ("done", "not_sent")

    @property
    def meaning(self) -> str:
        """What the status means, in a sentence."""
        said = meaning(self.status, self.window)
        if self.sandbox:
            said = said.replace("Groq", "the sandbox")
        return said[:1].upper() + said[1:]

    @property
    def answered(self) -> int:
        """Rows that have their answer, as far as is known."""
        here = self.counts.get("ok", 0) + self.counts.get("cut", 0)
        return here if self.done else min(self.prompts, here + self.served)

    @property
    def failed(self) -> int:
        """Rows that failed at Groq, as far as is known."""
        here = self.counts.get("failed", 0)
        return here if self.done else here + self.served_failed

    @property
    def left(self) -> int:
        """Rows of which nothing is known yet."""
        seen = ("pending", "ok", "cut", "failed")
        ended = sum(n for status, n in self.counts.items() if status not in seen)
        return 0 if self.done else max(0, self.prompts - self.answered - self.failed - ended)

    @property
    def skipped(self) -> int:
        """Rows that are not sent, since they miss a value."""
        return self.counts.get("skipped", 0)

    @property
    def collect_before(self) -> float:
        """Until when Groq keeps the results."""
        return self.created_at + KEPT_S


def phase(job: Job, shards: Sequence[Shard], settled: Container[int], lent: bool = False) -> str:
    """Where the job stands as a whole; `settled` holds the shards (numbers) whose rows all have their end.

    `lent` says that rows are waited for which another job asks about.
    """
    if job.stopped and not any(shard.batch_id for shard in shards) and not lent:
        return "not_sent"
    steps = {next_step(shard) for shard in shards if shard.number not in settled}
    if not steps:
        return "at_groq" if lent else "done"
    if steps & {"upload", "create", "search", "ask"}:
        return "sending"
    return "at_groq" if "watch" in steps else "collecting"


# Words that a job may end with, the worst first.
_ENDINGS = ("unsure", "failed", "expired", "cancelled", "not collected", "completed")


def status(shards: Sequence[Shard], phase: str) -> str:
    """One word for the batches together: Groq's, of the batch that is furthest from its end.

    A word that Groq never used before is shown as it is. At the end the worst word wins.
    """
    if phase == "sending":
        return "sending"
    if phase == "not_sent":
        return "not sent"
    shards = [shard for shard in shards if shard.state != "withdrawn"]
    words = [_word(shard) for shard in shards]
    if phase == "done":
        ends = ["not collected" if left_behind(shard) else _word(shard) for shard in shards]
        known = [word for word in ends if word in _ENDINGS]
        return min(known, key=_ENDINGS.index, default=ends[0] if ends else "completed")
    going = [word for word in words if word not in ENDED and word != "unsure"]
    return max(going, key=_rank, default="finalizing")


def left_behind(shard: Shard) -> bool:
    """Of a shard of which nothing more will come now: whether a later run may still bring it to its end."""
    return next_step(shard) != "rest" or shard.state == "refused"


def _word(shard: Shard) -> str:
    if shard.state in ("unsure", "cancelled"):
        return shard.state
    return shard.status or "validating"


def _rank(word: str) -> int:
    """How far from the end a batch is."""
    order = ("finalizing", "cancelling", "in_progress", "validating")
    return order.index(word) if word in order else len(order)


def ask_again_s(age_s: float, jitter: float | None = None) -> float:
    """How long to wait before asking about a batch of this age: 0.1 s at first, a second soon, then a
    twentieth of its age, 60 s at most; jittered by 10 %.

    So an end is noticed within 5 % of the time that it took, and a small sandbox's at once.
    """
    jitter = random.random() if jitter is None else jitter
    young = min(1.0, 0.1 + max(age_s, 0.0))
    return min(60.0, max(young, age_s / 20)) * (0.9 + 0.2 * jitter)


MEANING = {
    "sending": "The prompts are on their way.",
    "validating": "Groq is checking the file.",
    "in_progress": "Groq is answering.",
    "finalizing": "All prompts are done; Groq is preparing the results.",
    "completed": "",
    "failed": "Groq did not accept the file.",
    "expired": "The {window} window ended first. Only what was answered is charged.",
    "cancelling": "Cancelled; Groq may take up to 10 minutes to stop.",
    "cancelled": "Cancelled. What was answered until then is here.",
    "unsure": "A batch was asked for, no reply came, and the list of batches could not be had: it may be "
    "running all the same. It is not asked for again before the list is there: run the cell again.",
    "not collected": "Not every batch could be sent and collected; the reasons stand below. Run the cell "
    "again when they are mended.",
    "not sent": "Nothing was sent and nothing was paid.",
}


def meaning(word: str, window: str = "24h") -> str:
    """What a status word means, in a sentence; a word that nobody knows yet is said to be Groq's own."""
    found = MEANING.get(word)
    return f"Groq calls this “{word}”." if found is None else found.format(window=window)
