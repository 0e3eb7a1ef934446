"""`%groq batches`: what the ledger and the service know, in one table."""

from dataclasses import replace

import pytest

from groq_magic import client, keys, ledger, listing, services
from groq_magic.listing import Entry, Listing
from groq_magic.magics import groq
from tests.line import (
    LIST,
    POLL,
    WAIT_S,
    Gate,
    Line,
    Seen,
    echoes,
    forget,
    line,
    long_ago,
    pauses,
    refuses,
    stranded,
    submit,
)
from tests.markup import HOSTILE, read
from tests.test_foreign import Tool, theirs, tool

__all__ = ["line", "long_ago", "pauses", "tool"]  # fixtures

AN_ENTRY = Entry(
    name="labels",
    job_id="0123456789ab",
    batch_ids=("batch_1",),
    model="openai/gpt-oss-20b",
    prompts=1_204,
    answered=1_190,
    failed=4,
    reused=10,
    repeats=0,
    status="in progress",
    created_at=1_790_000_000.0,
    place="api.groq.com",
    cost=0.2345,
    take_up="%groq attach labels",
)


def test_the_ledger_and_the_services_list_are_one_table(tool: Tool) -> None:
    """A batch of ours is there once, another tool's beside it, the youngest first, each with what to type."""
    submit("[[echo]]a", "[[fail]]").wait(WAIT_S)
    theirs_id = tool.batch(theirs(*echoes(3)))
    first, second = sorted(client_batches(), key=lambda entry: entry.job_id is None)
    assert (first.name, first.answered, first.failed, first.prompts) == ("answers", 1, 1, 2)
    assert first.take_up == "%groq attach answers"
    assert (second.batch_ids, second.prompts, second.job_id) == ((theirs_id,), 3, None)
    assert second.take_up == f"%groq attach {theirs_id} answers"


def client_batches() -> Listing:
    """The table, with nothing to be said about it."""
    found = listing.batches()
    assert found.note == ""
    return found


def test_what_the_service_says_now_counts(line: Line) -> None:
    """A batch that nobody watches any more is shown as the service has it, not as the ledger last heard."""
    line.on(POLL, *[refuses(503, "busy")] * 10_000)
    answers = submit(*echoes(3))
    Seen(answers).until(lambda now: now.trouble is not None and now.phase == "at_groq")
    service = services.current()
    forget()
    services._chosen = service
    line._acts.clear()
    (entry,) = client_batches()
    assert (entry.status, entry.answered) == ("completed", 3)


def test_a_name_of_another_notebook_is_no_name_here(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """There the batch's own id is what to type, with a name to give it."""
    (batch_id,) = submit("[[echo]]a", name="labels").wait(WAIT_S).batch_ids
    monkeypatch.setenv("JPY_SESSION_NAME", "another.ipynb")
    (entry,) = client_batches()
    assert (entry.name, entry.take_up) == ("labels", f"%groq attach {batch_id} labels")
    assert client.attach(batch_id, "labels").wait(WAIT_S).texts == ["a"]


def test_reused_rows_and_retries_are_told_apart(line: Line) -> None:
    """A grown table counts what it reused; what was asked again is marked as a retry."""
    submit("[[cut]][[echo]]abcd", options={"max_completion_tokens": 30}).wait(WAIT_S)
    answers = submit("[[cut]][[echo]]abcd", "[[echo]]b", options={"max_completion_tokens": 30}, name="more")
    answers.wait(WAIT_S).retry(max_tokens=60)
    answers.wait(WAIT_S)
    entries = {entry.name: entry for entry in client_batches()}
    assert entries.keys() == {"answers", "more", "more (retry)"}
    assert (entries["more"].prompts, entries["more"].counts) == (2, "2: 1 reused, 1 answered")
    assert entries["more (retry)"].take_up == "%groq attach more"  # the whole, not what was retried alone


def test_rows_that_repeat_others_are_counted(line: Line) -> None:
    """With --unique the numbers still add up."""
    submit(*["[[echo]]a"] * 3, "[[echo]]b", unique=True).wait(WAIT_S)
    assert [entry.counts for entry in client_batches()] == ["4: 2 answered, 2 repeated"]


@pytest.mark.usefixtures("long_ago")
def test_what_was_taken_out_of_a_late_submission_does_not_break_the_table(line: Line) -> None:
    """A job whose every file was withdrawn stands as those stand that have its answers."""
    late = stranded(line, *echoes(2))
    submit(*echoes(3), name="later").wait(WAIT_S)
    client.attach(late.job_id).wait(WAIT_S)
    assert {entry.status for entry in client_batches()} == {"completed"}
    forget()
    assert "stranded (completed)" in groq.greeting(ledger.current().named(ledger.notebook()))


def test_a_job_that_waits_for_anothers_batch_is_not_shown_as_completed(line: Line) -> None:
    """Rows that are all borrowed stand as the batch stands that they come from."""
    services.use_sandbox(pace_s=30)
    Seen(submit(*echoes(3), name="first")).until(lambda now: now.phase == "at_groq")
    submit(*echoes(2), name="second")
    first, second = sorted(client_batches(), key=lambda entry: entry.name)
    assert first.status == second.status != "completed"


def test_where_the_service_does_not_answer_the_ledger_is_shown(line: Line) -> None:
    """The table is there all the same, and says why it is not the whole."""
    submit(*echoes(1)).wait(WAIT_S)
    line.on(LIST, refuses(503, "busy"))
    found = listing.batches()
    assert len(found) == 1
    assert found.note.startswith(
        "From this machine's ledger alone: The sandbox answered GET /batches with 503"
    )


def test_a_service_that_hangs_is_not_waited_for(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time is over the ledger alone is shown."""
    monkeypatch.setattr(listing, "_ASK_S", 0.05)
    line.on(LIST, gate := Gate())
    assert listing.batches().note == "From this machine's ledger alone: The sandbox did not answer in time."
    gate.opened.set()


def test_without_a_key_the_ledger_is_shown(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked, and the table says so."""
    submit(*echoes(1)).wait(WAIT_S)
    services.use_groq()
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    asked = len(line.asked)
    found = listing.batches()
    assert (len(found), len(line.asked)) == (1, asked)
    assert "no key was found" in found.note


def test_the_cost_is_that_of_the_tokens(line: Line) -> None:
    """What a batch used is on the ledger once it is here, and costs half the on-demand price."""
    answers = submit(*echoes(2)).wait(WAIT_S)
    used = answers.usage
    (shard,) = ledger.current().shards(answers.job_id)
    assert (shard.prompt_tokens, shard.completion_tokens) == (used.prompt_tokens, used.completion_tokens)
    assert used.prompt_tokens > 0
    ours = ledger.current().job(answers.job_id)
    at_groq = replace(ours, service=keys.GROQ, base_url=keys.GROQ)
    entry = listing._of_job(at_groq, [shard], {}, "completed")
    expected = (0.0375 * used.prompt_tokens + 0.15 * used.completion_tokens) / 1e6
    assert entry.cost == pytest.approx(expected)
    (shown,) = client_batches()
    assert shown.cost == 0.0


@pytest.mark.parametrize(
    ("cost", "said"), [(None, "–"), (0.0, "free"), (0.2345, "$0.23"), (0.0004, "$0.0004")]
)
def test_what_a_batch_cost_is_money_or_a_dash(cost: float | None, said: str) -> None:
    """Where the price is not known there is a dash, and what cost nothing is free."""
    assert listing._money(replace(AN_ENTRY, cost=cost)) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (59, "59 s"), (60, "1 min"), (7_200, "2 h"), (86_400, "1 day"), (400_000, "4 days")],
)
def test_an_age_is_in_its_largest_unit(seconds: float, said: str) -> None:
    """Whole units, rounded down."""
    assert listing.age(seconds) == said


def test_the_table_is_text_and_html() -> None:
    """Both hold every column; what is beyond fifty is counted."""
    shown = Listing([AN_ENTRY] * 51, "A note.")._repr_mimebundle_()
    for kind in ("text/plain", "text/html"):
        for said in (
            "labels",
            "in progress",
            "1,204: 10 reused, 1,190 answered, 4 failed",
            "$0.23",
            "A note.",
        ):
            assert said in shown[kind]
        assert "… and 1 older one" in shown[kind]
    assert repr(Listing([AN_ENTRY], "")) == "<Listing: 1 batch>"


def test_names_and_words_from_outside_are_text() -> None:
    """A name, a status or a place cannot become markup or move a terminal's cursor."""
    text = "\x1b[2J" + HOSTILE
    entry = replace(AN_ENTRY, name=text, status=text, place=text, take_up=text)
    shown = Listing([entry], HOSTILE)._repr_mimebundle_()
    page = read(shown["text/html"])
    assert page.tags == {"table", "thead", "tbody", "tr", "th", "td", "code", "p"}
    assert HOSTILE in page.text
    assert "\x1b" not in shown["text/plain"]


def test_an_empty_list_says_how_to_begin(line: Line) -> None:
    """Nothing yet is a hint, not an empty table."""
    assert "No batches yet" in client_batches()._repr_mimebundle_()["text/plain"]
