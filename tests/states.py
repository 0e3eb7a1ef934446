"""Every state that a card can show, each with what it says: for the tests of the picture, and the gallery."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from groq_magic.costs import Cost, Estimate
from groq_magic.job import NAMELESS, Problem, Snapshot
from tests.markup import HOSTILE

AT = 1_780_000_000.0

RUNNING = Snapshot(
    job_id="0123456789ab",
    name="answers",
    model="openai/gpt-oss-20b",
    badge="api.groq.com",
    sandbox=False,
    prompts=1_000,
    phase="at_groq",
    status="in_progress",
    shards=1,
    shards_sent=1,
    counts={"pending": 1_000},
    served=400,
    served_failed=3,
    created_at=AT,
    now=AT + 60,
    expires_at=AT + 86_400,
    batch_ids=("batch_01",),
    checked_at=AT + 50,
    first_prompt="Name a colour.",
    history=((AT, 0), (AT + 30, 200), (AT + 60, 400)),
)
SENDING = replace(RUNNING, phase="sending", status="sending", batch_ids=(), served=0, served_failed=0)
DONE = replace(
    RUNNING,
    phase="done",
    status="completed",
    counts={"ok": 1_000},
    served=1_000,
    served_failed=0,
    ended_at=AT + 600,
    first_answers=((0, "Name a colour.", "Red."), (2, "Name a fruit.", "A pear.")),
)
ABOUT = Estimate(0.23, 0.15, 0.4, 0.46, answer_tokens=350)
KNOWN = replace(ABOUT, answer_tokens=212, seen=1_204, same_options=True)
PRICELESS = Estimate(priced=False, unpriced=("llama-9",))
SANDBOX: dict[str, Any] = {"sandbox": True, "badge": "SANDBOX: not a model"}
ASKING = replace(
    SENDING,
    direct=True,
    counts={"ok": 400, "pending": 600},
    pace="At the limits seen (250,000 tokens a minute) the other 600 take about 4 min.",
)
PROBLEMS = (
    Problem("json_validate_failed", "Failed to validate JSON.", 2, 7),
    Problem("no_reply", "The batch completed without a reply to this prompt.", 1, 12, "missing"),
)

SCOUTED = replace(
    RUNNING,
    prompts=5_000,
    shards=5,
    shards_sent=4,
    files="ddssw",
    counts={"pending": 4_000, "ok": 1_000},
    batch_ids=tuple(f"batch_{n:02}" for n in range(4)),
    readable=1_000,
    first_answers=DONE.first_answers,
)


def clock(at: float) -> str:
    """The local time of day."""
    return time.strftime("%H:%M", time.localtime(at))


# What a state is called here, its snapshot, and what the card says of it (live, or for good at the end).
STATES: list[tuple[str, Snapshot, list[str]]] = [
    ("sending", SENDING, ["▲ sending", "Sending: keep this kernel. The prompts are on their way."]),
    (
        "sending files",
        replace(SENDING, shards=3, shards_sent=1),
        ["1,000 prompts, 3 files", "1 of 3 files are sent."],
    ),
    (
        "asking one by one",
        ASKING,
        [
            "Asking now: keep this kernel. On-demand price, twice the batch price. At the limits seen "
            "(250,000 tokens a minute) the other 600 take about 4 min.",
            "400 answered 600 left",
        ],
    ),
    (
        "asking one by one, of limits unknown",
        replace(ASKING, pace="", reused=990, reused_from=AT - 86_400),
        ["keep this kernel. On-demand price, twice the batch price. 990 of them were asked for on"],
    ),
    (
        "asking the sandbox",
        replace(ASKING, sandbox=True, badge="SANDBOX: not a model"),
        ["SANDBOX: not a model", "Asking now: keep this kernel. On-demand price, twice the batch price."],
    ),
    (
        "asked one by one",
        replace(DONE, direct=True, batch_ids=()),
        ["✓ completed", "On-demand price, twice the batch price.", "all of them: answers.to_pandas()"],
    ),
    (
        "asked one by one, cancelled",
        replace(DONE, direct=True, batch_ids=(), status="cancelled", counts={"ok": 400, "cancelled": 600}),
        ["What was answered until then is here. On-demand price, twice the batch price.", "600 cancelled"],
    ),
    ("validating", replace(RUNNING, status="validating"), ["● validating", "Groq is checking the file."]),
    (
        "in progress",
        RUNNING,
        ["At Groq: you may close this. Collect before", "Groq is answering.", "400 answered", "597 left"],
    ),
    ("finalizing", replace(RUNNING, status="finalizing"), ["Groq is preparing the results."]),
    ("a new word", replace(RUNNING, status="dozing_off"), ["● dozing off", "Groq calls this “dozing_off”."]),
    (
        "cancel asked",
        replace(RUNNING, cancelling=True),
        ["● in progress, cancelling", "400 answered 3 failed 597 left"],
    ),
    ("cancelling", replace(RUNNING, status="cancelling", cancelling=True), ["● cancelling", "10 minutes"]),
    (
        "trouble",
        replace(RUNNING, trouble="No answer from api.groq.com. Still trying, since 12:00."),
        ["◔ No answer from api.groq.com. Still trying, since 12:00."],
    ),
    ("collecting", replace(RUNNING, phase="collecting", status="finalizing"), ["Collecting the answers."]),
    (
        "in the sandbox",
        replace(RUNNING, sandbox=True, badge="SANDBOX: not a model"),
        ["SANDBOX: not a model", "In the sandbox: you may close this."],
    ),
    (
        "asked for before",
        replace(RUNNING, reused=1_000, reused_from=AT - 86_400),
        ["Asked for on", "not sent again."],
    ),
    (
        "grown since",
        replace(RUNNING, reused=990, reused_from=AT - 86_400),
        ["990 of them were asked for on", "are not sent again; 10 are."],
    ),
    (
        "asked again",
        replace(RUNNING, again=40, again_done=12, go_on="%groq attach answers goes on"),
        ["40 are asked again (12 done so far); the other 960 stay as they are."],
    ),
    ("repeats", replace(RUNNING, repeats=3), ["3 prompts repeat others: --unique sends equal ones once."]),
    ("samples", replace(RUNNING, samples=5), ["200 prompts × 5"]),
    ("completed", DONE, ["✓ completed", "1,000 answered", "all of them: answers.to_pandas() id batch_01"]),
    (
        "completed with failures",
        replace(
            DONE, counts={"ok": 995, "cut": 2, "failed": 2, "missing": 1}, problems=PROBLEMS, more_tokens=400
        ),
        [
            "997 of 1,000 answered.",
            "997 answered (2 cut off) 2 failed 1 missing",
            "2 × json_validate_failed Failed to validate JSON. The first: answers[7].",
            "To ask again: %groq retry answers",
            "1 × no_reply The batch completed without a reply to this prompt. The first: answers[12].",
            "Running the cell again asks for it again; what is answered stays.",
            "2 cut off at max tokens; what came is kept.",
            "For the whole: %groq retry answers --max-tokens 400",
        ],
    ),
    (
        "many kinds of failure",
        replace(
            DONE,
            counts={"ok": 993, "failed": 7},
            problems=tuple(Problem(f"error_{n}", f"It was {n}.", 1, n) for n in range(7)),
        ),
        ["1 × error_4 It was 4.", "… and 2 other kinds of failure"],
    ),
    (
        "a model that is gone",
        replace(
            DONE,
            counts={"failed": 1_000},
            first_answers=(),
            problems=(Problem("model_decommissioned", "The model is gone.", 1_000, 0),),
        ),
        ["0 of 1,000 answered.", "To ask again: %groq retry answers --model …"],
    ),
    (
        "answers and failures while it runs",
        replace(
            SCOUTED,
            counts={"pending": 4_000, "ok": 998, "failed": 2},
            problems=PROBLEMS[:1],
        ),
        [
            "The first 1,000 are here already: answers[:1000]",
            "Name a colour. Red.",
            "2 × json_validate_failed Failed to validate JSON. The first: answers[7].",
        ],
    ),
    (
        "the scout's answers",
        SCOUTED,
        [
            "5,000 prompts, 5 files",
            "The first 1,000 are here already: answers[:1000]",
            "Name a fruit. A pear.",
        ],
    ),
    (
        "nothing so far",
        replace(RUNNING, served=0, served_failed=0, history=((AT, 0),)),
        ["0 of 1,000 so far; large models often start late"],
    ),
    (
        "nothing so far in the sandbox",
        replace(RUNNING, served=0, served_failed=0, history=((AT, 0),), **SANDBOX),
        ["0 answered 0 of 1,000 so far begun"],
    ),
    (
        "too early to tell",
        replace(RUNNING, history=((AT, 0), (AT + 30, 400))),
        ["597 left, too early to say until when"],
    ),
    (
        "an even pace",
        replace(RUNNING, now=AT + 600, history=tuple((AT + 60 * n, 40 * n) for n in range(11))),
        [f"597 left, about until {clock(AT + 600 + 895.5)}"],
    ),
    (
        "a pace that has changed",
        replace(
            RUNNING, now=AT + 900, history=(*((AT + 60 * n, 40 * n) for n in range(11)), (AT + 900, 410))
        ),
        [f"597 left, until between {clock(AT + 900 + 1_310)} and {clock(AT + 900 + 1_896)}"],
    ),
    (
        "a pace of which little is known",
        replace(
            RUNNING,
            now=AT + 3_013,
            history=(
                *((AT + n, n * 30) for n in range(14)),
                *((AT + 13 + 600 * n, 390 + n) for n in range(1, 6)),
            ),
        ),
        [f"597 left, until {clock(AT + 3_013 + 4_554)} or later"],
    ),
    (
        "soon",
        replace(RUNNING, now=AT + 40, history=tuple((AT + 10 * n, 100 * n) for n in range(5))),
        ["597 left, about 60 s more"],
    ),
    (
        "not all before it expires",
        replace(
            RUNNING,
            now=AT + 600,
            expires_at=AT + 900,
            history=tuple((AT + 60 * n, 40 * n) for n in range(11)),
        ),
        [
            "597 left, not all of them before it expires at this pace",
            f"The window expires in 5 min, at {clock(AT + 900)}. What is answered by then is kept, and only "
            "that is charged; running the cell again then sends the rest.",
        ],
    ),
    ("the last minute", replace(RUNNING, expires_at=AT + 90), ["The window expires now. What is answered"]),
    (
        "a batch without a name",
        replace(RUNNING, name=NAMELESS),
        ["batch 0123456789ab openai/gpt-oss-20b"],
    ),
    (
        "a batch without a name at its end",
        replace(DONE, name=NAMELESS, counts={"ok": 998, "failed": 2}, problems=PROBLEMS[:1]),
        [
            "The first: row 7. To ask again: %groq attach 0123456789ab NAME, then %groq retry NAME",
            "all of them: .to_pandas()",
        ],
    ),
    (
        "expired",
        replace(DONE, status="expired", window="7d", counts={"ok": 600, "expired": 400}),
        ["! expired", "The 7d window ended first. Only what was answered is charged.", "400 expired"],
    ),
    (
        "labels",
        replace(DONE, labels=(("positive", 600), ("negative", 390), ("neutral", 10))),
        ["positive 600 negative 390 neutral 10"],
    ),
    (
        "could not be asked again",
        replace(DONE, not_resent="The key is not accepted.", counts={"ok": 990, "expired": 10}),
        ["What has no answer could not be asked again. The key is not accepted."],
    ),
    (
        "another batch goes on",
        replace(RUNNING, notes=("answers was another batch until now; that one goes on and is charged.",)),
        ["answers was another batch until now; that one goes on and is charged."],
    ),
    (
        "skipped rows",
        replace(DONE, counts={"ok": 990, "skipped": 10}),
        ["All 990 answered.", "990 of 990", "990 answered 10 skipped"],
    ),
    (
        "equal prompts share an answer",
        replace(RUNNING, shared=200),
        ["200 share the answer of an equal one."],
    ),
    (
        "unsure, and nothing is to be typed about it",
        replace(
            DONE,
            status="unsure",
            counts={"missing": 1_000},
            first_answers=(),
            problems=(Problem("unsure", "No reply came.", 1_000, 0, "missing"),),
        ),
        ["1,000 × unsure No reply came. The first: answers[0]. all of them: answers.to_pandas()"],
    ),
    (
        "all are readable while a retry runs",
        replace(RUNNING, counts={"ok": 990, "failed": 10}, served=0, readable=1_000, again=10),
        ["10 are asked again"],
    ),
    (
        "a time that no calendar has",
        replace(RUNNING, expires_at=1e18),
        ["expires ?"],
    ),
    (
        "expired, and what to do",
        replace(
            DONE,
            status="expired",
            counts={"ok": 600, "expired": 400},
            problems=(Problem("batch_expired", "The batch expired first.", 400, 600, "expired"),),
        ),
        [
            "Running the cell again asks for these 400 again; what is answered stays. A longer window: "
            "--window 7d."
        ],
    ),
    (
        "cancelled",
        replace(DONE, status="cancelled", counts={"ok": 400, "cancelled": 600}),
        ["■ cancelled", "What was answered until then is here.", "600 cancelled"],
    ),
    (
        "failed",
        replace(DONE, status="failed", counts={"failed": 1_000}, first_answers=()),
        ["! failed", "Groq did not accept the file.", "0 answered 1,000 failed"],
    ),
    (
        "unsure",
        replace(DONE, status="unsure", counts={"missing": 1_000}, first_answers=()),
        ["! unsure", "the list of batches could not be had: it may be running all the same."],
    ),
    ("not collected", replace(DONE, status="not collected"), ["the reasons stand below"]),
    (
        "not sent",
        replace(
            SENDING,
            phase="not_sent",
            status="not sent",
            stopped="This key's plan has no Batch API.",
            counts={"missing": 1_000},
        ),
        [
            "! not sent",
            "Not sent. This key's plan has no Batch API. Nothing was paid.",
            "run this cell again",
        ],
    ),
    (
        "many files",
        replace(DONE, shards=30, batch_ids=tuple(f"batch_{n:02}" for n in range(30))),
        ["1,000 prompts, 30 files", "batch_00 batch_01 batch_02 and 27 more"],
    ),
    (
        "what it may cost",
        replace(RUNNING, estimate=ABOUT, usd_now=0.23),
        ["Whole batch about $0.23 ($0.15 to $0.40), on demand $0.46; assuming 350 tokens an answer."],
    ),
    (
        "what it costs of late",
        replace(RUNNING, estimate=KNOWN),
        ["on demand $0.46, from 1,204 earlier answers of this model: 212 tokens each."],
    ),
    (
        "what it may cost of it now",
        replace(RUNNING, estimate=ABOUT, usd_now=0.02, reused=900, reused_from=AT - 86_400),
        ["an answer; $0.02 of it now."],
    ),
    (
        "nothing of it is charged again",
        replace(RUNNING, estimate=ABOUT, usd_now=0.23, reused=1_000, reused_from=AT - 86_400),
        ["an answer; none of it now."],
    ),
    (
        "what asking again may cost",
        replace(RUNNING, estimate=ABOUT, usd_now=0.23, usd_again=0.01, again=40),
        ["an answer; $0.01 of it now."],
    ),
    (
        "what it may cost on demand",
        replace(RUNNING, window="now", estimate=replace(ABOUT, batch=False)),
        ["About $0.23 on demand ($0.15 to $0.40); assuming 350 tokens an answer."],
    ),
    (
        "no price is known",
        replace(RUNNING, estimate=PRICELESS),
        ["What llama-9 costs is not known here."],
    ),
    (
        "nothing is paid in a sandbox",
        replace(RUNNING, estimate=ABOUT, **SANDBOX),
        ["Nothing is paid here; at Groq about $0.23 in a batch ($0.15 to $0.40), $0.46 on demand;"],
    ),
    (
        "too few tokens",
        replace(RUNNING, few_tokens="It thinks before it answers."),
        ["It thinks before it answers."],
    ),
    ("what it has cost", replace(DONE, cost=Cost(0.21, 0.42)), ["Paid $0.21, saved $0.21."]),
    (
        "what it has cost of it now",
        replace(DONE, cost=Cost(0.21, 0.42), usd_now=0.02, reused=900, reused_from=AT - 86_400),
        ["Paid $0.21, saved $0.21; $0.02 of it now."],
    ),
    ("what it has cost on demand", replace(DONE, cost=Cost(0.42, 0.42)), ["Paid $0.42."]),
    (
        "no price was known",
        replace(DONE, unpriced=("llama-9",)),
        ["What llama-9 costs is not known here."],
    ),
    (
        "nothing was paid in a sandbox",
        replace(DONE, cost=Cost(0.0004, 0.0008), **SANDBOX),
        ["Nothing was paid here; at Groq so many tokens cost $0.0004."],
    ),
    (
        "nothing was answered",
        replace(DONE, status="failed", counts={"failed": 1_000}, first_answers=(), cost=Cost(0.0, 0.0)),
        ["Nothing was paid."],
    ),
    ("one prompt", replace(DONE, prompts=1, counts={"ok": 1}), ["· 1 prompt api.groq.com", "1 answered"]),
]


def hostile(snapshot: Snapshot, text: str = HOSTILE) -> Snapshot:
    """The same state with markup (or another text) in every text that comes from outside."""
    return replace(
        snapshot,
        job_id=text,
        name=text,
        model=text,
        badge=text,
        status=snapshot.status + text,
        batch_ids=(text, text),
        window=text,
        trouble=None if snapshot.trouble is None else text,
        stopped=None if snapshot.stopped is None else text,
        not_resent=None if snapshot.not_resent is None else text,
        go_on=text if snapshot.go_on else "",
        pace=text if snapshot.pace else "",
        notes=(text, text),
        labels=tuple((text, n) for _, n in snapshot.labels),
        problems=(Problem(text, text, 1, 0),) * 7,
        estimate=None if snapshot.estimate is None else replace(snapshot.estimate, unpriced=(text,)),
        unpriced=(text,) if snapshot.unpriced else (),
        few_tokens=None if snapshot.few_tokens is None else text,
        first_prompt=text,
        first_answers=((0, text, text),) * 3,
    )
