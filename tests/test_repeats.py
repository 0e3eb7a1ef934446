"""Several answers to one prompt (`--samples`), and one answer to several equal ones (`--unique`)."""

from pathlib import Path
from typing import Any

import pandas
import pytest

from groq_magic import client, ledger, prompts, shards
from groq_magic.answers import Answers
from groq_magic.errors import InputError
from groq_magic.prompts import Prompts
from groq_magic.settings import Settings
from groq_magic.shards import Form
from tests.line import (
    CREATE,
    POLL,
    WAIT_S,
    Line,
    echoes,
    ends,
    forget,
    last,
    line,
    no_late_files,
    pauses,
    replaced,
    sent,
    submit,
)

__all__ = ["line", "no_late_files", "pauses"]  # fixtures


def of_rows(source: object, template: str, id_column: str | None = None, **how: Any) -> Answers:
    """A submission of a table."""
    asked = prompts.from_source(source, template=template, id_column=id_column)
    return client.send(asked, Settings(**how), name="answers")


# --- samples ----------------------------------------------------------------------------------------------


def test_each_prompt_has_so_many_answers(line: Line) -> None:
    """Three samples of two prompts are six requests and six answers, a prompt's own beside each other."""
    uploads = sent(line)
    answers = submit("[[echo]]a", "[[echo]]b", samples=3).wait(WAIT_S)
    assert (answers.texts, uploads) == (list("aaabbb"), [6])
    assert [(answer.index, answer.sample) for answer in answers] == [
        (0, 1),
        (0, 2),
        (0, 3),
        (1, 1),
        (1, 2),
        (1, 3),
    ]
    assert len({answer.raw["id"] for answer in answers if answer.raw}) == 6
    assert answers[4].prompt == "[[echo]]b"


def test_from_three_to_five_sends_two_more(line: Line) -> None:
    """The samples that are there are used as they are, in their places; fewer send nothing."""
    uploads = sent(line)
    submit("[[echo]]a", "[[echo]]b").wait(WAIT_S)
    three = submit("[[echo]]a", "[[echo]]b", samples=3).wait(WAIT_S)
    forget()
    five = submit("[[echo]]a", "[[echo]]b", samples=5).wait(WAIT_S)
    assert uploads == [2, 4, 4]
    assert five.texts == list("aaaaabbbbb")
    kept = [five[row].raw for row in (0, 1, 2, 5, 6, 7)]
    assert kept == [answer.raw for answer in three]
    assert (last(five).reused, last(five).samples) == (6, 5)
    assert submit("[[echo]]b", samples=2).wait(WAIT_S).texts == ["b", "b"]
    assert len(uploads) == 3


def test_samples_have_ids_of_their_own(line: Line) -> None:
    """Of the user's own ids, the first sample has the id itself and the others `~2` and `~3` behind it."""
    answers = of_rows([{"id": "x", "t": "a"}, {"id": "y", "t": "b"}], "[[echo]]{{ t }}", "id", samples=3)
    answers.wait(WAIT_S)
    assert [answer.custom_id for answer in answers] == ["x", "x~2", "x~3", "y", "y~2", "y~3"]
    assert (answers["y~2"].text, answers["y~2"].sample, answers["y~2"].index) == ("b", 2, 1)


def test_an_id_that_a_sample_would_take_is_refused(line: Line) -> None:
    """Ids that end like a sample's are named before anything is sent."""
    rows = [{"id": "x", "t": "a"}, {"id": "x~2", "t": "b"}]
    with pytest.raises(InputError, match=r"The id 'x~2' would be that of a sample of another row"):
        of_rows(rows, "{{ t }}", "id", samples=2)
    assert line.asked == []


def test_frames_have_a_row_for_each_sample(line: Line) -> None:
    """The source's columns and index are repeated, and a column says which sample it is."""
    source = pandas.DataFrame({"t": ["a", "b"]}, index=["first", "second"])
    answers = of_rows(source, "[[echo]]{{ t }}", samples=2).wait(WAIT_S)
    framed = answers.to_pandas()
    assert list(framed.columns)[:3] == ["t", "sample", "answer"]
    assert list(framed.index) == ["first", "first", "second", "second"]
    assert list(framed["sample"]) == [1, 2, 1, 2]
    assert list(framed["answer"]) == list("aabb")
    assert list(answers[1:3].to_pandas()["t"]) == ["a", "b"]
    assert answers.to_polars()["sample"].to_list() == [1, 2, 1, 2]
    assert answers.to_arrow().column_names[:3] == ["t", "sample", "answer"]
    assert [row["sample"] for row in answers.to_dicts()] == [1, 2, 1, 2]


@pytest.mark.usefixtures("no_late_files")
def test_a_sample_is_retried_as_itself(line: Line) -> None:
    """What failed is asked again under its own sample; a later run knows the answers apart."""
    uploads = sent(line)
    answers = submit("[[cut]][[echo]]abcd", samples=2, options={"max_completion_tokens": 30}).wait(WAIT_S)
    answers[1:].retry(max_tokens=60)
    answers.wait(WAIT_S)
    assert uploads == [2, 1]
    forget()
    more = submit("[[cut]][[echo]]abcd", samples=2, options={"max_completion_tokens": 60}).wait(WAIT_S)
    assert uploads == [2, 1, 1]  # the first sample of these tokens was not asked for yet
    assert more[1].raw == answers[1].raw


def test_each_sample_is_asked_again_as_often_as_it_is_retried(line: Line) -> None:
    """A second retry of one sample does not pass for that of another."""
    uploads = sent(line)
    answers = submit("[[fail]]", samples=2).wait(WAIT_S)
    for row in (0, 1, 0, 1):
        answers[row : row + 1].retry(max_tokens=60)
        answers.wait(WAIT_S)
    assert uploads == [2, 1, 1, 1, 1]


@pytest.mark.parametrize("samples", [0, -1, True, 1.5])
def test_how_many_samples_is_a_whole_number(samples: Any) -> None:
    """Anything else is refused in one line."""
    with pytest.raises(InputError, match=r"samples is .*; it is a whole number from 1 to 1,000\."):
        Settings(samples=samples)


# --- unique -----------------------------------------------------------------------------------------------


def test_equal_prompts_are_sent_once_and_fill_all_their_rows(line: Line) -> None:
    """Five rows of two kinds are two requests; tokens are counted once."""
    uploads = sent(line)
    asked = [f"[[echo]]{letter}" for letter in "abaab"]
    answers = submit(*asked, unique=True).wait(WAIT_S)
    assert (answers.texts, uploads) == (list("abaab"), [2])
    assert answers.counts == {"ok": 5}
    assert answers[3].raw == answers[0].raw
    assert [answer.prompt for answer in answers] == asked
    assert answers.usage.total_tokens == answers[:2].usage.total_tokens > 0
    forget()
    attached = client.attach(answers.job_id)
    assert attached.wait(WAIT_S).texts == list("abaab")
    assert uploads == [2]


def test_without_unique_each_row_is_its_own_request_and_the_card_says_so(line: Line) -> None:
    """Repeats are counted and sent; what was asked with --unique serves the first of each."""
    uploads = sent(line)
    asked = [f"[[echo]]{letter}" for letter in "abaab"]
    submit(*asked, unique=True).wait(WAIT_S)
    answers = submit(*asked).wait(WAIT_S)
    assert (answers.texts, uploads) == (list("abaab"), [2, 3])
    assert last(answers).repeats == 3
    assert submit(*asked, unique=True).wait(WAIT_S).texts == list("abaab")
    assert len(uploads) == 2


def test_repeats_of_what_failed_fail_alike_and_are_retried_once(line: Line) -> None:
    """A failure fills all its rows with its reason; the retry sends one, and all of them have its answer."""
    uploads = sent(line)
    options = {"max_completion_tokens": 1}
    answers = submit(*["[[echo]]abcdefgh"] * 3, "[[fail]]", "[[fail]]", unique=True, options=options)
    answers.wait(WAIT_S)
    assert ends(answers) == [("cut", None)] * 3 + [("failed", "json_validate_failed")] * 2
    assert last(answers).problems[0].count == 2
    answers[2:3].retry(max_tokens=50)
    answers.wait(WAIT_S)
    assert answers.texts[:3] == ["abcdefgh"] * 3
    assert uploads == [2, 1]


def test_a_failure_that_was_mended_is_one_for_none_of_its_rows(line: Line) -> None:
    """Once the first of equal rows has its answer, nothing is counted against any of them."""
    nothing = {"completed": 0, "failed": 0, "total": 2}
    ended = {"output_file_id": None, "error_file_id": None, "request_counts": nothing}
    line.on(POLL, replaced(status="expired", **ended))
    asked = [f"[[echo]]{letter}" for letter in "aabb"]
    answers = submit(*asked, unique=True).wait(WAIT_S)
    assert last(answers).problems[0].count == 4
    answers = submit(*asked, unique=True).wait(WAIT_S)
    assert (answers.texts, last(answers).problems) == (list("aabb"), ())


def test_equal_rows_have_the_answer_that_came_last_to_the_first(line: Line) -> None:
    """A cut answer that a retry replaced by another cut one is replaced in every row."""
    answers = submit(*["[[cut]][[echo]]abcd"] * 2, unique=True, options={"max_completion_tokens": 30})
    before = answers.wait(WAIT_S)[0].raw
    answers.retry(max_tokens=60)
    answers.wait(WAIT_S)
    assert before != answers[0].raw == answers[1].raw


def test_a_reused_failure_that_was_mended_is_counted_for_no_row(line: Line) -> None:
    """Where equal rows had their failure from an earlier batch, its mending takes all of them back."""
    nothing = {"completed": 0, "failed": 0, "total": 1}
    line.on(POLL, replaced(status="failed", output_file_id=None, error_file_id=None, request_counts=nothing))
    submit("[[echo]]a").wait(WAIT_S)
    answers = submit("[[echo]]a", "[[echo]]a", "[[echo]]b", unique=True).wait(WAIT_S)
    answers.retry()
    answers.wait(WAIT_S)
    assert (answers.counts, last(answers).problems) == ({"ok": 3}, ())


def test_unique_takes_what_was_asked_before(line: Line) -> None:
    """One earlier answer serves all equal rows."""
    uploads = sent(line)
    submit("[[echo]]a").wait(WAIT_S)
    answers = submit("[[echo]]a", "[[echo]]a", "[[echo]]b", "[[echo]]b", unique=True).wait(WAIT_S)
    assert (answers.texts, uploads) == (list("aabb"), [1, 1])
    assert last(answers).reused == 1


def test_rows_that_share_an_answer_keep_their_own_ids(line: Line) -> None:
    """Each row is found under the id that the user gave it, whichever was sent."""
    rows = [{"id": name, "t": text} for name, text in (("x", "a"), ("y", "a"), ("z", "b"))]
    answers = of_rows(rows, "[[echo]]{{ t }}", "id", unique=True).wait(WAIT_S)
    assert [answer.custom_id for answer in answers] == ["x", "y", "z"]
    assert (answers["y"].text, answers["y"].index, answers["z"].index) == ("a", 1, 2)


def test_unique_with_samples_sends_each_kind_so_many_times(line: Line) -> None:
    """Two samples of three equal prompts are two requests."""
    uploads = sent(line)
    assert submit(*["[[echo]]a"] * 3, samples=2, unique=True).wait(WAIT_S).texts == ["a"] * 6
    assert uploads == [2]


def test_forgetting_what_shares_answers_with_itself_is_possible(line: Line) -> None:
    """A job is no borrower of its own."""
    answers = submit("[[echo]]a", "[[echo]]a", unique=True).wait(WAIT_S)
    client.forget(answers)
    assert ledger.current().jobs() == []


def test_a_plan_counts_what_would_really_be_sent(line: Line) -> None:
    """What was asked before, and what repeats another, is not among it."""
    submit(*echoes(3)).wait(WAIT_S)
    asked = prompts.from_source([*echoes(5), "[[echo]]4"])
    plan = client.plan(asked, Settings(unique=True))
    assert (plan.prompts, plan.reused, plan.repeats, plan.shards) == (2, 3, 1, 1)
    known = client.plan(prompts.from_source(echoes(3)), Settings())
    assert (known.prompts, known.reused, known.shards, known.bytes) == (0, 3, 0, 0)
    assert line.count(CREATE) == 1


def test_a_plan_counts_what_a_rerun_would_send(line: Line) -> None:
    """Rows that expired are asked again by the same cell, and the plan says so."""
    nothing = {"completed": 0, "failed": 0, "total": 3}
    line.on(POLL, replaced(status="expired", output_file_id=None, error_file_id=None, request_counts=nothing))
    uploads = sent(line)
    submit(*echoes(3)).wait(WAIT_S)
    plan = client.plan(prompts.from_source(echoes(3)), Settings())
    assert (plan.prompts, plan.reused, plan.shards) == (3, 0, 1)
    assert plan.bytes > 0
    submit(*echoes(3)).wait(WAIT_S)
    assert uploads == [3, 3]


@pytest.mark.parametrize("count", [1, 7, 250_000])
def test_repeats_are_counted(count: int, tmp_path: Path) -> None:
    """Rows beyond the first of their kind count, however many there are."""
    kinds = max(1, count // 3)
    asked = Prompts([f"{n % kinds}" for n in range(count)], count)
    assert shards.repeats(shards.cut(asked, Form("m"), tmp_path)) == count - kinds
