"""The picture of a card: what it says in every state, and what it lets into the page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from groq_magic.answers import display
from groq_magic.card import picture, words
from groq_magic.costs import Cost
from groq_magic.job import Snapshot
from tests import markup
from tests.states import ABOUT, AT, DONE, PROBLEMS, RUNNING, SENDING, STATES, hostile

LIVE = [picture.main, picture.found, picture.details, picture.announcement, picture.receipt]
TAGS = {"style", "div", "i", "span", "b", "code", "strong", "progress", "details", "summary", "pre"} | {
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
    return picture.main(snapshot) + picture.found(snapshot) + picture.details(snapshot)


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
        "998 of 1,000 answered.",
        "1,000 of 1,000",
        "998 answered 2 failed",
        "0",
        "Name a colour.",
        "Red.",
        "2",
        "Name a fruit.",
        "A pear.",
        "2 × json_validate_failed Failed to validate JSON. The first: answers[7].",
        "To ask again: %groq retry answers",
        "all of them: answers.to_pandas() id batch_01",
    ]


def test_the_text_of_a_card_has_the_cost_on_a_line_of_its_own() -> None:
    """While it runs and at its end, with a warning of too few tokens; what was not sent has cost nothing."""
    few = "It thinks before it answers."
    lines = words.text(replace(RUNNING, estimate=ABOUT, few_tokens=few)).split("\n")
    assert lines[-2:] == [
        "Whole batch about $0.23 ($0.15 to $0.40), on demand $0.46; assuming 350 tokens an answer.",
        few,
    ]
    assert "Paid $0.21, saved $0.21." in words.text(replace(DONE, cost=Cost(0.21, 0.42))).split("\n")
    unsent = replace(DONE, phase="not_sent", status="not sent", cost=Cost(0.0, 0.0))
    assert words.text(unsent).lower().count("paid") == 1


def test_the_receipt_reads_well_without_its_styles() -> None:
    """The line that a notebook keeps in mid-batch says what, where, how it stood, its id, and what to do."""
    text = markup.read(picture.receipt(replace(RUNNING, batch_ids=("batch_01", "batch_02")))).text
    assert re.fullmatch(
        r"◷ answers · 1,000 prompts to api\.groq\.com · begun \d+ \w+ \d\d:\d\d · in progress"
        r" · batch_01 and 1 more · opened again without its kernel\? The card below is gone with it: "
        r"run this cell to go on",
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
    bar = bars[0]  # the others are of labels
    assert 0 <= int(bar["value"]) <= int(bar["max"]) == snapshot.prompts - snapshot.skipped
    assert bar["aria-label"] == f"{words.title(snapshot)}: prompts done"
    assert f" of {snapshot.prompts - snapshot.skipped:,}" in markup.read(card_of(snapshot)).text


def test_a_service_that_counts_too_many_does_not_burst_the_bar() -> None:
    """Whatever counts a service claims, the bar stays within its bounds and nothing is left below zero."""
    much = replace(RUNNING, served=5_000, served_failed=70)
    (bar,) = markup.read(picture.main(much)).all("progress")
    assert bar["value"] == bar["max"] == "1000"
    assert "left" not in markup.read(picture.main(much)).text


@every_state()
def test_the_picture_depends_on_nothing_but_the_snapshot(
    snapshot: Snapshot, says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every part is made from the snapshot alone: without a clock, and twice the same."""

    def no_clock() -> float:
        raise AssertionError("a picture looks at no clock")

    for name in ("time", "monotonic"):
        monkeypatch.setattr(words.time, name, no_clock)
    for part in (*LIVE, picture.static, words.text, words.line):
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
@pytest.mark.parametrize("part", [picture.receipt, picture.found, picture.announcement, picture.details])
def test_what_stands_still_changes_only_with_the_state(
    part: Callable[[Snapshot], str], same: bool, changes: dict[str, Any]
) -> None:
    """Counts, checks and passing trouble redraw neither receipt, head, announcement nor what is unfolded."""
    if same:
        assert part(replace(RUNNING, **changes)) == part(RUNNING)
    else:
        assert any(each(replace(RUNNING, **changes)) != each(RUNNING) for each in LIVE)
        assert picture.receipt(replace(RUNNING, **changes)) != picture.receipt(RUNNING)


@pytest.mark.parametrize("snapshot", [s for _, s, _ in STATES if not s.done])
@pytest.mark.parametrize(
    "text", ["long " * 900, "&" * 9_000, "\\" * 9_000, "\ud83d" * 9_000, "𝔛" * 9_000, '"' * 9_000]
)
def test_parts_that_are_sent_again_are_small(snapshot: Snapshot, text: str) -> None:
    """What a running card sends at once stays under 4 KB, for any number of files and whatever is said."""
    big = replace(
        hostile(snapshot, text),
        shards=2_000,
        files="ds" * 1_000,
        history=tuple((AT + 1_000 * n, 10_000 * n) for n in range(60)),
        expires_at=AT + 100,
        trouble=text,
        few_tokens=text,
        notes=(text,) * 9,
        batch_ids=(text,) * 2_000,
        estimate=replace(ABOUT, unpriced=(text,) * 9),
        readable=5,
    )
    for part in LIVE:
        assert len(json.dumps(part(big), ensure_ascii=False).encode(errors="replace")) < 4_000


def test_no_control_character_gets_into_the_page() -> None:
    """An escape sequence in a text from outside could act where the page's source is read in a terminal."""
    for snapshot in (RUNNING, DONE):
        seen = hostile(snapshot, "a\x1b]0;b\x07\x00c")
        for part in (*LIVE, picture.receipt, picture.static):
            assert display.CONTROL.search(part(seen)) is None


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
    assert markup.read(picture.main(few)).all("svg") == []
    assert markup.read(picture.main(none)).all("svg") == []
    (curve,) = markup.read(picture.main(RUNNING)).all("svg")
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
    assert words.line(snapshot) == line


def test_the_card_as_text() -> None:
    """As plain text the card has its line, failures with the row to look at, and the first answers."""
    snapshot = replace(DONE, counts={"ok": 997, "failed": 2, "missing": 1}, problems=PROBLEMS)
    assert words.text(snapshot).splitlines() == [
        "answers · 1,000 prompts · api.groq.com · completed · 997 answered · 2 failed · 1 missing",
        "997 of 1,000 answered.",
        "2 × json_validate_failed: Failed to validate JSON. (the first: `answers[7]`)",
        "    To ask again: `%groq retry answers`",
        "1 × no_reply: The batch completed without a reply to this prompt. (the first: `answers[12]`)",
        "    Running the cell again asks for it again; what is answered stays.",
        "0  Name a colour.  →  Red.",
        "2  Name a fruit.  →  A pear.",
    ]
    assert "Sending: keep this kernel. The prompts are on their way." in words.text(SENDING)
