"""The card: what it says in every state, what it lets into the page, and when it is drawn anew."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import comm
import ipywidgets
import pytest
from comm.base_comm import BaseComm
from IPython.core.displaypub import CapturingDisplayPublisher

from groq_magic import client, ledger, loop
from groq_magic.answers import Answers, Rows, Verbs
from groq_magic.card import picture
from groq_magic.card.widget import Card
from groq_magic.costs import Cost, Estimate
from groq_magic.job import Problem, Snapshot
from tests import markup, offline
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
SANDBOX = {"sandbox": True, "badge": "SANDBOX: not a model"}
ASKING = replace(
    SENDING,
    direct=True,
    counts={"ok": 400, "pending": 600},
    pace="At the limits seen (250,000 tokens a minute) the other 600 take about 4 min.",
)
PROBLEMS = (
    Problem("json_validate_failed", "Failed to validate JSON.", 2, 7),
    Problem("no_reply", "The batch completed without a reply to this prompt.", 1, 12),
)

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
    ("completed", DONE, ["✓ completed", "1,000 answered", "all of them: answers.to_pandas() batch_01"]),
    (
        "completed with failures",
        replace(DONE, counts={"ok": 995, "cut": 2, "failed": 2, "missing": 1}, problems=PROBLEMS),
        [
            "997 answered 2 failed 2 cut 1 missing",
            "2 × json_validate_failed Failed to validate JSON. The first: row 7.",
            "1 × no_reply The batch completed without a reply to this prompt. The first: row 12.",
        ],
    ),
    (
        "expired",
        replace(DONE, status="expired", window="7d", counts={"ok": 600, "expired": 400}),
        ["! expired", "The 7d window ended first. Only what was answered is charged.", "400 expired"],
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
LIVE = [picture.head, picture.body, picture.details, picture.announcement, picture.receipt]
TAGS = {"style", "div", "span", "b", "code", "strong", "progress", "details", "summary", "pre"} | {
    "table",
    "tbody",
    "tr",
    "td",
    "svg",
    "polyline",
}
ATTRIBUTES = {"class", "style", "role", "aria-live", "aria-label", "max", "value"} | {
    "width",
    "height",
    "viewbox",
    "fill",
    "stroke",
    "stroke-width",
    "points",
}


def every_state() -> pytest.MarkDecorator:
    """One test for each state."""
    return pytest.mark.parametrize(
        ("snapshot", "says"), [state[1:] for state in STATES], ids=[state[0] for state in STATES]
    )


def card_of(snapshot: Snapshot) -> str:
    """The whole card as it stands in the cell."""
    if snapshot.done:
        return picture.static(snapshot)
    return picture.head(snapshot) + picture.body(snapshot) + picture.details(snapshot)


def hostile(snapshot: Snapshot) -> Snapshot:
    """The same state with markup in every text that comes from outside."""
    return replace(
        snapshot,
        job_id=HOSTILE,
        name=HOSTILE,
        model=HOSTILE,
        badge=HOSTILE,
        status=snapshot.status + HOSTILE,
        batch_ids=(HOSTILE, HOSTILE),
        window=HOSTILE,
        trouble=None if snapshot.trouble is None else HOSTILE,
        stopped=None if snapshot.stopped is None else HOSTILE,
        pace=HOSTILE if snapshot.pace else "",
        problems=(Problem(HOSTILE, HOSTILE, 1, 0),) * 7,
        estimate=None if snapshot.estimate is None else replace(snapshot.estimate, unpriced=(HOSTILE,)),
        unpriced=(HOSTILE,) if snapshot.unpriced else (),
        few_tokens=None if snapshot.few_tokens is None else HOSTILE,
        first_prompt=HOSTILE,
        first_answers=((0, HOSTILE, HOSTILE),) * 3,
    )


# --- the picture ----------------------------------------------------------------------------------------


@every_state()
def test_each_state_reads_in_plain_sentences(snapshot: Snapshot, says: list[str]) -> None:
    """With every tag and style taken away the card still says where the batch is and what to do."""
    text = " ".join(markup.read(card_of(snapshot)).text.split())
    for sentence in says:
        assert sentence in text
    assert "{" not in text


def test_the_final_card_reads_well_without_its_styles() -> None:
    """A saved notebook that is shown without styles has a sentence on each line, and words stay apart."""
    snapshot = replace(DONE, counts={"ok": 998, "failed": 2}, problems=PROBLEMS[:1])
    lines = markup.read(picture.static(snapshot)).text.split("\n")
    assert [line for line in lines if not re.search(r"\d\d:\d\d", line)] == [
        "answers openai/gpt-oss-20b · 1,000 prompts api.groq.com ✓ completed",
        "1,000 of 1,000",
        "998 answered 2 failed",
        "0",
        "Name a colour.",
        "Red.",
        "2",
        "Name a fruit.",
        "A pear.",
        "2 × json_validate_failed Failed to validate JSON. The first: row 7.",
        "all of them: answers.to_pandas() batch_01",
    ]


def test_the_text_of_a_card_has_the_cost_on_a_line_of_its_own() -> None:
    """While it runs and at its end, with a warning of too few tokens; what was not sent has cost nothing."""
    few = "It thinks before it answers."
    lines = picture.text(replace(RUNNING, estimate=ABOUT, few_tokens=few)).split("\n")
    assert lines[-2:] == [
        "Whole batch about $0.23 ($0.15 to $0.40), on demand $0.46; assuming 350 tokens an answer.",
        few,
    ]
    assert "Paid $0.21, saved $0.21." in picture.text(replace(DONE, cost=Cost(0.21, 0.42))).split("\n")
    unsent = replace(DONE, phase="not_sent", status="not sent", cost=Cost(0.0, 0.0))
    assert picture.text(unsent).lower().count("paid") == 1


def test_the_receipt_reads_well_without_its_styles() -> None:
    """The line that a notebook keeps in mid-batch says what, where, how it stood, its id, and what to do."""
    text = markup.read(picture.receipt(replace(RUNNING, batch_ids=("batch_01", "batch_02")))).text
    assert re.fullmatch(
        r"◷ answers · 1,000 prompts to api\.groq\.com · begun \d+ \w+ \d\d:\d\d · in progress"
        r" · batch_01 and 1 more · opened again\? run this cell to go on",
        text,
    )


@every_state()
@pytest.mark.parametrize("part", [*LIVE, picture.static], ids=lambda part: part.__name__)
def test_nothing_from_outside_gets_into_the_page(
    part: Callable[[Snapshot], str], snapshot: Snapshot, says: list[str]
) -> None:
    """In every state and part, markup in a text from outside stays text: no tag or attribute is added."""
    page = markup.read(part(hostile(snapshot)))
    assert page.tags <= TAGS
    assert page.attributes <= ATTRIBUTES
    assert page.open == []
    labels = [bar["aria-label"] or "" for bar in page.all("progress")]
    assert "<script>alert(1)</script>" in " ".join([page.text, *labels])
    clean = markup.read(part(snapshot))
    assert page.all("style") == clean.all("style")
    ours = {attributes.get("class") for _, attributes in page.elements}
    assert not any("script" in (name or "") for name in ours)


@every_state()
def test_the_bar_has_a_value_and_a_name(snapshot: Snapshot, says: list[str]) -> None:
    """Where something is sent, one labelled progress element is within its bounds, its numbers as text."""
    bars = markup.read(card_of(snapshot)).all("progress")
    if snapshot.phase == "not_sent":
        assert bars == []  # there is nothing to show
        return
    (bar,) = bars
    assert 0 <= int(bar["value"]) <= int(bar["max"]) == snapshot.prompts
    assert bar["aria-label"] == "answers: prompts done"
    assert f" of {snapshot.prompts:,}" in markup.read(card_of(snapshot)).text


def test_a_service_that_counts_too_many_does_not_burst_the_bar() -> None:
    """Whatever counts a service claims, the bar stays within its bounds and nothing is left below zero."""
    much = replace(RUNNING, served=5_000, served_failed=70)
    (bar,) = markup.read(picture.body(much)).all("progress")
    assert bar["value"] == bar["max"] == "1000"
    assert "left" not in markup.read(picture.body(much)).text


@every_state()
def test_the_picture_depends_on_nothing_but_the_snapshot(
    snapshot: Snapshot, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every part is made from the snapshot alone: without a clock, and twice the same."""

    def no_clock() -> float:
        raise AssertionError("a picture looks at no clock")

    for name in ("time", "monotonic"):
        monkeypatch.setattr(picture.time, name, no_clock)
    for part in (*LIVE, picture.static, picture.text, picture.line):
        assert part(snapshot) == part(replace(snapshot))


@pytest.mark.parametrize(
    ("same", "changes"),
    [
        (True, {"served": 401, "served_failed": 9}),
        (True, {"counts": {"ok": 500, "pending": 500}}),
        (True, {"now": AT + 90, "checked_at": AT + 80, "history": ()}),
        (True, {"trouble": "No answer."}),
        (False, {"status": "finalizing"}),
        (False, {"cancelling": True}),
        (False, {"batch_ids": ("batch_01", "batch_02")}),
        (False, {"name": "renamed"}),
    ],
)
@pytest.mark.parametrize("part", [picture.receipt, picture.head, picture.announcement, picture.details])
def test_what_stands_still_changes_only_with_the_state(
    part: Callable[[Snapshot], str], same: bool, changes: dict[str, Any]
) -> None:
    """Counts, checks and passing trouble redraw neither receipt, head, announcement nor what is unfolded."""
    if same:
        assert part(replace(RUNNING, **changes)) == part(RUNNING)
    else:
        assert any(each(replace(RUNNING, **changes)) != each(RUNNING) for each in LIVE)
        assert picture.receipt(replace(RUNNING, **changes)) != picture.receipt(RUNNING)


def test_parts_that_are_sent_again_are_small() -> None:
    """What a running card sends at each change stays under 4 KB, whatever the number of files."""
    big = replace(
        RUNNING,
        shards=2_000,
        batch_ids=tuple(f"batch_01jd0000000000000000{n:06}" for n in range(2_000)),
        history=tuple((AT + n, n) for n in range(60)),
        trouble="No answer from api.groq.com (timed out). " * 5,
    )
    for part in LIVE:
        assert len(part(big).encode()) < 4_096


def test_the_announcement_is_one_polite_line() -> None:
    """A screen reader is told the name and the state, politely, and nothing of the numbers."""
    page = markup.read(picture.announcement(RUNNING))
    (line,) = page.all("div")
    assert (line["role"], line["aria-live"]) == ("status", "polite")
    assert page.text == "answers: in progress"


def test_the_sparkline_waits_until_there_is_something_to_see() -> None:
    """The little curve comes with the third moment that has answers, and it has a name."""
    few = replace(RUNNING, history=RUNNING.history[:2])
    none = replace(RUNNING, history=((AT, 0), (AT + 1, 0), (AT + 2, 0)))
    assert markup.read(picture.body(few)).all("svg") == []
    assert markup.read(picture.body(none)).all("svg") == []
    (curve,) = markup.read(picture.body(RUNNING)).all("svg")
    assert (curve["role"], curve["aria-label"]) == ("img", "answers over time")


@pytest.mark.parametrize(
    ("snapshot", "line"),
    [
        (SENDING, "answers · 1,000 prompts · api.groq.com · sending · 0 answered · 1,000 left"),
        (
            RUNNING,
            "answers · 1,000 prompts · api.groq.com · in progress · 400 answered · 3 failed · 597 left",
        ),
        (
            replace(RUNNING, trouble="No answer."),
            "answers · 1,000 prompts · api.groq.com · in progress · 400 answered · 3 failed · 597 left"
            " · No answer.",
        ),
        (DONE, "answers · 1,000 prompts · api.groq.com · completed · 1,000 answered"),
        (
            replace(DONE, counts={"ok": 990, "failed": 4, "expired": 6}, status="expired"),
            "answers · 1,000 prompts · api.groq.com · expired · 990 answered · 4 failed · 6 expired",
        ),
        (
            replace(SENDING, phase="not_sent", status="not sent"),
            "answers · 1,000 prompts · api.groq.com · not sent",
        ),
        (
            replace(DONE, prompts=1, counts={"ok": 1}),
            "answers · 1 prompt · api.groq.com · completed · 1 answered",
        ),
    ],
)
def test_the_card_on_one_line(snapshot: Snapshot, line: str) -> None:
    """In a terminal the card is one line: name, size, place, state and counts."""
    assert picture.line(snapshot) == line


def test_the_card_as_text() -> None:
    """As plain text the card has its line, failures with the row to look at, and the first answers."""
    snapshot = replace(DONE, counts={"ok": 997, "failed": 2, "missing": 1}, problems=PROBLEMS)
    assert picture.text(snapshot).splitlines() == [
        "answers · 1,000 prompts · api.groq.com · completed · 997 answered · 2 failed · 1 missing",
        "2 × json_validate_failed: Failed to validate JSON. (the first: answers[7])",
        "1 × no_reply: The batch completed without a reply to this prompt. (the first: answers[12])",
        "0  Name a colour.  →  Red.",
        "2  Name a fruit.  →  A pear.",
    ]
    assert "Sending: keep this kernel. The prompts are on their way." in picture.text(SENDING)


# --- the widget -----------------------------------------------------------------------------------------


class Frontend:
    """What a notebook's page would have been sent."""

    def __init__(self, publisher: CapturingDisplayPublisher) -> None:
        self.messages: list[tuple[str, str, dict[str, Any]]] = []
        self._publisher = publisher

    def comm(self, **options: Any) -> BaseComm:
        """The line of one widget."""
        return _Comm(self, **options)

    def updates(self, part: ipywidgets.HTML) -> list[str]:
        """The values that a widget was given after it was opened."""
        return [
            data["state"]["value"]
            for kind, comm_id, data in self.messages
            if kind == "comm_msg" and comm_id == part.model_id and "value" in data.get("state", {})
        ]

    def closed(self) -> list[str]:
        """The ids of the widgets that were closed, as often as they were."""
        return [comm_id for kind, comm_id, _ in self.messages if kind == "comm_close"]

    @property
    def displays(self) -> list[dict[str, Any]]:
        """What was displayed or updated, in order: `data`, `transient`, `update`."""
        found: list[dict[str, Any]] = self._publisher.outputs
        return found


class _Comm(BaseComm):
    def __init__(self, frontend: Frontend, **options: Any) -> None:
        self._frontend = frontend
        super().__init__(**options)

    def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
        self._frontend.messages.append((msg_type, self.comm_id, data or {}))


@pytest.fixture
def frontend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Frontend]:
    """An IPython whose outputs and widgets are recorded as they leave it."""
    with offline.ipython() as shell:
        shell.display_pub = CapturingDisplayPublisher()
        opened = Frontend(shell.display_pub)
        monkeypatch.setattr(comm, "create_comm", opened.comm)
        yield opened


def new_card() -> Card:
    """A card over answers of which nothing is asked."""
    verbs = Verbs(
        lambda observer: None,
        Future,
        Future,
        lambda: None,
        int,
        lambda: None,
        lambda: "in_progress",
        list,
        Future,
    )
    return Card(Answers("answers", Rows("0123456789ab", 1, []), verbs))


def parts(card: Card) -> dict[str, ipywidgets.HTML]:
    """The widgets that the card draws in, by the part of the picture that they show."""
    return {"head": card._head, "body": card._body, "details": card._details, "spoken": card._spoken}


def show(card: Card, *snapshots: Snapshot) -> None:
    """Hands snapshots to the card, one right after the other, where the batch would."""

    async def hand() -> None:
        for snapshot in snapshots:
            card(snapshot)

    loop.run(hand())


def test_a_card_draws_at_most_twice_a_second(frontend: Frontend) -> None:
    """Of many snapshots at once the first is drawn, and then, half a second on, only the last."""
    card = new_card()
    steps = [replace(RUNNING, served=n) for n in range(10, 50)]
    show(card, *steps)
    assert frontend.updates(card._body) == [picture.body(steps[0])]
    offline.until(lambda: len(frontend.updates(card._body)) > 1)
    assert frontend.updates(card._body) == [picture.body(steps[0]), picture.body(steps[-1])]


def test_unchanged_parts_are_not_sent_again(frontend: Frontend, monkeypatch: pytest.MonkeyPatch) -> None:
    """When only numbers change, only the body is sent: what a reader unfolded stays so."""
    monkeypatch.setattr("groq_magic.card.widget._REDRAW_S", 0)
    card = new_card()
    show(card, *[replace(RUNNING, served=n) for n in (10, 20, 30)])
    show(card, replace(RUNNING, served=30))
    sent = {name: len(frontend.updates(part)) for name, part in parts(card).items()}
    assert sent == {"head": 1, "body": 3, "details": 1, "spoken": 1}
    assert sum("<style>" in str(data) for kind, _, data in frontend.messages if kind == "comm_msg") == 0
    assert sum("<style>" in str(data) for kind, _, data in frontend.messages if kind == "comm_open") == 1


def test_the_receipt_is_updated_at_changes_of_state_only(
    frontend: Frontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output that a saved notebook keeps changes with the state, not with each count."""
    monkeypatch.setattr("groq_magic.card.widget._REDRAW_S", 0)
    card = new_card()
    receipt_id = frontend.displays[0]["transient"]["display_id"]
    steps = [SENDING, *[replace(RUNNING, served=n) for n in range(5)], replace(RUNNING, status="finalizing")]
    show(card, *steps)
    kept = [each["data"] for each in frontend.displays if each["update"]]
    assert [data["text/html"] for data in kept] == [
        picture.receipt(step) for step in (SENDING, RUNNING, steps[-1])
    ]
    assert {each["transient"]["display_id"] for each in frontend.displays if each["update"]} == {receipt_id}


def test_the_end_leaves_one_static_card(frontend: Frontend) -> None:
    """At the end the receipt becomes the card for good, the widget's output is emptied and closed once."""
    card = new_card()
    show(card, RUNNING)
    receipt_id, card_id = (each["transient"]["display_id"] for each in frontend.displays[:2])
    drawn = len(frontend.displays)
    show(card, DONE)
    assert [(each["transient"]["display_id"], each["data"]) for each in frontend.displays[drawn:]] == [
        (receipt_id, {"text/html": picture.static(DONE), "text/plain": picture.text(DONE)}),
        (card_id, {"text/html": "", "text/plain": ""}),
    ]
    opened = [comm_id for kind, comm_id, data in frontend.messages if kind == "comm_open"]
    views = [found for found in frontend.closed() if found in opened]
    assert card._closed
    assert len(views) == len(set(views)) == 10  # two boxes, five parts, two buttons, a hint


def test_who_waited_is_shown_the_end_again(frontend: Frontend) -> None:
    """Told the end once more, on any thread, the card repeats its outputs and closes nothing twice."""
    card = new_card()
    show(card, RUNNING, DONE)
    closed, before = frontend.closed(), len(frontend.displays)
    card(DONE)
    final = frontend.displays[before:]
    assert [each["data"] for each in final] == [
        each["data"] for each in frontend.displays[before - 2 : before]
    ]
    assert final[0]["data"]["text/html"] == picture.static(DONE)
    assert frontend.closed() == closed


def test_nothing_is_drawn_after_the_end(frontend: Frontend) -> None:
    """A snapshot of before that comes late changes nothing any more."""
    card = new_card()
    show(card, RUNNING, replace(RUNNING, served=500), DONE)
    before = len(frontend.displays), len(frontend.messages)
    card._drawn_at = 0.0
    show(card, replace(RUNNING, served=600))
    assert (len(frontend.displays), len(frontend.messages)) == before


def buttons(card: Card) -> dict[str, ipywidgets.Button]:
    """The buttons that are offered now, by their words."""
    return {each.description: each for each in card._buttons.children if isinstance(each, ipywidgets.Button)}


def press(card: Card, words: str) -> None:
    """Presses a button; returns when what it does was begun on the loop."""
    buttons(card)[words].click()
    loop.run(asyncio.sleep(0))


def test_cancel_asks_once_and_then_cancels(frontend: Frontend, tmp_path: Path) -> None:
    """The button asks; `Keep it` leaves the batch alone, and `Yes` cancels it and takes the buttons away."""
    with offline.home(tmp_path):
        answers = offline.ask(["Wait for me"], pace_s=3_600)
        card = Card(answers)
        client.watch(answers, card)
        assert list(buttons(card)) == ["Check now", "Cancel…"]
        press(card, "Cancel…")
        assert list(buttons(card)) == ["Yes, cancel it", "Keep it"]
        press(card, "Keep it")
        assert list(buttons(card)) == ["Check now", "Cancel…"]
        (job,) = ledger.current().jobs()
        assert job.cancel_requested_at is None
        press(card, "Cancel…")
        press(card, "Yes, cancel it")
        assert buttons(card) == {}
        cancelled = offline.until(lambda: ledger.current().jobs()[0].cancel_requested_at)
        assert cancelled > job.created_at


def test_check_now_asks_at_once(frontend: Frontend, tmp_path: Path) -> None:
    """`Check now` has the batch asked about at once, so that its end is seen without waiting for the turn."""
    with offline.home(tmp_path):
        answers = offline.ask(["[[echo]]there"], pace_s=0)
        card = Card(answers)
        client.watch(answers, card)
        offline.until(lambda: answers.batch_ids)
        while not answers.done:
            press(card, "Check now")
        assert answers.texts == ["there"]
        assert card._closed
