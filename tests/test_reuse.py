"""What a re-run sends and what it does not: rows are known again by what they ask."""

import errno
import threading
from contextlib import suppress
from typing import Any

import filelock
import httpx
import numpy as np
import pytest

from groq_magic import client, ledger, pipeline, prompts, reuse, runs, services
from groq_magic.answers import Answers, Lent, Rows
from groq_magic.answers.reading import EXPIRED, PENDING
from groq_magic.card import words
from groq_magic.errors import InputError, LedgerError, NotSent, StillRunning
from groq_magic.job import Job, Loan, Snapshot
from groq_magic.ledger import Ledger
from groq_magic.settings import Settings
from groq_magic.shards import Form
from tests import offline
from tests.line import (
    CANCEL,
    CREATE,
    EARLIER,
    MODELS,
    POLL,
    UPLOAD,
    WAIT_S,
    Gate,
    Line,
    Seen,
    echoes,
    ends,
    forget,
    last,
    line,
    long_ago,
    lost,
    no_late_files,
    numbers,
    pauses,
    replaced,
    sent,
    stranded,
    submit,
)

__all__ = ["line", "long_ago", "no_late_files", "pauses"]  # fixtures


# --- a table that has grown -----------------------------------------------------------------------------


def test_ten_rows_more_are_ten_requests(line: Line) -> None:
    """What was answered is taken from disk, whoever asked, and only the new rows are sent."""
    uploads = sent(line)
    first = submit(*echoes(200)).wait(WAIT_S)
    forget()
    grown = submit(*echoes(210)).wait(WAIT_S)
    assert (grown.texts, uploads) == (numbers(210), [200, 10])
    assert (last(grown).reused, last(grown).reused_from) == (
        200,
        ledger.current().job(first.job_id).created_at,
    )
    assert [answer.prompt for answer in grown][:2] == ["[[echo]]0", "[[echo]]1"]


def test_the_numbers_add_up_at_every_moment(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is reused, what the service has done and what is left are the prompts, on every card."""
    submit(*echoes(4), "[[fail]]").wait(WAIT_S)
    taken_in: list[Snapshot] = []
    close = Rows.close

    def closed(self: Rows, *args: Any) -> None:
        if run := runs.held(self.job_id):
            taken_in.append(run.view.snapshot())
        close(self, *args)

    monkeypatch.setattr(Rows, "close", closed)
    line.on(POLL, replaced(status="finalizing", output_file_id=None, error_file_id=None))
    grown = submit(*echoes(4), "[[fail]]", "[[fail]] 2", *echoes(3, first=10), shard_rows=2)
    seen = Seen(grown)
    grown.wait(WAIT_S)
    for now in [*seen.snapshots, *taken_in]:
        assert now.answered + now.failed + now.left == now.prompts == 9
    assert len(taken_in) == 2
    under_way = [now for now in seen.snapshots if now.phase == "at_groq"]
    assert max(now.answered + now.failed for now in under_way) > 5


def test_rows_in_another_order_are_the_same_rows(line: Line) -> None:
    """Sorting a table, or taking rows out of it, sends nothing."""
    submit(*echoes(5)).wait(WAIT_S)
    turned = submit(*reversed(echoes(5))).wait(WAIT_S)
    some = submit("[[echo]]3", "[[echo]]1").wait(WAIT_S)
    assert (turned.texts, some.texts) == (numbers(5)[::-1], ["3", "1"])
    assert (line.count(UPLOAD), line.count(CREATE)) == (1, 1)
    assert (turned.done, turned.status, len(turned.batch_ids)) == (True, "completed", 1)


def test_the_nth_equal_row_is_another_request(line: Line) -> None:
    """One answer serves one row: of three equal prompts after one, two are sent, and then none."""
    uploads = sent(line)
    submit("[[echo]]a").wait(WAIT_S)
    assert submit("[[echo]]a", "[[echo]]b", "[[echo]]a", "[[echo]]a").wait(WAIT_S).texts == list("abaa")
    assert submit("[[echo]]a", "[[echo]]a", "[[echo]]a").wait(WAIT_S).texts == list("aaa")
    assert uploads == [1, 3]


@pytest.mark.parametrize("how", [{"options": {"seed": 1}}, {"model": "openai/gpt-oss-120b"}, {"take": 2}])
def test_another_question_is_sent(how: dict[str, Any], line: Line) -> None:
    """Other options, another model and another take are other requests."""
    submit(*echoes(2)).wait(WAIT_S)
    assert submit(*echoes(2), **how).wait(WAIT_S).texts == numbers(2)
    assert line.count(CREATE) == 2


def test_a_take_is_repeatable(line: Line) -> None:
    """Run All never pays for the second take again."""
    for _ in range(2):
        submit(*echoes(2), take=2).wait(WAIT_S)
    assert line.count(CREATE) == 1


def test_another_sandbox_is_another_service(line: Line) -> None:
    """Answers of one store are not those of another."""
    submit(*echoes(2)).wait(WAIT_S)
    services.use_sandbox(fresh=True, pace_s=0)
    submit(*echoes(3)).wait(WAIT_S)
    assert line.count(CREATE) == 2


def test_ids_are_those_of_this_submission(line: Line) -> None:
    """Reused rows have the ids that they have here, however they were sent."""
    submit(*echoes(3)).wait(WAIT_S)
    asked = {f"review {n}": prompt for n, prompt in enumerate(echoes(4))}
    answers = client.send(prompts.from_source(asked), Settings(), name="answers").wait(WAIT_S)
    assert [answer.custom_id for answer in answers] == list(asked)
    assert {key: answers[key].text for key in asked} == dict(zip(asked, numbers(4), strict=True))
    assert line.count(UPLOAD) == 2


def test_a_batch_under_way_is_joined(line: Line) -> None:
    """Rows that another batch asks about now are waited for and not sent, in this process and the next."""
    uploads = sent(line)
    line.on(POLL, *[EARLIER] * 10_000)
    first = submit(*echoes(3))
    Seen(first).until(lambda now: now.phase == "at_groq")
    grown = submit(*echoes(4))
    Seen(grown).until(lambda now: now.shards_sent == 1)
    assert (uploads, grown.counts) == ([3, 1], {"pending": 4})
    forget()
    line._acts.clear()
    again = submit(*echoes(4)).wait(WAIT_S)
    assert (again.texts, again.counts) == (numbers(4), {"ok": 4})
    assert uploads == [3, 1]


def test_rows_that_failed_and_were_cut_are_outcomes(line: Line) -> None:
    """An error from Groq and a cut reply are reused as they are, with their reasons."""
    asked = ["[[fail]] a", "[[cut]][[echo]]abcd", "[[echo]]2"]
    submit(*asked).wait(WAIT_S)
    forget()
    again = submit(*asked, "[[echo]]3").wait(WAIT_S)
    assert ends(again) == [("failed", "json_validate_failed"), ("cut", None), ("ok", None), ("ok", None)]
    assert again.texts == [None, "ab", "2", "3"]
    assert last(again).problems[0].count == 1


@pytest.mark.usefixtures("long_ago")
def test_what_was_never_sent_is_nobodys_answer(line: Line) -> None:
    """Prompts that were cut and not sent are sent by the next cell that holds them, and no others."""
    uploads = sent(line)
    stranded(line, *echoes(5))
    assert submit("[[echo]]1", "[[echo]]7").wait(WAIT_S).texts == ["1", "7"]
    assert uploads == [2]


def test_what_was_put_down_a_moment_ago_is_not_sent_beside_it(line: Line) -> None:
    """A job that somebody is about to send lends its rows, before anybody holds its lock."""
    uploads = sent(line)
    stranded(line, *echoes(5))
    assert submit("[[echo]]1", "[[echo]]7").wait(WAIT_S).texts == ["1", "7"]
    assert sorted(uploads) == [1, 5]


@pytest.mark.usefixtures("long_ago")
def test_what_others_asked_meanwhile_is_not_sent_twice(line: Line) -> None:
    """A submission taken up late sends only the rows that nobody has asked since."""
    uploads = sent(line)
    late = stranded(line, *echoes(5))
    submit(*echoes(3), "[[echo]]9").wait(WAIT_S)
    assert client.attach(late.job_id).wait(WAIT_S).texts == numbers(5)
    forget()
    assert submit(*echoes(5)).wait(WAIT_S).texts == numbers(5)
    assert uploads == [4, 2]


@pytest.mark.usefixtures("long_ago")
def test_a_cell_that_grew_after_a_kill_amid_its_sending_goes_on(line: Line) -> None:
    """What was sent of the old cell is borrowed, what was not is sent once, and both cells are answered."""
    uploads = sent(line)
    line.on(UPLOAD, None, *[lost(httpx.ConnectError)] * 10_000)
    old = submit(*echoes(6), shard_rows=2, name="old")
    Seen(old).until(lambda now: now.shards_sent == 1 and now.trouble is not None)
    forget()
    line._acts.clear()
    uploads.clear()
    grown = submit(*echoes(7), name="grown").wait(WAIT_S)
    assert grown.texts == numbers(7)
    assert submit(*echoes(6), shard_rows=2, name="old").wait(WAIT_S).texts == numbers(6)
    forget()
    assert client.attach("grown").wait(WAIT_S).texts == numbers(7)
    assert sum(uploads) == 5


@pytest.mark.usefixtures("long_ago")
def test_what_somebody_drives_is_not_taken_out_of_his_hands(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process holds the job's lock, nothing is withdrawn, whenever it has taken it."""
    monkeypatch.setattr(runs, "driven", lambda job_id: False)  # as it was a moment ago
    late = stranded(line, *echoes(5))
    submit(*echoes(3)).wait(WAIT_S)
    book = ledger.current()
    with filelock.FileLock(book.lock_path(late.job_id)):
        assert not runs._reconsidered(book.job(late.job_id))
    assert runs._reconsidered(book.job(late.job_id))


def test_a_submission_does_not_look_while_another_is_put_down(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking for what was asked before and being put down there is no room for another."""
    uploads = sent(line)
    looked, real_find, real_add = threading.Event(), reuse.find, Ledger.add
    others: list[Answers] = []
    second = threading.Thread(target=lambda: others.append(submit(*echoes(4, first=2), name="second")))

    def find(*args: Any, **how: Any) -> list[Loan]:
        if threading.current_thread() is second:
            looked.set()
        return real_find(*args, **how)

    def add(self: Ledger, *args: Any, **how: Any) -> Job:
        if threading.current_thread() is not second:
            second.start()
            assert not looked.wait(0.5)  # long enough for what must not happen
        return real_add(self, *args, **how)

    monkeypatch.setattr(reuse, "find", find)
    monkeypatch.setattr(Ledger, "add", add)
    first = submit(*echoes(4), name="first")
    second.join(WAIT_S)
    assert (first.wait(WAIT_S).texts, others[0].wait(WAIT_S).texts) == (list("0123"), list("2345"))
    assert sorted(uploads) == [2, 4]


def test_what_is_answered_waits_for_no_other_submission(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """While somebody is stuck in putting one down, a cell that is answered returns at once."""
    monkeypatch.setattr("groq_magic.ledger._SUBMITTED_BY_S", 0.05)
    submit(*echoes(2)).wait(WAIT_S)
    with ledger.current().submitting():
        assert submit(*echoes(2)).wait(WAIT_S).texts == numbers(2)
        with pytest.raises(LedgerError, match="Another submission has been under way"):
            submit(*echoes(3))


def test_a_full_disk_while_a_submission_is_put_down_is_called_so(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no trouble with a lock, and nothing was sent."""
    submit(*echoes(2)).wait(WAIT_S)

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(reuse, "left_over", full)
    with pytest.raises(LedgerError, match=r"cannot be written to .* No space left on device"):
        submit(*echoes(3))
    assert line.count(CREATE) == 1


def test_a_submission_and_an_attach_do_not_wait_for_each_other(line: Line) -> None:
    """Whoever puts a submission down needs no lock that somebody holds who waits for his turn to do so."""
    first = submit(*echoes(2)).wait(WAIT_S)
    book, tried = ledger.current(), threading.Event()

    def ask() -> None:
        runs.locked(first.job_id)
        runs.drop("nobody")
        tried.set()

    with runs._lock, book.submitting():
        threading.Thread(target=ask).start()
        assert tried.wait(WAIT_S)


@pytest.mark.usefixtures("long_ago")
def test_what_others_asked_in_full_is_not_sent_at_all(line: Line) -> None:
    """Where everything was asked since, the late submission is done at once."""
    uploads = sent(line)
    late = stranded(line, *echoes(3))
    submit(*echoes(4)).wait(WAIT_S)
    assert client.attach(late.job_id).wait(WAIT_S).texts == numbers(3)
    assert (uploads, client.attach(late.job_id).status) == ([4], "completed")


# --- what is sent again -----------------------------------------------------------------------------------


def expired_once(line: Line, count: int = 4) -> Answers:
    """A batch that expired half-way."""
    nothing = {"completed": 0, "failed": 0, "total": count}
    ended = replaced(status="expired", output_file_id=None, error_file_id=None, request_counts=nothing)
    line.on(POLL, ended)
    answers = submit(*echoes(count)).wait(WAIT_S)
    assert answers.counts == {"expired": count}
    return answers


@pytest.mark.parametrize("restart", [True, False])
def test_a_rerun_sends_what_expired_and_nothing_else(restart: bool, line: Line) -> None:
    """The rows that were answered stay; the others are asked once more, and then never again."""
    uploads = sent(line)
    first = submit("[[echo]]0", "[[expire]][[echo]]1", "[[echo]]2", "[[echo]]3").wait(WAIT_S)
    assert first.counts == {"ok": 2, "expired": 2}
    if restart:
        forget()
    again = submit("[[echo]]0", "[[expire]][[echo]]1", "[[echo]]2", "[[echo]]3").wait(WAIT_S)
    assert (again.job_id, uploads) == (first.job_id, [4, 2])
    assert again.counts["ok"] >= 3
    for _ in range(2):
        again = submit("[[echo]]0", "[[expire]][[echo]]1", "[[echo]]2", "[[echo]]3").wait(WAIT_S)
    forget()
    assert submit(*echoes(1)).wait(WAIT_S).texts == ["0"]


@pytest.mark.usefixtures("no_late_files")
def test_a_lost_row_is_asked_for_again(line: Line) -> None:
    """A row in neither file is missing, and the next run asks for it."""
    uploads = sent(line)
    submit("[[lose]]", *echoes(2)).wait(WAIT_S)
    assert ends(submit("[[lose]]", *echoes(2)).wait(WAIT_S))[0] == ("missing", "no_reply")
    assert uploads == [3, 1]


@pytest.mark.usefixtures("no_late_files")
@pytest.mark.parametrize("restart", [True, False])
def test_a_grown_table_asks_again_for_what_went_missing(restart: bool, line: Line) -> None:
    """A row that ended without an answer is not reused by another submission, but asked for."""
    uploads = sent(line)
    submit("[[lose]]", *echoes(1)).wait(WAIT_S)
    if restart:
        forget()
    grown = submit(*echoes(2), "[[lose]]").wait(WAIT_S)
    assert (ends(grown)[2], uploads) == (("missing", "no_reply"), [2, 2])


def test_a_second_retry_is_sent_whosever_rows_it_asks_for(line: Line) -> None:
    """Rows that are borrowed, and were retried in vain before, are asked once more."""
    uploads = sent(line)
    submit("[[fail]]").wait(WAIT_S).retry().wait(WAIT_S)
    grown = submit("[[fail]]", *echoes(1)).wait(WAIT_S)
    grown.retry()
    grown.wait(WAIT_S)
    assert uploads == [1, 1, 1, 1]


def test_ids_are_unique_whoever_sent_the_rows(line: Line) -> None:
    """Rows of several earlier submissions keep apart, and each id finds its own row."""
    for asked in ("[[echo]]a", "[[echo]]b"):
        submit(asked).wait(WAIT_S)
    answers = submit("[[echo]]a", "[[echo]]b", "[[echo]]c").wait(WAIT_S)
    ids = [answer.custom_id for answer in answers]
    assert len(set(ids)) == 3
    assert [answers[found].text for found in ids] == list("abc")


@pytest.mark.usefixtures("no_late_files")
def test_rows_that_keep_failing_are_not_sent_for_ever(line: Line) -> None:
    """One run asks once: nothing is sent by itself, whatever comes back."""
    for times in range(1, 4):
        submit("[[lose]]").wait(WAIT_S)
        assert line.count(CREATE) == times


def test_a_grown_table_uses_what_was_asked_again(line: Line) -> None:
    """An answer that came at the second time of asking is as good as any."""
    expired_once(line)
    submit(*echoes(4)).wait(WAIT_S)
    uploads = sent(line)
    forget()
    assert submit(*echoes(5)).wait(WAIT_S).texts == numbers(5)
    assert uploads == [1]


def test_a_failure_that_is_asked_again_is_not_lent_yet() -> None:
    """While a lender's row may be mended, whoever borrows it waits; then takes what came."""
    asked_again = Rows("again", 1, [])
    lender = Rows("lender", 1, [], [Lent(asked_again, [0], [0], retry=True)])
    lender.status[0] = EXPIRED
    borrower = Rows("borrower", 1, [], [Lent(lender, [0], [0])])
    borrower.borrow(borrower.lent[0])
    assert borrower.status[0] == PENDING
    lender.waiting.clear()
    borrower.borrow(borrower.lent[0])
    assert borrower.status[0] == EXPIRED


# --- retry --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_late_files")
def test_retry_sends_what_has_no_answer(line: Line) -> None:
    """Failed rows are sent once more, the same Answers fill in place, and the rest stays."""
    uploads = sent(line)
    answers = submit("[[echo]]0", "[[fail]] x", "[[lose]]", "[[echo]]3").wait(WAIT_S)
    part = answers[1:]
    assert answers.retry() is answers
    answers.wait(WAIT_S)
    assert uploads == [4, 2]
    assert answers.texts == ["0", None, None, "3"]
    assert part.texts == [None, None, "3"]
    assert [status for status, _ in ends(answers)] == ["ok", "failed", "missing", "ok"]


@pytest.mark.parametrize("restart", [True, False])
def test_retry_with_more_tokens_mends_what_was_cut(restart: bool, line: Line) -> None:
    """What stopped at max tokens is asked with more; a later run uses that answer and pays nothing."""
    options = {"max_completion_tokens": 1}
    asked = ["[[echo]]abcdefgh", "[[echo]]ab"]
    answers = submit(*asked, options=options).wait(WAIT_S)
    assert answers.texts == ["abcd", "ab"]
    answers.retry(max_tokens=50)
    answers.wait(WAIT_S)
    assert (answers.texts, answers.counts) == (["abcdefgh", "ab"], {"ok": 2})
    if restart:
        forget()
    again = submit(*asked, "[[echo]]c", options=options).wait(WAIT_S)
    assert (again.texts, line.count(CREATE)) == (["abcdefgh", "ab", "c"], 3)
    assert submit(asked[0], options={"max_completion_tokens": 50}).wait(WAIT_S).texts == ["abcdefgh"]
    assert line.count(CREATE) == 3


def test_a_retry_of_reused_rows_mends_them_for_all(line: Line) -> None:
    """Who asks for the same rows later has the answer that a retry brought, whosever rows it retried."""
    options = {"max_completion_tokens": 1}
    submit("[[echo]]abcdefgh", options=options).wait(WAIT_S)
    grown = submit("[[echo]]abcdefgh", "[[echo]]x", options=options).wait(WAIT_S)
    grown.retry(max_tokens=50)
    grown.wait(WAIT_S)
    forget()
    asked = ("[[echo]]y", "[[echo]]abcdefgh")
    assert submit(*asked, options=options).wait(WAIT_S).texts == ["y", "abcdefgh"]
    assert grown.texts == ["abcdefgh", "x"]
    assert line.count(CREATE) == 4


def test_retries_with_each_others_model_do_not_go_in_a_circle(line: Line) -> None:
    """Two batches of one failing prompt, each retried with the other's model, can both be read and grown."""
    first, second = "openai/gpt-oss-20b", "openai/gpt-oss-120b"
    answers = {model: submit("[[fail]]", model=model, name=model[-3:]) for model in (first, second)}
    for model, other in ((first, second), (second, first)):
        answers[model].wait(WAIT_S).retry(model=other)
        answers[model].wait(WAIT_S)
    forget()
    for model in (first, second):
        assert ends(submit("[[fail]]", model=model).wait(WAIT_S))[0][0] == "failed"
        assert submit("[[fail]]", "[[echo]]x", model=model).wait(WAIT_S).texts == [None, "x"]
    assert [answers.done for answers in client.attach_all()] == [True] * len(client.named())


@pytest.mark.parametrize("more", [[], ["[[echo]]x"]], ids=["the same", "and another"])
def test_a_retry_that_was_not_sent_and_that_others_have_is_kept(more: list[str], line: Line) -> None:
    """Who submitted the same, or borrowed from it, keeps his rows."""
    answers = submit("[[cut]][[echo]]ab", options={"max_completion_tokens": 30}).wait(WAIT_S)
    line.on(MODELS, gate := Gate())
    answers.retry(max_tokens=60, model="nobody/nothing")
    assert gate.arrived.wait(WAIT_S)
    options = {"max_completion_tokens": 60}
    other = submit("[[cut]][[echo]]ab", *more, model="nobody/nothing", options=options, name="z")
    gate.opened.set()
    for waiting in (answers, other):
        with suppress(NotSent):
            waiting.wait(WAIT_S)
    with pytest.raises(StillRunning, match="run its cell again"):
        answers.retry(max_tokens=90)
    assert {answer.status for answer in other} == {"missing"}


def test_a_cell_that_grew_row_by_row_is_read_once_a_batch(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often rows were borrowed on, looking for what was asked before reads each batch once."""
    monkeypatch.setattr(pipeline, "LATE_FILES_S", 0.05)
    for count in range(1, 8):
        submit("[[lose]]", *echoes(count)).wait(WAIT_S)
    forget()
    made: list[str] = []
    real = runs._rows
    monkeypatch.setattr(runs, "_rows", lambda job, *how: made.append(job.job_id) or real(job, *how))
    client.plan(prompts.from_source(["[[lose]]", *echoes(9)]), Settings())
    assert len(made) == len(set(made)) > 3


def test_an_old_row_stays_until_its_replacement_is_there(line: Line) -> None:
    """While a retry runs, and where it fails too, what was there can be read."""
    answers = submit("[[cut]][[echo]]abcd", "[[echo]]x", options={"max_completion_tokens": 30}).wait(WAIT_S)
    line.on(POLL, *[EARLIER] * 10_000)
    answers.retry(max_tokens=60)
    assert (answers.done, answers[0].text, answers[1].text) == (False, "ab", "x")
    line._acts.clear()
    assert answers.wait(WAIT_S).texts == ["ab", "x"]


def test_retry_of_a_part_asks_for_that_part(line: Line) -> None:
    """`answers[:1].retry()` sends one row; the whole fills."""
    uploads = sent(line)
    answers = expired_once(line)
    answers[:1].retry()
    answers.wait(WAIT_S)
    assert answers.counts == {"ok": 1, "expired": 3}
    assert uploads == [4, 1]


def test_a_cancelled_row_is_sent_by_a_retry_and_not_by_a_rerun(line: Line) -> None:
    """A re-run never undoes a cancel; a retry means it."""
    services.use_sandbox(pace_s=2)
    answers = submit(*echoes(3))
    Seen(answers).until(lambda now: now.shards_sent == 1)
    answers.cancel()
    answers.wait(WAIT_S)
    assert submit(*echoes(3)).wait(WAIT_S).counts.get("cancelled")
    assert line.count(CREATE) == 1
    services.use_sandbox(pace_s=0)
    assert answers.retry().wait(WAIT_S).texts == numbers(3)


def test_a_retry_that_cannot_be_sent_says_so(line: Line) -> None:
    """The card and `wait` give the reason; what was there stays, and another retry goes on."""
    answers = submit("[[cut]][[echo]]abcd", options={"max_completion_tokens": 30}).wait(WAIT_S)
    answers.retry(max_tokens=60, model="nobody/nothing")
    with pytest.raises(NotSent, match="has no model 'nobody/nothing'"):
        answers.wait(WAIT_S)
    assert "could not be asked again. The sandbox has no model" in words.text(last(answers))
    assert (answers.texts, line.count(CREATE)) == (["ab"], 1)
    answers.retry(max_tokens=60)
    assert answers.wait(WAIT_S).texts == ["ab"]
    assert line.count(CREATE) == 2


def test_a_retry_after_a_restart_needs_nothing_but_the_answers(line: Line) -> None:
    """What was asked in a sandbox is asked again there, whatever is chosen now and without a key."""
    service = services.current()
    job_id = submit("[[cut]][[echo]]abcd", options={"max_completion_tokens": 30}).wait(WAIT_S).job_id
    forget()
    services.use_groq()
    answers = client.attach(job_id, "again").wait(WAIT_S)
    answers.retry(max_tokens=60)
    answers.wait(WAIT_S)
    known = ledger.current().jobs()
    assert [job.key_fingerprint for job in known] == [service.key_fingerprint] * 2
    assert line.count(CREATE) == 2


def test_a_cancel_in_a_retry_cancels_the_retry(line: Line) -> None:
    """The batch that asks again is cancelled, and what was there stays."""
    answers = submit("[[cut]][[echo]]abcd", options={"max_completion_tokens": 30}).wait(WAIT_S)
    line.on(POLL, *[EARLIER] * 10_000)
    answers.retry(max_tokens=60)
    Seen(answers).until(lambda now: now.phase == "at_groq" and now.again_done >= 0)
    offline.until(lambda: len(answers.batch_ids) == 2)
    answers.cancel()
    offline.until(lambda: line.count(CANCEL))  # more than one: the polls deny that it was cancelled
    line._acts.clear()
    assert answers.wait(WAIT_S).texts == ["ab"]


def test_a_retry_survives_the_process(line: Line) -> None:
    """A retry under way is taken up by the same cell in the next kernel."""
    answers = submit("[[cut]][[echo]]abcd", options={"max_completion_tokens": 30}).wait(WAIT_S)
    line.on(POLL, *[EARLIER] * 10_000)
    answers.retry(max_tokens=60)
    Seen(answers).until(lambda now: now.phase == "at_groq")
    forget()
    line._acts.clear()
    again = submit("[[cut]][[echo]]abcd", options={"max_completion_tokens": 30}).wait(WAIT_S)
    assert (again.texts, line.count(CREATE)) == (["ab"], 2)


def test_where_nothing_is_to_be_retried_nothing_is_sent(line: Line) -> None:
    """Answered rows are not asked again."""
    answers = submit(*echoes(2)).wait(WAIT_S)
    assert answers.retry().wait(WAIT_S).texts == numbers(2)
    assert line.count(CREATE) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": 7}, "The model is 7; it is a text"),
        ({"model": ""}, "The model's name is empty"),
        ({"model": "m\ud83d"}, "The model's name holds half a character"),
        ({"extra": {"stream": True}}, "extra: stream is True; "),
        ({"extra": {"user": b"x"}}, "extra['user'] is bytes"),
    ],
)
def test_a_change_that_cannot_be_sent_is_refused(changes: dict[str, Any], said: str, line: Line) -> None:
    """What a retry changes is held to the same rules as what was asked at first, and nothing is sent."""
    answers = submit("[[fail]] x").wait(WAIT_S)
    with pytest.raises(InputError) as caught:
        answers.retry(**changes)
    assert caught.value.message.startswith(said)
    assert line.count(CREATE) == 1


@pytest.mark.parametrize(
    ("asked", "fields", "found"),
    [
        ({"max_tokens": 1}, {"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ({"max_completion_tokens": 1}, {"max_tokens": 5}, {"max_tokens": 5}),
        ({"include_reasoning": False}, {"reasoning_format": "raw"}, {"reasoning_format": "raw"}),
        ({"reasoning_format": "raw"}, {"include_reasoning": None},
         {"reasoning_format": "raw", "include_reasoning": None}),
        ({"user": "ann", "seed": 1}, {"user": np.str_("bob")}, {"user": "bob", "seed": 1}),
    ],
)  # fmt: skip
def test_a_change_takes_the_place_of_what_excludes_it(
    asked: dict[str, Any], fields: dict[str, Any], found: dict[str, Any]
) -> None:
    """What is changed stands in the canonical body, and of two fields that exclude each other the new one."""
    form = Form("m", options=asked)
    line = b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":%b}\n' % form.body("Hi")
    assert reuse.body_of(reuse.changed(line, fields)) == Form("m", options=found).body("Hi")


def test_what_still_runs_cannot_be_retried(line: Line) -> None:
    """A retry before the end says what to do; an unknown change is named."""
    line.on(POLL, *[EARLIER] * 10_000)
    answers = submit(*echoes(2))
    with pytest.raises(StillRunning, match="wait for it"):
        answers.retry()
    line._acts.clear()
    answers.wait(WAIT_S)
    with pytest.raises(InputError, match="retry knows no 'tokens'"):
        answers.retry(tokens=5)
